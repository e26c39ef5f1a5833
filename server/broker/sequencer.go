package broker

import (
	"context"
	"hash/maphash"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	patience   = 100 * time.Millisecond // how long a message waits for its predecessor to arrive before the database is read
	maxHeld    = 1000                   // messages held per thread; further ones are read from the database later
	shardCount = 64
	maxLines   = 200_000 / shardCount // threads per shard; of more, those without recent messages are forgotten
)

// sequencer delivers every thread's messages on this process in the order of their ids, and each exactly once.
//
// Each message carries the id of its predecessor, so the id of the last delivered message shows whether any is missing. If so, the
// message is held: first for a short time in which the missing one may arrive, and then until it has been read from the database. A
// message stored by this process is held in the same way, and its acknowledgement with it.
//
// The state of a thread is its line. For a thread without a line it is only known that no message newer than floor has been delivered.
type sequencer struct {
	deliver func(*Delivery)
	local   Local
	up      func() bool // packets from other processes arrive through Redis
	log     *slog.Logger
	ctx     context.Context // ends pending reads of the database
	slots   chan struct{}
	seed    maphash.Seed
	shards  [shardCount]shard
	working sync.WaitGroup

	held, backfilled, repeated atomic.Int64
}

type shard struct {
	mu      sync.Mutex
	lines   map[string]*line
	age     int   // incremented by each sweep
	newest  int64 // highest id delivered
	before  int64 // value of newest at the last sweep
	floor   int64
	stopped bool
}

// line is the delivery state of one thread.
type line struct {
	last   int64       // id of the last delivered message; if unsure, only an upper bound of it
	unsure bool        // older messages may not have been delivered yet
	age    int         // the shard's age when the line was last used
	held   []*Delivery // messages waiting for their predecessors, sorted by id
	behind []*Delivery // other events that arrived after the held messages
	target int64       // id of a message known to be stored
	timer  *time.Timer
	busy   bool // gaps are being read from the database
}

// gap reports whether messages may be missing that were stored before the ones that arrived, or before other events.
func (l *line) gap() bool { return len(l.held) > 0 || l.busy || l.target > l.last }

// newSequencer returns a sequencer for messages newer than floor.
func newSequencer(ctx context.Context, floor int64, local Local, up func() bool, deliver func(*Delivery), log *slog.Logger) *sequencer {
	q := &sequencer{deliver: deliver, local: local, up: up, log: log, ctx: ctx, slots: make(chan struct{}, backfills), seed: maphash.MakeSeed()}
	for i := range q.shards {
		s := &q.shards[i]
		s.lines, s.floor, s.newest, s.before = make(map[string]*line), floor, floor, floor
	}
	return q
}

func (q *sequencer) shard(thread string) *shard {
	return &q.shards[maphash.String(q.seed, thread)%shardCount]
}

// line returns a thread's line. The caller holds s.mu.
func (s *shard) line(thread string) *line {
	l := s.lines[thread]
	if l == nil {
		if len(s.lines) >= maxLines {
			s.sweep()
		}
		l = &line{last: s.floor, unsure: true}
		s.lines[thread] = l
	}
	l.age = s.age
	return l
}

// sweep deletes the lines that were not used since the last sweep, and raises floor: messages of deleted lines were delivered before
// that sweep.
func (s *shard) sweep() {
	for id, l := range s.lines {
		if l.age < s.age && len(l.held) == 0 && l.target <= l.last && !l.busy {
			delete(s.lines, id)
		}
	}
	s.floor, s.before = max(s.floor, s.before), s.newest
	s.age++
}

// take delivers a publication, or holds it until it is in sequence.
func (q *sequencer) take(d *Delivery) {
	if d.Thread == "" {
		q.deliver(d)
		return
	}
	s := q.shard(d.Thread)
	s.mu.Lock()
	defer s.mu.Unlock()
	if d.ID == 0 {
		if l := s.lines[d.Thread]; l != nil && l.gap() && !d.Volatile && len(l.behind) < maxHeld {
			l.behind = append(l.behind, d)
			return
		}
		q.deliver(d)
		return
	}
	l := s.line(d.Thread)
	if d.Follows < 0 { // the message may have been announced before
		if d.ID <= l.last {
			q.repeated.Add(1)
			d.done()
			return
		}
		d.Follows = d.ID - 1
	}
	switch {
	case s.stopped:
		q.deliver(d)
	case !l.unsure && d.ID <= l.last:
		q.repeated.Add(1)
		d.done()
	case d.Follows <= l.last && !l.busy:
		q.next(s, l, d)
		q.drain(s, l)
	default:
		q.hold(s, l, d)
	}
}

// next delivers the next message in sequence.
func (q *sequencer) next(s *shard, l *line, d *Delivery) {
	q.deliver(d)
	l.last, l.unsure = d.ID, false
	s.newest = max(s.newest, d.ID)
}

// hold keeps a message until its predecessors have been delivered.
func (q *sequencer) hold(s *shard, l *line, d *Delivery) {
	q.held.Add(1)
	at, found := slices.BinarySearchFunc(l.held, d.ID, func(h *Delivery, id int64) int { return int(h.ID - id) })
	switch {
	case found:
		first, second := l.held[at].Done, d.Done
		if second != nil {
			l.held[at].Done = func() { call(first); second() }
		}
	case len(l.held) >= maxHeld && d.Done == nil:
		l.target = max(l.target, d.ID)
	default:
		l.held = slices.Insert(l.held, at, d)
	}
	wait := patience
	if !q.up() {
		wait = 0
	}
	q.arm(s, l, d.Thread, wait)
}

// arm schedules reading a line's gaps from the database, for those that still exist then. The caller holds s.mu.
func (q *sequencer) arm(s *shard, l *line, thread string, wait time.Duration) {
	if l.timer != nil || l.busy || s.stopped {
		return
	}
	q.working.Add(1)
	l.timer = time.AfterFunc(wait, func() {
		defer q.working.Done()
		q.backfill(s, thread)
	})
}

// drain delivers the held messages that are now in sequence.
func (q *sequencer) drain(s *shard, l *line) {
	for len(l.held) > 0 && l.held[0].Follows <= l.last {
		d := l.held[0]
		l.held = l.held[1:]
		if d.ID <= l.last {
			q.repeated.Add(1)
			d.done()
			continue
		}
		q.next(s, l, d)
	}
	if len(l.held) == 0 {
		l.held = nil
	}
	if l.gap() {
		return
	}
	for _, d := range l.behind {
		q.deliver(d)
	}
	l.behind = nil
	if l.target <= l.last && l.timer != nil && l.timer.Stop() {
		l.timer = nil
		q.working.Done()
	}
}

// known makes sure that a thread's messages are delivered up to one known to be in the database, which is read for those that have not
// arrived after a time.
func (q *sequencer) known(thread string, newest int64, wait time.Duration) {
	s := q.shard(thread)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lines[thread] == nil && newest <= s.floor {
		return
	}
	if l := s.line(thread); newest > l.last {
		l.target = max(l.target, newest)
		q.arm(s, l, thread, wait)
	}
}

// stop delivers all held messages regardless of gaps, and later ones immediately. Pending reads end with q.ctx.
func (q *sequencer) stop() {
	for i := range q.shards {
		s := &q.shards[i]
		s.mu.Lock()
		s.stopped = true
		for _, l := range s.lines {
			if l.timer != nil && l.timer.Stop() {
				l.timer = nil
				q.working.Done()
			}
			for _, d := range append(l.held, l.behind...) {
				q.deliver(d)
			}
			l.held, l.behind = nil, nil
		}
		s.mu.Unlock()
	}
}
