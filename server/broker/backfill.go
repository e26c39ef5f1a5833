package broker

import (
	"context"
	"time"
)

const (
	backfillPage  = 200
	backfills     = 4 // concurrent reads
	backfillRetry = 2 * time.Second
)

// backfill reads the missing messages of a line from the database until there are none.
func (q *sequencer) backfill(s *shard, thread string) {
	s.mu.Lock()
	l := s.lines[thread]
	if l == nil || l.busy {
		s.mu.Unlock()
		return
	}
	l.timer = nil
	if len(l.held) == 0 && l.target <= l.last {
		s.mu.Unlock()
		return
	}
	l.busy = true
	s.mu.Unlock()
	select {
	case q.slots <- struct{}{}:
		defer func() { <-q.slots }()
	case <-q.ctx.Done():
	}
	for more := true; more; {
		var err error
		if more, err = q.backfillSome(s, l, thread); err != nil {
			q.log.Debug("broker: failed to read missing messages from the database; retrying", "error", err)
			select {
			case <-time.After(backfillRetry):
			case <-q.ctx.Done():
			}
		}
		if q.ctx.Err() != nil {
			break
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	l.busy = false
	q.drain(s, l)
	if len(l.held) > 0 || l.target > l.last {
		q.arm(s, l, thread, patience)
	}
}

// backfillSome delivers one page of the stored messages between the last one delivered and the newest one known, and reports whether
// there may be more.
func (q *sequencer) backfillSome(s *shard, l *line, thread string) (more bool, err error) {
	s.mu.Lock()
	after, upTo := l.last, l.target
	if n := len(l.held); n > 0 {
		upTo = max(upTo, l.held[n-1].ID)
	}
	s.mu.Unlock()
	if upTo <= after {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(q.ctx, 10*time.Second)
	defer cancel()
	found, more, err := q.local.Backfill(ctx, thread, after, upTo, backfillPage)
	if err != nil {
		return true, err
	}
	// Messages stored by this process are delivered by their own publication, which has the acknowledgement and excludes the sender.
	// After Flush they are in held.
	if err := q.local.Store.Flush(ctx); err != nil {
		return true, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return false, nil
	}
	through := upTo
	if more && len(found) > 0 {
		through = found[len(found)-1].ID
	}
	for i := range found {
		q.heldBefore(s, l, found[i].ID+1) // held publications exclude their sender
		if d := &found[i]; d.ID > l.last || l.unsure {
			q.backfilled.Add(1)
			q.next(s, l, d)
		}
	}
	q.heldBefore(s, l, through+1)
	l.last, l.unsure = max(l.last, through), false // messages that are still missing were deleted
	return more || l.target > l.last, nil
}

// heldBefore delivers held messages with lower ids.
func (q *sequencer) heldBefore(s *shard, l *line, id int64) {
	for len(l.held) > 0 && l.held[0].ID <= id-1 {
		d := l.held[0]
		l.held = l.held[1:]
		if d.ID > l.last || l.unsure {
			q.next(s, l, d)
		} else {
			d.done()
		}
	}
}
