package broker

import (
	"sync"
	"time"
)

// clock numbers changes of presence. The numbers grow: they are microseconds of Unix time, or follow the highest number seen if that is
// later, so that they also grow when a counter is lost or clocks differ. They are below 2^53 and fit into the numbers of JavaScript.
type clock struct{ highest int64 }

func (c *clock) next() int64 {
	c.highest = max(c.highest+1, time.Now().UnixMicro())
	return c.highest
}

// current returns the last number, or the time if there was none.
func (c *clock) current() int64 {
	if c.highest == 0 {
		return c.next()
	}
	return c.highest
}

func (c *clock) seen(version int64) { c.highest = max(c.highest, version) }

// tombstones is how long, in the microseconds of a clock, an offline visitor's version is remembered.
const tombstones = int64(10 * time.Minute / time.Microsecond)

// view is what the clients of this process have been told of the visitors of all processes. Its keys are encrypted thread ids.
type view struct {
	mu     sync.Mutex
	clock  clock
	states map[string]state
	online int
	floor  int64 // no version of a deleted entry was higher
}

// state is the version of a visitor's last change, negative if the visitor went offline.
type state int64

func (s state) online() bool { return s > 0 }

func (s state) version() int64 { return max(int64(s), -int64(s)) }

func stateOf(online bool, version int64) state {
	if online {
		return state(version)
	}
	return state(-version)
}

// outcome is the result of view.apply.
type outcome uint8

const (
	stale   outcome = iota
	newer           // it is newer than what is known
	unknown         // the visitor's last change may have been forgotten: Redis knows
)

// apply takes a visitor's state over if it is newer, and then calls deliver, before any later change of a visitor is delivered.
func (v *view) apply(visitor string, s state, deliver func()) (o outcome, changed bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.clock.seen(s.version())
	before, ok := v.states[visitor]
	switch {
	case !ok && s.version() <= v.floor:
		return unknown, false
	case s.version() <= before.version():
		return stale, false
	}
	v.set(visitor, s)
	call(deliver)
	return newer, !ok || before.online() != s.online()
}

// set stores a state. The caller holds v.mu.
func (v *view) set(visitor string, s state) {
	if v.states == nil {
		v.states = make(map[string]state)
	}
	if v.states[visitor].online() {
		v.online--
	}
	v.states[visitor] = s
	if s.online() {
		v.online++
	} else if len(v.states) > 2*v.online+4096 {
		v.sweep()
	}
}

// sweep deletes old entries of offline visitors, or all if most are not old.
func (v *view) sweep() {
	for _, before := range []int64{v.clock.highest - tombstones, v.clock.highest} {
		for visitor, s := range v.states {
			if !s.online() && s.version() <= before {
				v.floor = max(v.floor, s.version())
				delete(v.states, visitor)
			}
		}
		if len(v.states) <= v.online+2048 {
			return
		}
	}
}

// change records a state that this process found on its own and returns its version.
func (v *view) change(visitor string, online bool) int64 {
	v.mu.Lock()
	defer v.mu.Unlock()
	version := v.clock.next()
	v.set(visitor, stateOf(online, version))
	return version
}

func (v *view) get(visitor string) state {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.states[visitor]
}

// next returns a new version, highest the last one seen.
func (v *view) next() int64 {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.clock.next()
}

func (v *view) highest() int64 {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.clock.highest
}

func (v *view) seen(version int64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.clock.seen(version)
}

// visitors returns the visitors that are online.
func (v *view) visitors() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	list := make([]string, 0, v.online)
	for visitor, s := range v.states {
		if s.online() {
			list = append(list, visitor)
		}
	}
	return list
}
