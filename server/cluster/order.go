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
	patience   = 100 * time.Millisecond // how long a message may wait for the one before it to come by itself
	grace      = time.Second            // … when a thread is entered in which something seems to be on its way
	maxHeld    = 1000                   // messages of one thread that wait; more are read from the database later
	shardCount = 64
	maxLoose   = 200_000 / shardCount // threads remembered because agents hear of all, for each shard
)

// order gives the members of this process every thread's messages in the order of their ids, and each once.
//
// Each message tells which one it follows. So whoever knows the last one that was delivered knows whether something is missing
// in between: then the message waits, for a moment in which the missing one may come by itself, and after that for the
// database, where everything is. A message that its own process is about to deliver waits likewise, and its ack with it.
//
// What is known of a thread is its line. One with members in its room is pinned: it begins with the newest id that the database
// had when the room had become reachable. Agents hear of every thread; of one without a line all that is known is that nothing
// newer than floor has been delivered.
type order struct {
	deliver func(*Post)
	source  Source
	up      func() bool // Redis brings what others publish
	log     logFunc
	ctx     context.Context // ends the recalling
	slots   chan struct{}
	seed    maphash.Seed
	shards  [shardCount]shard
	working sync.WaitGroup

	agents                   atomic.Bool // somebody here hears of every thread
	held, recalled, repeated atomic.Int64
}

type shard struct {
	mu      sync.Mutex
	lines   map[string]*line
	loose   int   // lines that are not pinned
	age     int   // grows with each sweep
	newest  int64 // delivered
	before  int64 // newest at the last sweep
	floor   int64
	stopped bool
}

// line is what is known of one thread.
type line struct {
	last   int64   // delivered; of an unsure line only: nothing newer was
	unsure bool    // an older one may be on its way still
	pinned bool    // the thread's room has members
	age    int     // the shard's, when it was used last
	held   []*Post // messages that wait for one before them, by id
	behind []*Post // other events that came after these
	target int64   // known to be stored
	base   int64   // what the room's members read themselves when they came
	timer  *time.Timer
	busy   bool // being read from the database
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

// line finds a thread's line, or makes it if anybody here would miss a message of it. The caller holds s.mu.
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

// sweep forgets the lines that were not used since the last sweep. What is not remembered after that was delivered before it.
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

// take delivers a publication when its turn has come.
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
	if l != nil && p.Follows < 0 { // told again
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

// next delivers the message whose turn it is.
func (o *order) next(s *shard, l *line, p *Post) {
	if p.ID <= l.base { // agents have not heard of it
		forAgents := *p
		forAgents.First = realtime.Group{}
		p = &forAgents
	}
	o.deliver(p)
	l.last, l.unsure = p.ID, false
	s.newest = max(s.newest, p.ID)
}

// hold keeps a message until those before it have come.
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

// arm has a line's gaps read from the database after a time, if there are any then. The caller holds s.mu.
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

// drain delivers what waited for what has just been delivered.
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

// expect holds what comes of a thread until it is known what has been there before.
func (o *order) expect(thread string) {
	s := o.shard(thread)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lines[thread] == nil && !o.agents.Load() {
		s.lines[thread] = &line{pinned: true, busy: true, age: s.age}
	}
}

// opened begins to follow a thread whose newest message is the given one.
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
	} else if l.busy && l.last == 0 { // it was expected
		l.busy, l.last = false, newest
		o.drain(s, l)
		if len(l.held) > 0 {
			o.arm(s, l, thread, patience)
		}
		return
	}
	if newest > l.last { // on its way, or its process ended before it told
		l.target = max(l.target, newest)
		o.arm(s, l, thread, grace)
	}
}

// closed ends that.
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

// follow begins to follow every thread, for agents; newest is the newest message of all.
func (o *order) follow(newest int64) {
	for i := range o.shards {
		s := &o.shards[i]
		s.mu.Lock()
		s.floor, s.newest, s.before = newest, max(s.newest, newest), newest
		s.mu.Unlock()
	}
	o.agents.Store(true)
}

// unfollow ends that.
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

// known makes sure that a thread is delivered up to a message that the database has.
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

// stop delivers what waits as it is, and everything that comes from now on at once. What is being read ends with o.ctx.
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
