// Package cluster lets several processes serve one chat: what one process publishes reaches the members of rooms on all of them in the
// same order, and presence and rate limits are shared.
//
// Redis is the transport (Pub/Sub, and keys that expire). No data is lost with it: messages are in the database, and a process that
// missed one on Redis detects that by the ids and reads it from there. During a Redis outage every process works alone and polls the
// database for messages that the others stored; after it, queued packets are sent.
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
	Thread string // id of the thread it is about; "" for none
	// ID is the id of the message that it announces, 0 if none, and Follows the id of the previous message in the thread, or -1 if that
	// is unknown and the message may have been announced before.
	ID, Follows int64
	Then        func() // called when it has been delivered here; may be nil
}

func call(fn func()) {
	if fn != nil {
		fn()
	}
}

func (p *Post) then() { call(p.Then) }

// Source is what the cluster needs from the store and the chat of its process.
type Source interface {
	// Recall returns the publications of a thread's messages with after < id <= upTo, oldest first and at most limit, and whether there
	// are more.
	Recall(ctx context.Context, thread string, after, upTo int64, limit int) (found []Post, more bool, err error)
	// Settle returns when everything that this process committed before has been published.
	Settle(ctx context.Context) error
	NewestID(ctx context.Context) (int64, error)
	NewestIDs(ctx context.Context, threads []string) (map[string]int64, error)
	NewestIDsSince(ctx context.Context, since time.Time, limit int) (map[string]int64, error)
	// Forget evicts a thread from the cache, ForgetAll every thread.
	Forget(thread string)
	ForgetAll()
	// Turned and ClearedAll apply a change that another process announced.
	Turned(what string)
	ClearedAll()
	// Resync asks clients to refetch all state other than messages, because announcements of changes may have been lost.
	Resync()
	// VisitorsHere lists the threads whose visitors are connected to this process. Lost is called for a visitor whose process crashed
	// and who has not reconnected elsewhere.
	VisitorsHere() []string
	Lost(ctx context.Context, thread string)
}

// Options configure a [Cluster].
type Options struct {
	URL    string   // redis:// or rediss://
	Family [32]byte // a secret that only the processes of one database share
	Agents string   // the room whose members receive the messages of every thread
	Thread string   // prefix of the names of threads' rooms, followed by the id
	Log    *slog.Logger
}

// Cluster connects this process to the others. It is safe for concurrent use.
type Cluster struct {
	redis  *redis.Client
	names  *names
	self   uint64
	agents string // name of the agents' room
	prefix string // prefix of the names of threads' rooms
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
	step     chan struct{} // requests a check of the database for missed messages
	lastErr  atomic.Pointer[string]
	others   others
	ctx      context.Context // ends with Close
	cancel   context.CancelFunc
	working  sync.WaitGroup
	counters counters
}

// counters are totals since the start.
type counters struct{ published, received, dropped, reconnected atomic.Int64 }

// Stats are totals since the start and the current state.
type Stats struct {
	Up         bool
	Processes  int // live processes, including this one
	Rooms      int // rooms that this process is subscribed to
	Waiting    int // packets queued for Redis
	Published  int64
	Received   int64
	Dropped    int64 // packets dropped because the queue was full
	Held       int64 // messages that arrived before their predecessor
	Recalled   int64 // messages read from the database because they had not arrived
	Repeated   int64 // messages that arrived a second time
	Reconnects int64
}

// New returns a Cluster. It connects when it is started.
func New(o Options) (*Cluster, error) {
	opt, err := redis.ParseURL(o.URL)
	if err != nil {
		return nil, fmt.Errorf("REDIS_URL cannot be parsed; it should look like redis://user:password@host:6379/0")
	}
	// Short timeouts without retries: while Redis does not respond, operations continue without it.
	opt.DialTimeout, opt.ReadTimeout, opt.WriteTimeout, opt.ContextTimeoutEnabled = dialTimeout, answerTimeout, answerTimeout, true
	opt.MaxRetries, opt.PoolSize, opt.Protocol, opt.DisableIdentity = -1, 4, 2, true
	opt.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	redis.SetLogger(silent{}) // errors are logged here, once per outage
	names, err := newNames(o.Family)
	if err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	var id [8]byte
	_, _ = rand.Read(id[:]) // cannot fail: crypto/rand crashes the program instead
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

// Start connects to the other processes in the background until Close is called.
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

// Close sends queued packets, notifies the others that this process is leaving, and disconnects. Publish must not be called after it.
func (c *Cluster) Close(ctx context.Context) error {
	if c.source != nil {
		_ = c.source.Settle(ctx) // if the store fails there is nothing left to publish
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

// Publish delivers a publication to the members of its rooms: on this process when it is in sequence, and on all others. It does not
// wait for them.
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

// Changed notifies the processes with members in a thread's room that the thread changed; "" notifies all processes that every thread
// did.
func (c *Cluster) Changed(thread string) {
	if thread == "" {
		c.toAll(packet{kind: kindForget})
		return
	}
	c.tell(&packet{kind: kindForget, from: c.self, post: Post{Thread: thread}}, []string{c.names.channel(c.prefix + thread)}, false)
}

// Turned notifies every process of a change that is not about one thread.
func (c *Cluster) Turned(what string) {
	if c.out.turn(what) {
		c.toAll(packet{kind: kindTurned, name: what})
	}
}

// ClearedAll notifies every process that all threads were deleted.
func (c *Cluster) ClearedAll() { c.toAll(packet{kind: kindCleared}) }

// Hears reports whether changes of a thread by other processes are announced to this process.
func (c *Cluster) Hears(thread string) bool { return c.up.Load() && c.rooms.heard(c.prefix+thread) }

// Check returns why Redis cannot be used, nil if it can.
func (c *Cluster) Check() error {
	if c.up.Load() {
		return nil
	}
	if why := c.lastErr.Load(); why != nil {
		return fmt.Errorf("no connection to Redis (%s): each process works alone", *why)
	}
	return errors.New("not connected to Redis yet")
}

// Stats returns the current statistics.
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
