// Package cluster makes several processes behind one address one chat: what is published on one reaches the members of rooms
// on all, in one order, and who is here and how much anybody may still do is known to all.
//
// Redis carries it (Pub/Sub, and keys that expire). It holds nothing that would be missed: messages are in the database, and a
// process that missed something on Redis notices that by the ids and reads it there. While Redis is away every process goes on
// by itself and looks into the database every few seconds for what the others stored; when it is back, what could not be told
// is told.
package cluster

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"sohbet/server/realtime"
)

// Post is a publication to the members of rooms on all processes.
type Post struct {
	realtime.Publication
	Thread string // that it is about; "" for none
	// ID is that of the message it tells of, 0 if it tells of none, and Follows the id of the thread's message before that; -1
	// if that is not known and the message may have been told of before.
	ID, Follows int64
	Then        func() // runs when it has been delivered here; nil for nothing
}

func call(fn func()) {
	if fn != nil {
		fn()
	}
}

func (p *Post) then() { call(p.Then) }

// Source is what the cluster asks of the rest of its process.
type Source interface {
	// Recall returns what was published of a thread's messages with ids above after and not above upTo, oldest first and at most
	// limit, and whether there are more.
	Recall(ctx context.Context, thread string, after, upTo int64, limit int) (found []Post, more bool, err error)
	// Settle returns when all that this process has committed has been published.
	Settle(ctx context.Context) error
	NewestID(ctx context.Context) (int64, error)
	NewestIDs(ctx context.Context, threads []string) (map[string]int64, error)
	NewestIDsSince(ctx context.Context, since time.Time, limit int) (map[string]int64, error)
	// Forget drops what memory holds of a thread, ForgetAll of all.
	Forget(thread string)
	ForgetAll()
	// Turned and ClearedAll take in what another process has done.
	Turned(what string)
	ClearedAll()
	// Resync has clients look anew at all that is no message: others may have told of it while it was not heard here.
	Resync()
	// VisitorsHere lists the threads whose visitors are here; Lost is told of one whose process ended without a word.
	VisitorsHere() []string
	Lost(ctx context.Context, thread string)
}

// Options are the parts of a [Cluster].
type Options struct {
	URL    string   // redis:// or rediss://
	Family [32]byte // a secret that the processes of one database share
	Agents string   // the room whose members hear of every thread
	Thread string   // what the name of a thread's room begins with, before its id
	Log    *slog.Logger
}

// Cluster is this process's part in it. Its methods may be called from any goroutine.
type Cluster struct {
	redis  *redis.Client
	names  *names
	self   uint64
	agents string // name of a room
	prefix string // of the names of threads' rooms
	log    *slog.Logger

	// Set by Start.
	source   Source
	realtime *realtime.Server
	order    *order

	out      outbox
	rooms    rooms
	here     presence
	limits   limits
	up       atomic.Bool
	since    atomic.Int64 // Unix milliseconds of the last change of up
	session  atomic.Pointer[redis.PubSub]
	step     chan struct{} // asks for a look into the database
	lastErr  atomic.Pointer[string]
	others   others
	ctx      context.Context // ends with Close
	cancel   context.CancelFunc
	working  sync.WaitGroup
	counters counters
}

// counters are numbers since the start.
type counters struct{ published, received, dropped, reconnected atomic.Int64 }

// Stats are numbers since the start, and how things stand.
type Stats struct {
	Up         bool
	Processes  int // that live, this one included
	Rooms      int // that this process is subscribed to
	Waiting    int // publications that wait for Redis
	Published  int64
	Received   int64
	Dropped    int64 // publications that found no room to wait
	Held       int64 // messages that came before the one that they follow
	Recalled   int64 // messages read from the database because they had not come
	Repeated   int64 // messages that came a second time
	Reconnects int64
}

// New makes this process's part. It connects when it is started.
func New(o Options) (*Cluster, error) {
	opt, err := redis.ParseURL(o.URL)
	if err != nil {
		return nil, fmt.Errorf("REDIS_URL cannot be read; it should look like redis://user:password@host:6379/0")
	}
	// A Redis that does not answer is away: what waits for it goes on without.
	opt.DialTimeout, opt.ReadTimeout, opt.WriteTimeout, opt.ContextTimeoutEnabled = dialTimeout, answerTimeout, answerTimeout, true
	opt.MaxRetries, opt.PoolSize, opt.Protocol, opt.DisableIdentity = -1, 4, 2, true
	opt.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	redis.SetLogger(silent{}) // what it would say is said here, once
	names, err := newNames(o.Family)
	if err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails: crypto/rand ends the program instead
	c := &Cluster{
		redis: redis.NewClient(opt), names: names, self: binary.BigEndian.Uint64(id[:]), agents: o.Agents, prefix: o.Thread, log: o.Log,
		step: make(chan struct{}, 1),
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.out.init()
	c.rooms.init()
	c.here.init()
	c.limits.init()
	c.others.seen = make(map[uint64]*other)
	return c, nil
}

type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

type logFunc func(what string, err error)

// Start connects this process with the others, in the background, and goes on until Close.
func (c *Cluster) Start(rt *realtime.Server, source Source) {
	c.realtime, c.source = rt, source
	c.order = newOrder(c.ctx, source, c.up.Load, func(p *Post) {
		rt.Publish(p.Publication)
		p.then()
	}, func(what string, err error) { c.log.Debug("cluster: "+what, "error", err) })
	for _, work := range []func(){c.connect, c.send, c.keepStep, c.keepRooms, c.activateRooms, c.keepPresence, c.keepLimits} {
		c.working.Go(work)
	}
}

// Close sends what is on its way, says goodbye and disconnects. Nothing may be published to it after that.
func (c *Cluster) Close(ctx context.Context) error {
	if c.source != nil {
		_ = c.source.Settle(ctx) // a store that fails has nothing that could be published
		c.toAll(packet{kind: kindBye})
		c.out.drain(ctx, c.up.Load)
		c.order.stop()
	}
	c.cancel()
	c.working.Wait()
	if c.order != nil {
		c.order.working.Wait()
	}
	return c.redis.Close()
}

// Publish delivers a publication to the members of its rooms, on this process when its turn has come and on all others. It does
// not wait for them.
func (c *Cluster) Publish(p *Post) {
	pk := packet{kind: kindPost, from: c.self, post: *p}
	var channels []string
	if p.First.Room != "" && len(p.First.Frames) > 0 {
		channels = append(channels, c.names.channel(p.First.Room))
	}
	if p.Second.Room != "" && len(p.Second.Frames) > 0 && p.Second.Room != p.First.Room {
		channels = append(channels, c.names.channel(p.Second.Room))
	}
	if len(channels) > 0 {
		c.tell(&pk, channels, p.Volatile)
	}
	c.order.take(p)
}

// tell queues a packet for the other processes.
func (c *Cluster) tell(p *packet, channels []string, volatile bool) {
	if volatile && !c.up.Load() {
		return
	}
	if !c.out.number(p, channels) {
		c.counters.dropped.Add(1)
	}
}

// toAll queues a packet for every process.
func (c *Cluster) toAll(p packet) {
	p.from = c.self
	c.tell(&p, []string{c.names.all()}, false)
}

// Changed tells the processes that follow a thread that it changed; "" tells all that every thread did.
func (c *Cluster) Changed(thread string) {
	if thread == "" {
		c.toAll(packet{kind: kindForget})
		return
	}
	c.tell(&packet{kind: kindForget, from: c.self, post: Post{Thread: thread}}, []string{c.names.channel(c.prefix + thread)}, false)
}

// Turned tells every process that something for all changed.
func (c *Cluster) Turned(what string) {
	if c.out.turn(what) {
		c.toAll(packet{kind: kindTurned, name: what})
	}
}

// ClearedAll tells every process that all threads were deleted.
func (c *Cluster) ClearedAll() { c.toAll(packet{kind: kindCleared}) }

// Hears reports whether what other processes change in a thread is known here at once.
func (c *Cluster) Hears(thread string) bool { return c.up.Load() && c.rooms.heard(c.prefix+thread) }

// Check reports why Redis cannot be used, nil when it can.
func (c *Cluster) Check() error {
	if c.up.Load() {
		return nil
	}
	if why := c.lastErr.Load(); why != nil {
		return fmt.Errorf("no answer from Redis (%s): each process goes on by itself", *why)
	}
	return errors.New("not connected to Redis yet")
}

// Stats returns the numbers.
func (c *Cluster) Stats() Stats {
	s := Stats{
		Up: c.up.Load(), Processes: c.others.count() + 1, Rooms: c.rooms.subscribed(), Waiting: c.out.waiting(),
		Published: c.counters.published.Load(), Received: c.counters.received.Load(), Dropped: c.counters.dropped.Load(),
		Reconnects: c.counters.reconnected.Load(),
	}
	if c.order != nil {
		s.Held, s.Recalled, s.Repeated = c.order.held.Load(), c.order.recalled.Load(), c.order.repeated.Load()
	}
	return s
}
