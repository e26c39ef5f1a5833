package cluster

import (
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	subscribeMost = 512         // rooms per command
	linger        = time.Second // how long an empty room stays subscribed, so that a page reload does not resubscribe
	awaitTime     = 2 * time.Second
	activateRetry = 200 * time.Millisecond
)

// rooms are the rooms that have members at this process, or had recently.
//
// A room is first requested (SUBSCRIBE), then confirmed by Redis, and then active: the newest stored message is known, up to which its
// members read history themselves. Without Redis it becomes active immediately.
type rooms struct {
	mu        sync.Mutex
	byName    map[string]*room
	byChannel map[string]*room
	fresh     []*room // not requested yet
	left      []*room
	due       []*room // confirmed, and to be made active
	asked     int     // number of rooms requested and not confirmed
	ps        *redis.PubSub
	complete  chan struct{} // closed when all rooms that existed at the start of a connection are confirmed
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

// Opened implements realtime.Adapter: a room has its first member at this process.
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

// Closed implements realtime.Adapter: a room's last member at this process has left.
func (c *Cluster) Closed(name string) {
	r := &c.rooms
	r.mu.Lock()
	defer r.mu.Unlock()
	if ro := r.byName[name]; ro != nil && ro.members {
		ro.members, ro.leftAt = false, time.Now()
		r.left = append(r.left, ro)
	}
}

// Await returns when everything that any process publishes to a room from now on reaches its members here, directly or by reading the
// database.
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
	case <-late.C: // give up: the database is unavailable, so joining will fail too
	case <-c.ctx.Done():
	}
}

// heard reports whether this process receives everything that is published to a room.
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

// begin starts a connection: every room must be subscribed again. complete is closed when all are confirmed.
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

// end ends a connection.
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

// check closes complete when all rooms are confirmed. The caller holds r.mu.
func (r *rooms) check() {
	if r.complete != nil && r.asked == 0 && len(r.fresh) == 0 {
		close(r.complete)
		r.complete = nil
	}
}

// confirm records that Redis has confirmed a subscription.
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

// keepRooms subscribes to rooms with members and unsubscribes from rooms that have been empty for a while.
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

// subscribeSome subscribes to a batch of rooms, and reports whether there may be more.
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

// unsubscribe unsubscribes from the rooms that have been empty for a while.
func (c *Cluster) unsubscribe() {
	r := &c.rooms
	r.mu.Lock()
	var gone []*room
	var channels []string
	now := time.Now()
	keep := r.left[:0]
	for _, ro := range r.left {
		switch {
		case ro.members || r.byName[ro.name] != ro: // a member has joined again
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

// activateRooms reads the newest message ids of confirmed rooms and makes them active.
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
		c.source.Forget(thread) // the cache may hold a value that was read before changes were announced to this process
	}
	return true
}

// begin makes order track threads, or all threads.
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
