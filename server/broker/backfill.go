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
func (o *sequencer) backfill(s *shard, thread string) {
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
	case o.slots <- struct{}{}:
		defer func() { <-o.slots }()
	case <-o.ctx.Done():
	}
	for more := true; more; {
		var err error
		if more, err = o.backfillSome(s, l, thread); err != nil {
			o.log.Debug("broker: failed to read missing messages from the database; retrying", "error", err)
			select {
			case <-time.After(backfillRetry):
			case <-o.ctx.Done():
			}
		}
		if o.ctx.Err() != nil {
			break
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	l.busy = false
	o.drain(s, l)
	if len(l.held) > 0 || l.target > l.last {
		o.arm(s, l, thread, patience)
	}
}

// backfillSome delivers one page of the stored messages between the last one delivered and the newest one known, and reports whether
// there may be more.
func (o *sequencer) backfillSome(s *shard, l *line, thread string) (more bool, err error) {
	s.mu.Lock()
	after, upTo := l.last, l.target
	if n := len(l.held); n > 0 {
		upTo = max(upTo, l.held[n-1].ID)
	}
	s.mu.Unlock()
	if upTo <= after {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(o.ctx, 10*time.Second)
	defer cancel()
	found, more, err := o.local.Backfill(ctx, thread, after, upTo, backfillPage)
	if err != nil {
		return true, err
	}
	// Messages stored by this process are delivered by their own publication, which has the acknowledgement and excludes the sender.
	// After Settle they are in held.
	if err := o.local.Store.Settle(ctx); err != nil {
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
		o.heldBefore(s, l, found[i].ID+1) // held publications exclude their sender
		if d := &found[i]; d.ID > l.last || l.unsure {
			o.backfilled.Add(1)
			o.next(s, l, d)
		}
	}
	o.heldBefore(s, l, through+1)
	l.last, l.unsure = max(l.last, through), false // messages that are still missing were deleted
	return more || l.target > l.last, nil
}

// heldBefore delivers held messages with lower ids.
func (o *sequencer) heldBefore(s *shard, l *line, id int64) {
	for len(l.held) > 0 && l.held[0].ID <= id-1 {
		d := l.held[0]
		l.held = l.held[1:]
		if d.ID > l.last || l.unsure {
			o.next(s, l, d)
		} else {
			d.done()
		}
	}
}
