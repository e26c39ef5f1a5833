package cluster

import (
	"context"
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"sohbet/server/realtime"
)

const (
	patience   = 100 * time.Millisecond // how long a message waits for its predecessor to arrive before the database is read
	grace      = time.Second            // the same, for messages that were stored but not delivered when the first member joined the thread's room
	maxHeld    = 1000                   // messages held per thread; further ones are read from the database later
	shardCount = 64
	maxLoose   = 200_000 / shardCount // lines of threads without members, kept for the agents, per shard
)

// order delivers every thread's messages to the members at this process in the order of their ids, and each exactly once.
//
// Each message carries the id of its predecessor, so the id of the last delivered message shows whether any is missing. If so, the
// message is held: first for a short time in which the missing one may arrive, and then until it has been read from the database. A
// message stored by this process is held in the same way, and its acknowledgement with it.
//
// The state of a thread is its line. The line of a thread with members in its room is pinned: it starts with the newest id in the
// database at the time when the room was subscribed. Agents receive the messages of every thread; for a thread without a line it is
// only known that no message newer than floor has been delivered.
type order struct {
	deliver func(*Post)
	source  Source
	up      func() bool // packets from other processes arrive through Redis
	log     logFunc
	ctx     context.Context // ends pending reads of the database
	slots   chan struct{}
	seed    maphash.Seed
	shards  [shardCount]shard
	working sync.WaitGroup

	agents                   atomic.Bool // a member at this process receives the messages of every thread
	held, recalled, repeated atomic.Int64
}

type shard struct {
	mu      sync.Mutex
	lines   map[string]*line
	loose   int   // number of lines that are not pinned
	age     int   // incremented by each sweep
	newest  int64 // highest id delivered
	before  int64 // value of newest at the last sweep
	floor   int64
	stopped bool
}

// line is the delivery state of one thread.
type line struct {
	last   int64   // id of the last delivered message; if unsure, only an upper bound of it
	unsure bool    // older messages may not have been delivered yet
	pinned bool    // the thread's room has members
	age    int     // the shard's age when the line was last used
	held   []*Post // messages waiting for their predecessors, sorted by id
	behind []*Post // other events that arrived after the held messages
	target int64   // id of a message known to be stored
	base   int64   // newest id when members joined; they have read the messages up to it themselves
	timer  *time.Timer
	busy   bool // gaps are being read from the database
}

func newOrder(ctx context.Context, source Source, up func() bool, deliver func(*Post), log logFunc) *order {
	o := &order{deliver: deliver, source: source, up: up, log: log, ctx: ctx, slots: make(chan struct{}, recallers), seed: maphash.MakeSeed()}
	for i := range o.shards {
		o.shards[i].lines = make(map[string]*line)
	}
	return o
}

func (o *order) shard(thread string) *shard {
	return &o.shards[maphash.String(o.seed, thread)%shardCount]
}

// line returns a thread's line. It creates one if agents are connected, who receive every thread; otherwise it may be nil. The caller
// holds s.mu.
func (o *order) line(s *shard, thread string) *line {
	l := s.lines[thread]
	if l == nil && o.agents.Load() {
		if s.loose >= maxLoose {
			s.sweep()
		}
		l = &line{last: s.floor, unsure: true}
		s.lines[thread] = l
		s.loose++
	}
	if l != nil {
		l.age = s.age
	}
	return l
}

// sweep deletes the lines that were not used since the last sweep, and raises floor: messages of deleted lines were delivered before
// that sweep.
func (s *shard) sweep() {
	for id, l := range s.lines {
		if !l.pinned && l.age < s.age && l.idle() {
			delete(s.lines, id)
			s.loose--
		}
	}
	s.floor, s.before = max(s.floor, s.before), s.newest
	s.age++
}

func (l *line) idle() bool {
	return len(l.held) == 0 && len(l.behind) == 0 && l.target <= l.last && !l.busy
}

// take delivers a publication, or holds it until it is in sequence.
func (o *order) take(p *Post) {
	if p.Thread == "" {
		o.deliver(p)
		return
	}
	s := o.shard(p.Thread)
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.ID == 0 {
		if l := s.lines[p.Thread]; l != nil && len(l.held) > 0 && !p.Volatile && len(l.behind) < maxHeld {
			l.behind = append(l.behind, p)
			return
		}
		o.deliver(p)
		return
	}
	l := o.line(s, p.Thread)
	if l != nil && p.Follows < 0 { // the message may have been announced before
		if p.ID <= l.last {
			o.repeated.Add(1)
			p.then()
			return
		}
		p.Follows = p.ID - 1
	}
	switch {
	case l == nil || s.stopped:
		o.deliver(p)
	case !l.unsure && p.ID <= l.last:
		o.repeated.Add(1)
		p.then()
	case p.Follows <= l.last && !l.busy:
		o.next(s, l, p)
		o.drain(s, l)
	default:
		o.hold(s, l, p)
	}
}

// next delivers the next message in sequence.
func (o *order) next(s *shard, l *line, p *Post) {
	if p.ID <= l.base { // members of the thread's room have it already, agents do not
		forAgents := *p
		forAgents.First = realtime.Group{}
		p = &forAgents
	}
	o.deliver(p)
	l.last, l.unsure = p.ID, false
	s.newest = max(s.newest, p.ID)
}

// hold keeps a message until its predecessors have been delivered.
func (o *order) hold(s *shard, l *line, p *Post) {
	o.held.Add(1)
	at, found := slices.BinarySearchFunc(l.held, p.ID, func(h *Post, id int64) int { return int(h.ID - id) })
	switch {
	case found:
		first, second := l.held[at].Then, p.Then
		if second != nil {
			l.held[at].Then = func() { call(first); second() }
		}
	case len(l.held) >= maxHeld && p.Then == nil:
		l.target = max(l.target, p.ID)
	default:
		l.held = slices.Insert(l.held, at, p)
	}
	wait := patience
	if !o.up() {
		wait = 0
	}
	o.arm(s, l, p.Thread, wait)
}

// arm schedules reading a line's gaps from the database, for those that still exist then. The caller holds s.mu.
func (o *order) arm(s *shard, l *line, thread string, wait time.Duration) {
	if l.timer != nil || l.busy || s.stopped {
		return
	}
	o.working.Add(1)
	l.timer = time.AfterFunc(wait, func() {
		defer o.working.Done()
		o.recall(s, thread)
	})
}

// drain delivers the held messages that are now in sequence.
func (o *order) drain(s *shard, l *line) {
	for len(l.held) > 0 && (l.held[0].Follows <= l.last || l.held[0].ID <= l.last) {
		p := l.held[0]
		l.held = l.held[1:]
		if p.ID <= l.last {
			o.repeated.Add(1)
			p.then()
			continue
		}
		o.next(s, l, p)
	}
	if len(l.held) > 0 {
		return
	}
	l.held = nil
	for _, p := range l.behind {
		o.deliver(p)
	}
	l.behind = nil
	if l.target <= l.last && l.timer != nil && l.timer.Stop() {
		l.timer = nil
		o.working.Done()
	}
}

// expect holds the messages of a thread until opened sets its newest id.
func (o *order) expect(thread string) {
	s := o.shard(thread)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lines[thread] == nil && !o.agents.Load() {
		s.lines[thread] = &line{pinned: true, busy: true, age: s.age}
	}
}

// opened starts to track a thread whose room has members. newest is the id of its newest stored message.
func (o *order) opened(thread string, newest int64) {
	s := o.shard(thread)
	s.mu.Lock()
	defer s.mu.Unlock()
	l := o.line(s, thread)
	if l == nil {
		l = &line{last: newest, age: s.age}
		s.lines[thread] = l
		s.loose++
	}
	if !l.pinned {
		l.pinned, l.base = true, newest
		s.loose--
	} else if l.busy && l.last == 0 { // created by expect
		l.busy, l.last = false, newest
		o.drain(s, l)
		if len(l.held) > 0 {
			o.arm(s, l, thread, patience)
		}
		return
	}
	if newest > l.last { // not delivered yet, or never announced because its process crashed
		l.target = max(l.target, newest)
		o.arm(s, l, thread, grace)
	}
}

// closed stops tracking a thread whose room has no more members.
func (o *order) closed(thread string) {
	s := o.shard(thread)
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.lines[thread]
	if l == nil || !l.pinned {
		return
	}
	l.pinned = false
	s.loose++
	if !o.agents.Load() && l.idle() {
		delete(s.lines, thread)
		s.loose--
	}
}

// follow starts to track every thread, for agents; newest is the id of the newest message in any thread.
func (o *order) follow(newest int64) {
	for i := range o.shards {
		s := &o.shards[i]
		s.mu.Lock()
		s.floor, s.newest, s.before = newest, max(s.newest, newest), newest
		s.mu.Unlock()
	}
	o.agents.Store(true)
}

// unfollow stops tracking threads without members.
func (o *order) unfollow() {
	o.agents.Store(false)
	for i := range o.shards {
		s := &o.shards[i]
		s.mu.Lock()
		for id, l := range s.lines {
			if !l.pinned && l.idle() {
				delete(s.lines, id)
				s.loose--
			}
		}
		s.mu.Unlock()
	}
}

// known makes sure that a thread's messages are delivered up to one known to be in the database.
func (o *order) known(thread string, newest int64) {
	s := o.shard(thread)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lines[thread] == nil && newest <= s.floor {
		return
	}
	if l := o.line(s, thread); l != nil && newest > l.last {
		l.target = max(l.target, newest)
		o.arm(s, l, thread, 0)
	}
}

// pinned lists the threads whose rooms have members.
func (o *order) pinned() []string {
	var list []string
	for i := range o.shards {
		s := &o.shards[i]
		s.mu.Lock()
		for id, l := range s.lines {
			if l.pinned {
				list = append(list, id)
			}
		}
		s.mu.Unlock()
	}
	return list
}

// stop delivers all held messages regardless of gaps, and later ones immediately. Pending reads end with o.ctx.
func (o *order) stop() {
	for i := range o.shards {
		s := &o.shards[i]
		s.mu.Lock()
		s.stopped = true
		for _, l := range s.lines {
			if l.timer != nil && l.timer.Stop() {
				l.timer = nil
				o.working.Done()
			}
			for _, p := range append(l.held, l.behind...) {
				o.deliver(p)
			}
			l.held, l.behind = nil, nil
		}
		s.mu.Unlock()
	}
}
