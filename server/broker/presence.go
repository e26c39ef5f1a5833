package broker

import (
	"context"
	"errors"
	"math"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"sohbet/server/signal"
)

// presenceMost is the maximum number of visitors per script call.
const presenceMost = 500

// presence shares with the other processes which visitors are connected here.
//
// Each process has a set of visitors in Redis and sends heartbeats. What is queued is not what happened but who has changed: a set is
// brought in line with the visitors connected when it is written. Every change that makes a visitor online or offline is announced to all
// processes with its version, and each tells its clients only what is newer than what it told before (view). When the heartbeats of a
// process stop, the first one to notice takes over its set and announces the visitors that have not reconnected elsewhere.
//
// While Redis is away this process tells its own clients of its own visitors. Afterwards it brings its set in line, compares what it told
// with Redis, and tells the differences.
type presence struct {
	mu    sync.Mutex
	ops   map[string]presenceOp // changes to write to Redis, by thread
	claim bool                  // the whole set has to be compared with the visitors here
	doubt map[string]bool       // visitors whose state is to be read from Redis

	wake, check signal.Signal
	view        view
	pause       pause
	checked     atomic.Int64 // comparisons with Redis that were finished
}

// presenceOp is a change of a visitor at this process.
type presenceOp struct {
	here     func() bool
	announce func(online bool, version int64, local bool) // nil = Visitors.Announce
	again    bool                                         // an attempt failed; Redis may have the change, but it was not announced
}

func (r *Redis) id() string { return strconv.FormatUint(r.self, 36) }

// VisitorChanged records that a visitor arrived at this process or left it; here tells which, when it is called. If that makes the visitor
// online or offline on all processes together, announce is called: to tell the clients of all processes, or with local those of this one.
func (r *Redis) VisitorChanged(thread string, here func() bool, announce func(online bool, version int64, local bool)) {
	if _, ok := r.names.thread(thread); !ok {
		announce(here(), r.presence.view.next(), false)
		return
	}
	r.presence.queue(thread, presenceOp{here: here, announce: announce})
	r.presence.wake.Set()
}

func (p *presence) queue(thread string, op presenceOp) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if before, ok := p.ops[thread]; ok {
		op.again = op.again || before.again
		if op.announce == nil {
			op.announce = before.announce
		}
	}
	if p.ops == nil {
		p.ops = make(map[string]presenceOp)
	}
	p.ops[thread] = op
}

// take removes up to most changes from the queue.
func (p *presence) take(most int) map[string]presenceOp {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.ops) <= most {
		taken := p.ops
		p.ops = nil
		return taken
	}
	taken := make(map[string]presenceOp, most)
	for thread, op := range p.ops {
		if len(taken) == most {
			break
		}
		taken[thread] = op
		delete(p.ops, thread)
	}
	return taken
}

// claimAll requests that this process's set is brought in line with the visitors connected here.
func (p *presence) claimAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.claim = true
	p.wake.Set()
}

func (p *presence) takeClaim() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	claim := p.claim
	p.claim = false
	return claim
}

// runPresence writes changes and sends heartbeats.
func (r *Redis) runPresence() {
	tick := time.NewTicker(heartbeatEvery)
	defer tick.Stop()
	for {
		select {
		case <-r.presence.wake:
		case <-tick.C:
			r.presence.pause.since(time.Now())
			if r.up.Load() {
				r.heartbeat()
			}
		case <-r.ctx.Done():
			return
		}
		r.reportPresence()
	}
}

// reportPresence writes the queued changes.
func (r *Redis) reportPresence() {
	p := &r.presence
	for r.up.Load() && r.ctx.Err() == nil {
		err := r.claim()
		if err == nil {
			ops := p.take(presenceMost)
			if len(ops) == 0 {
				return
			}
			err = r.report(ops)
		}
		if err != nil {
			r.log.Debug("broker: failed to share presence", "error", err)
			if reply := redis.Error(nil); !errors.As(err, &reply) {
				r.fail(err)
			}
			return // until the next connection or heartbeat
		}
	}
	if r.up.Load() {
		return
	}
	for thread, op := range p.take(math.MaxInt) {
		if op.announce != nil {
			visitor, _ := r.names.thread(thread)
			online := op.here()
			op.announce(online, p.view.change(visitor, online), true)
		}
		if op.again {
			p.queue(thread, op)
		}
	}
}

// claim queues the differences between this process's set and the visitors here, if that was requested. After a pause it first waits until
// connections that have ended meanwhile are noticed, and claims only visitors that are still connected.
func (r *Redis) claim() error {
	p := &r.presence
	if !p.takeClaim() {
		return nil
	}
	ago := p.pause.since(time.Now())
	if ago < settleTime {
		select {
		case <-time.After(settleTime - ago):
		case <-r.ctx.Done():
		}
	}
	here := r.local.Visitors.VisitorsHere(ago < pausedLately)
	queue := func(thread string) {
		p.queue(thread, presenceOp{here: func() bool {
			online, _ := r.local.Visitors.VisitorHere(thread)
			return online
		}})
	}
	for _, thread := range here {
		queue(thread)
	}
	err := r.members(r.ctx, r.id(), func(visitor string) {
		if thread, ok := r.names.id(visitor); ok {
			queue(thread)
		}
	})
	if err != nil {
		p.claimAll()
	}
	return err
}

// members calls f with the visitors in a process's set, some of them perhaps twice.
func (r *Redis) members(ctx context.Context, process string, f func(visitor string)) error {
	for cursor := uint64(0); ; {
		ctx, cancel := context.WithTimeout(ctx, answerTimeout)
		found, next, err := r.client.SScan(ctx, r.names.visitors()+process, cursor, "", 2*presenceMost).Result()
		cancel()
		if err != nil {
			return err
		}
		for _, visitor := range found {
			f(visitor)
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}

// report writes changes to Redis and announces those that make a visitor online or offline on all processes together.
func (r *Redis) report(ops map[string]presenceOp) error {
	threads, online := make([]string, 0, len(ops)), make([]bool, 0, len(ops))
	args := make([]any, 0, 3+len(ops))
	args = append(args, r.names.visitors(), r.id(), r.presence.view.highest())
	for thread, op := range ops {
		visitor, ok := r.names.thread(thread)
		if !ok {
			continue
		}
		mode, here := "-", op.here()
		if here {
			mode = "+"
		}
		threads, online, args = append(threads, thread), append(online, here), append(args, mode+visitor)
	}
	version, answers, err := r.runScript(r.ctx, presenceScript, 1+len(threads), args...)
	if err != nil {
		for thread, op := range ops {
			r.presence.mu.Lock()
			newer, ok := r.presence.ops[thread]
			r.presence.mu.Unlock()
			if ok {
				op = newer
			}
			op.again = true
			r.presence.queue(thread, op)
		}
		return err
	}
	if answers[0] == 1 { // Redis lost its data, or this process was taken for crashed
		r.presence.claimAll()
	}
	claimed := make(map[bool][]string)
	for i, thread := range threads {
		elsewhere, moved := answers[i+1]&1 == 1, answers[i+1]&2 == 2
		op := ops[thread]
		switch {
		case op.again && online[i]:
		case elsewhere, !moved && !op.again:
			continue
		}
		if op.announce == nil {
			claimed[online[i]] = append(claimed[online[i]], thread)
		} else {
			op.announce(online[i], version, false)
		}
	}
	for online, threads := range claimed {
		r.local.Visitors.Announce(r.ctx, threads, online, version, false)
	}
	return nil
}

// takePresence delivers an announcement of a visitor's presence to the clients of this process if it is news.
func (r *Redis) takePresence(d *Delivery) {
	visitor, ok := r.names.thread(d.Thread)
	if !ok {
		r.local.Sockets.Publish(d.Publication)
	} else if o, _ := r.presence.view.apply(visitor, state(d.Presence), func() { r.local.Sockets.Publish(d.Publication) }); o == unknown {
		r.presence.ask(visitor)
	}
	d.done()
}

// Online returns for each thread whether its visitor is online at any process, and the version as of which that is so. Queued changes are
// missing. While Redis is away it is what the clients of this process were told.
func (r *Redis) Online(ctx context.Context, threads []string) (online []bool, versions []int64) {
	online, versions = make([]bool, len(threads)), make([]int64, len(threads))
	visitors, places := make([]string, 0, len(threads)), make([]int, 0, len(threads))
	for i, thread := range threads {
		if v, ok := r.names.thread(thread); ok {
			visitors, places = append(visitors, v), append(places, i)
		}
	}
	for len(visitors) > 0 {
		n := min(len(visitors), presenceMost)
		var version int64
		found, err := []bool(nil), redis.ErrClosed
		if r.up.Load() {
			version, found, err = r.isOnline(ctx, visitors[:n])
		}
		for i, visitor := range visitors[:n] {
			at := places[i]
			if err != nil {
				s := r.presence.view.get(visitor)
				online[at], versions[at] = s.online(), s.version()
			} else {
				online[at], versions[at] = found[i], version
			}
		}
		visitors, places = visitors[n:], places[n:]
	}
	return online, versions
}
