package cluster

import (
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	subscribeMost = 512         // rooms in one command
	linger        = time.Second // how long a room that was left stays subscribed: a reload comes back to it
	awaitTime     = 2 * time.Second
	activateRetry = 200 * time.Millisecond
)

// rooms are those that have members on this process, or had a moment ago.
//
// A room is asked for (SUBSCRIBE), then confirmed by Redis, and then active: it is known up to which message its members are
// served by what they read themselves. Without Redis it becomes active at once.
type rooms struct {
	mu        sync.Mutex
	byName    map[string]*room
	byChannel map[string]*room
	fresh     []*room // not asked for yet
	left      []*room
	due       []*room // to be made active
	asked     int     // asked for and not confirmed
	ps        *redis.PubSub
	complete  chan struct{} // closed when all that were there at the beginning of a connection are confirmed
	wake      chan struct{}
	activate  chan struct{}
}

type room struct {
	name, channel string
	members       bool
	leftAt        time.Time
	asked         bool
	confirmed     bool
	active        bool
	ready         chan struct{} // closed when active
}

func (r *rooms) init() {
	r.byName, r.byChannel = make(map[string]*room), make(map[string]*room)
	r.wake, r.activate = make(chan struct{}, 1), make(chan struct{}, 1)
}

func rouse(wake chan struct{}) {
	select {
	case wake <- struct{}{}:
	default:
	}
}

// Opened is told of a room's first member on this process.
func (c *Cluster) Opened(name string) {
	r := &c.rooms
	r.mu.Lock()
	defer r.mu.Unlock()
	if ro := r.byName[name]; ro != nil {
		ro.members = true
		return
	}
	ro := &room{name: name, channel: c.names.channel(name), members: true, ready: make(chan struct{})}
	r.byName[name], r.byChannel[ro.channel] = ro, ro
	r.fresh = append(r.fresh, ro)
	rouse(r.wake)
}

// Closed is told that the last member has left.
func (c *Cluster) Closed(name string) {
	r := &c.rooms
	r.mu.Lock()
	defer r.mu.Unlock()
	if ro := r.byName[name]; ro != nil && ro.members {
		ro.members, ro.leftAt = false, time.Now()
		r.left = append(r.left, ro)
	}
}

// Await returns when everything that is published to a room anywhere from now on reaches its members here, or will be read from
// the database.
func (c *Cluster) Await(name string) {
	c.rooms.mu.Lock()
	ro := c.rooms.byName[name]
	c.rooms.mu.Unlock()
	if ro == nil {
		return
	}
	select {
	case <-ro.ready:
		return
	default:
	}
	late := time.NewTimer(awaitTime)
	defer late.Stop()
	select {
	case <-ro.ready:
	case <-late.C: // the database is in trouble, and so is whoever comes in
	case <-c.ctx.Done():
	}
}

// heard reports whether this process hears all that is published to a room.
func (r *rooms) heard(name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	ro := r.byName[name]
	return ro != nil && ro.confirmed && ro.active
}

func (r *rooms) subscribed() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.byName)
}

// begin starts a connection: every room is to be asked for. complete is closed when all are confirmed.
func (r *rooms) begin(ps *redis.PubSub) (complete chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reset()
	complete = make(chan struct{})
	r.ps, r.complete = ps, complete
	r.check()
	rouse(r.wake)
	return complete
}

// end ends it.
func (r *rooms) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reset()
	r.ps, r.complete = nil, nil
	rouse(r.wake)
}

func (r *rooms) reset() {
	r.fresh, r.asked = r.fresh[:0], 0
	for _, ro := range r.byName {
		ro.asked, ro.confirmed = false, false
		r.fresh = append(r.fresh, ro)
	}
}

// check tells whoever waits when everything is confirmed. The caller holds r.mu.
func (r *rooms) check() {
	if r.complete != nil && r.asked == 0 && len(r.fresh) == 0 {
		close(r.complete)
		r.complete = nil
	}
}

// confirm notes that Redis has subscribed this process to a channel.
func (r *rooms) confirm(channel string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	ro := r.byChannel[channel]
	if ro == nil || !ro.asked || ro.confirmed {
		return
	}
	ro.confirmed = true
	r.asked--
	if !ro.active {
		r.due = append(r.due, ro)
		rouse(r.activate)
	}
	r.check()
}

// keepRooms subscribes to what has members and unsubscribes from what has had none for a moment.
func (c *Cluster) keepRooms() {
	tick := time.NewTicker(linger / 2)
	defer tick.Stop()
	for {
		select {
		case <-c.rooms.wake:
		case <-tick.C:
		case <-c.ctx.Done():
			return
		}
		for c.subscribeSome() {
		}
		c.unsubscribe()
	}
}

// subscribeSome asks for rooms, and reports whether there may be more.
func (c *Cluster) subscribeSome() bool {
	r := &c.rooms
	r.mu.Lock()
	n := min(len(r.fresh), subscribeMost)
	some := append([]*room(nil), r.fresh[:n]...)
	r.mu.Unlock()
	if n == 0 {
		return false
	}
	for _, ro := range some {
		if thread, ok := strings.CutPrefix(ro.name, c.prefix); ok {
			c.order.expect(thread)
		}
	}
	r.mu.Lock()
	ps := r.ps
	channels := make([]string, 0, n)
	taken := 0
	for _, ro := range some {
		if taken >= len(r.fresh) || r.fresh[taken] != ro { // a connection began or ended meanwhile
			break
		}
		taken++
		if ps == nil {
			if !ro.active {
				r.due = append(r.due, ro)
			}
			continue
		}
		ro.asked = true
		r.asked++
		channels = append(channels, ro.channel)
	}
	r.fresh = r.fresh[taken:]
	if ps == nil {
		rouse(r.activate)
	}
	r.mu.Unlock()
	if len(channels) > 0 {
		if err := ps.Subscribe(c.ctx, channels...); err != nil {
			c.fail(err)
			return false
		}
	}
	return true
}

// unsubscribe lets go of the rooms that were left.
func (c *Cluster) unsubscribe() {
	r := &c.rooms
	r.mu.Lock()
	var gone []*room
	var channels []string
	now := time.Now()
	keep := r.left[:0]
	for _, ro := range r.left {
		switch {
		case ro.members || r.byName[ro.name] != ro: // somebody came back
		case now.Sub(ro.leftAt) < linger || !ro.active || ro.asked && !ro.confirmed:
			keep = append(keep, ro)
		default:
			delete(r.byName, ro.name)
			delete(r.byChannel, ro.channel)
			gone = append(gone, ro)
			if ro.confirmed {
				channels = append(channels, ro.channel)
			}
		}
	}
	clear(r.left[len(keep):])
	r.left = keep
	ps := r.ps
	r.mu.Unlock()
	for _, ro := range gone {
		if thread, ok := strings.CutPrefix(ro.name, c.prefix); ok {
			c.order.closed(thread)
			c.source.Forget(thread)
		} else if ro.name == c.agents {
			c.order.unfollow()
		}
	}
	if ps != nil && len(channels) > 0 {
		if err := ps.Unsubscribe(c.ctx, channels...); err != nil {
			c.fail(err)
		}
	}
}

// activateRooms finds out of rooms that were confirmed what their members can read themselves.
func (c *Cluster) activateRooms() {
	for {
		select {
		case <-c.rooms.activate:
		case <-c.ctx.Done():
			return
		}
		for c.activateSome() {
		}
	}
}

func (c *Cluster) activateSome() bool {
	r := &c.rooms
	r.mu.Lock()
	due := r.due
	r.due = nil
	r.mu.Unlock()
	if len(due) == 0 {
		return false
	}
	var threads []string
	agents := false
	for _, ro := range due {
		if thread, ok := strings.CutPrefix(ro.name, c.prefix); ok {
			threads = append(threads, thread)
		}
		agents = agents || ro.name == c.agents
	}
	if err := c.begin(threads, agents); err != nil {
		r.mu.Lock()
		r.due = append(due, r.due...)
		r.mu.Unlock()
		select {
		case <-time.After(activateRetry):
		case <-c.ctx.Done():
			return false
		}
		return true
	}
	r.mu.Lock()
	for _, ro := range due {
		if !ro.active {
			ro.active = true
			close(ro.ready)
		}
	}
	r.mu.Unlock()
	for _, thread := range threads {
		c.source.Forget(thread) // what was being read when it was not heard of yet
	}
	return true
}

// begin has the order follow threads, or all of them.
func (c *Cluster) begin(threads []string, agents bool) error {
	if agents {
		id, err := c.source.NewestID(c.ctx)
		if err != nil {
			return err
		}
		c.order.follow(id)
	}
	if len(threads) == 0 {
		return nil
	}
	newest, err := c.source.NewestIDs(c.ctx, threads)
	if err != nil {
		return err
	}
	for _, thread := range threads {
		c.order.opened(thread, newest[thread])
	}
	return nil
}
