package broker

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

	"sohbet/server/metrics"
	"sohbet/server/signal"
)

// Options configure a [Redis].
type Options struct {
	URL    string   // redis:// or rediss://
	Family [32]byte // a secret that only the processes of one database share
	Log    *slog.Logger
}

// Redis connects this process to others by one Redis channel, which carries everything that they publish, and by keys that expire. While
// Redis is unavailable every process works alone and polls the database for messages that the others stored; what it publishes is queued.
// It is safe for concurrent use.
type Redis struct {
	client *redis.Client
	names  *names
	self   uint64
	log    *slog.Logger

	// Set by Start.
	local     Local
	sequencer *sequencer

	topics    map[string][]func()                          // set before Start
	shared    map[string]func(process uint64, data string) // set before Start
	queue     sendQueue
	presence  presence
	delivered revisions
	limits    limits
	peers     peers
	catchUp   catchUp
	up        atomic.Bool
	since     moment // of the last change of up
	session   atomic.Pointer[redis.PubSub]
	missed    signal.Signal // requests a check of the database for missed messages
	lastErr   atomic.Pointer[string]
	ctx       context.Context // ends with Close
	cancel    context.CancelFunc
	working   sync.WaitGroup

	published, received, dropped, reconnected atomic.Int64 // totals since the start
}

// NewRedis returns a broker, which connects when it is started.
func NewRedis(o Options) (*Redis, error) {
	opt, err := redis.ParseURL(o.URL)
	if err != nil {
		return nil, fmt.Errorf("REDIS_URL cannot be parsed; it should look like redis://user:password@host:6379/0")
	}
	// Short timeouts without retries: while Redis does not respond, operations continue without it.
	opt.DialTimeout, opt.ReadTimeout, opt.WriteTimeout, opt.ContextTimeoutEnabled = dialTimeout, answerTimeout, answerTimeout, true
	opt.MaxRetries, opt.PoolSize, opt.Protocol, opt.DisableIdentity = -1, 4, 2, true
	opt.ConnMaxIdleTime = silence // after an outage old connections may be dead without an error
	opt.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	redis.SetLogger(silent{}) // errors are logged here, once per outage
	names, err := newNames(o.Family)
	if err != nil {
		return nil, fmt.Errorf("broker: %w", err)
	}
	var id [8]byte
	_, _ = rand.Read(id[:]) // cannot fail: crypto/rand crashes the program instead
	r := &Redis{
		client: redis.NewClient(opt), names: names, self: binary.BigEndian.Uint64(id[:]), log: o.Log,
		topics: make(map[string][]func()), shared: make(map[string]func(uint64, string)), missed: signal.New(),
		queue:    sendQueue{wake: signal.New(), topics: make(map[string]*outgoing)},
		presence: presence{wake: signal.New(), check: signal.New()},
		limits:   limits{wake: signal.New(), pending: make(map[spending]int)},
		peers:    peers{seen: make(map[uint64]*peer)},
	}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	return r, nil
}

type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

// Start connects to the other processes in the background until Close is called.
func (r *Redis) Start(ctx context.Context, l Local) error {
	newest, err := l.Store.NewestID(ctx)
	if err != nil {
		return err
	}
	r.local = l
	r.catchUp.older = mark{newest, time.Now()}
	r.catchUp.newer = r.catchUp.older
	r.sequencer = newSequencer(r.ctx, newest, l, r.up.Load, func(d *Delivery) {
		r.delivered.deliver(d, l.Sockets)
		d.done()
	}, r.log)
	for _, work := range []func(){r.runConnection, r.runSender, r.runCatchUp, r.runPresence, r.runPresenceChecks, r.runLimits} {
		r.working.Go(work)
	}
	return nil
}

// Close sends queued packets, notifies the others that this process is leaving, and disconnects. Publish must not be called after it.
func (r *Redis) Close(ctx context.Context) error {
	if r.sequencer != nil {
		_ = r.local.Store.Flush(ctx) // if the store fails there is nothing left to publish
		r.send(packet{kind: kindBye})
		r.queue.drain(ctx, r.up.Load)
		r.sequencer.stop()
	}
	r.cancel()
	r.working.Wait()
	if r.sequencer != nil {
		r.sequencer.working.Wait()
	}
	return r.client.Close()
}

// Publish delivers a publication to the members of its rooms: on this process when it is in sequence, and on all others. It does not
// wait for them.
func (r *Redis) Publish(d *Delivery) {
	if r.up.Load() || !d.Volatile {
		r.send(packet{kind: kindDelivery, delivery: *d})
	}
	if d.Presence != 0 {
		r.takePresence(d)
		return
	}
	r.sequencer.take(d)
}

// Reaches reports that a room may have members on some process.
func (r *Redis) Reaches(string) bool { return true }

// Changed notifies the other processes that a thread changed.
func (r *Redis) Changed(thread string) {
	r.send(packet{kind: kindChanged, delivery: Delivery{Thread: thread}})
}

// Notify makes the other processes call the functions subscribed to a topic. Of several notifications that are queued only the last is
// sent.
func (r *Redis) Notify(topic string) { r.send(packet{kind: kindTopic, topic: topic}) }

// Subscribe sets a function to call when another process notifies of a topic. It must not be called after Start.
func (r *Redis) Subscribe(topic string, fn func()) { r.topics[topic] = append(r.topics[topic], fn) }

// Share sends data to the other processes, unless Redis is unavailable.
func (r *Redis) Share(topic, data string) {
	if r.up.Load() {
		r.send(packet{kind: kindShared, topic: topic, data: data})
	}
}

// OnShared sets the function to call with what another process shares. It must not be called after Start.
func (r *Redis) OnShared(topic string, fn func(process uint64, data string)) { r.shared[topic] = fn }

// send queues a packet for the other processes.
func (r *Redis) send(p packet) {
	p.from = r.self
	if !r.queue.add(&p) {
		r.dropped.Add(1)
	}
}

// Current reports whether this process learns at once of changes that others make.
func (r *Redis) Current() bool { return r.up.Load() }

// HandOver returns how long a process that shuts down spreads the disconnects of its clients, who reconnect to other processes.
func (*Redis) HandOver() time.Duration { return 4 * time.Second }

// Check returns why Redis cannot be used, nil if it can.
func (r *Redis) Check() (on bool, err error) {
	if r.up.Load() {
		return true, nil
	}
	if why := r.lastError(); why != "" {
		return true, fmt.Errorf("no connection to Redis (%s): each process works alone", why)
	}
	return true, errors.New("not connected to Redis yet")
}

// Register adds the metrics.
func (r *Redis) Register(m *metrics.Metrics) {
	m.Group([]metrics.Number{
		{Name: "sohbet_cluster_up", Help: "Whether this process is connected to the others through Redis."},
		{Name: "sohbet_cluster_processes", Help: "Live processes, including this one."},
		{Name: "sohbet_cluster_waiting", Help: "Publications queued for Redis."},
		{Name: "sohbet_cluster_published_total", Help: "Publications sent to the others.", Counter: true},
		{Name: "sohbet_cluster_received_total", Help: "Publications received from the others.", Counter: true},
		{Name: "sohbet_cluster_dropped_total", Help: "Publications dropped because the queue was full.", Counter: true},
		{Name: "sohbet_cluster_held_total", Help: "Messages held until their predecessor arrived.", Counter: true},
		{Name: "sohbet_cluster_recalled_total", Help: "Messages read from the database because they had not arrived.", Counter: true},
		{Name: "sohbet_cluster_repeated_total", Help: "Messages that arrived a second time.", Counter: true},
		{Name: "sohbet_cluster_reconnects_total", Help: "Reconnections to Redis.", Counter: true},
	}, func() []float64 {
		up := 0.0
		if r.up.Load() {
			up = 1
		}
		values := []float64{up, float64(r.peers.count() + 1), float64(r.queue.waiting())}
		s := r.sequencer
		for _, total := range []*atomic.Int64{&r.published, &r.received, &r.dropped, &s.held, &s.backfilled, &s.repeated, &r.reconnected} {
			values = append(values, float64(total.Load()))
		}
		return values
	})
}
