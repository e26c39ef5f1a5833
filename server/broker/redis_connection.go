package broker

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	dialTimeout   = time.Second
	answerTimeout = 2 * time.Second
	pingEvery     = time.Second
	silence       = 3 * time.Second // without any data from Redis for this long it counts as unavailable
	retryLow      = 100 * time.Millisecond
	retryHigh     = 500 * time.Millisecond
	revisionsMost = 500 // threads per query
)

// runConnection maintains the connection that receives other processes' packets.
func (r *Redis) runConnection() {
	r.since.set()
	wait, logged, first := retryLow, false, true
	for r.ctx.Err() == nil {
		err := r.receiveAll(first)
		if r.ctx.Err() != nil {
			return
		}
		r.noteError(err)
		if r.up.Swap(false) {
			r.since.set()
			wait, logged = retryLow, false
			r.presence.wake.Set()
		}
		first = false // later connections may have missed packets
		r.local.Store.ForgetAll()
		if !logged {
			logged = true
			r.log.Warn("Redis is unavailable; this process works alone until it reconnects", "error", r.lastError())
		}
		select {
		case <-time.After(wait):
		case <-r.ctx.Done():
		}
		wait = min(2*wait, retryHigh)
	}
}

// moment is a point in time that may be read while it is set. It keeps the monotonic clock's reading, because the other may be set back.
type moment struct{ at atomic.Pointer[time.Time] }

func (m *moment) set() {
	now := time.Now()
	m.at.Store(&now)
}

// ago returns the time since then, 0 if it was never set.
func (m *moment) ago() time.Duration {
	if at := m.at.Load(); at != nil {
		return time.Since(*at)
	}
	return 0
}

// noteError stores the reason why Redis cannot be used. A closed connection does not replace the reason for which it was closed.
func (r *Redis) noteError(err error) {
	var network net.Error
	why := "request refused"
	switch {
	case errors.Is(err, redis.ErrClosed):
		return
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		why = "timeout"
	case errors.As(err, &network):
		why = "no connection"
	case strings.HasPrefix(err.Error(), "WRONGPASS"), strings.HasPrefix(err.Error(), "NOAUTH"):
		why = "wrong user or password"
	case strings.HasPrefix(err.Error(), "LOADING"):
		why = "Redis is starting"
	}
	r.lastErr.Store(&why)
}

func (r *Redis) lastError() string {
	if why := r.lastErr.Load(); why != nil {
		return *why
	}
	return ""
}

// receiveAll runs one connection until it fails.
func (r *Redis) receiveAll(first bool) error {
	ctx, end := context.WithCancel(r.ctx)
	defer end()
	session := r.client.Subscribe(ctx)
	defer func() { _ = session.Close() }() // it is already closed, or no longer used
	if err := session.Subscribe(ctx, r.names.all()); err != nil {
		return err
	}
	if _, err := session.ReceiveTimeout(ctx, answerTimeout); err != nil {
		return err
	}
	r.session.Store(session)
	defer r.session.Store(nil)
	var working sync.WaitGroup
	defer working.Wait()
	defer end()
	working.Go(func() { r.connected(ctx, first) })
	working.Go(func() { // pings make Redis respond regularly, so that silence means an outage
		tick := time.NewTicker(pingEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				if err := session.Ping(ctx); err != nil {
					r.fail(err)
				}
			case <-ctx.Done():
				return
			}
		}
	})
	defer context.AfterFunc(ctx, func() { _ = session.Close() })() // unblocks ReceiveTimeout below
	for {
		m, err := session.ReceiveTimeout(ctx, silence)
		if err != nil {
			return err
		}
		if m, ok := m.(*redis.Message); ok {
			r.receive(m.Payload)
		}
	}
}

// connected ends an outage.
func (r *Redis) connected(ctx context.Context, first bool) {
	r.catchUp.run(ctx, r, 0)
	if ctx.Err() != nil {
		return
	}
	if !first {
		r.reconnected.Add(1)
		r.log.Info("reconnected to Redis", "away_ms", r.since.ago().Milliseconds(), "waiting", r.queue.waiting())
	}
	r.dropStale(ctx)
	r.since.set()
	r.up.Store(true)
	r.local.Store.ForgetAll() // a read that began before the connection may be about to be cached
	r.queue.wake.Set()
	r.heartbeat()
	r.presence.claimAll()
	r.presence.check.Set()
	if !first {
		r.local.Visitors.Resync()
	}
}

// dropStale drops the queued changes of threads that have changed since.
func (r *Redis) dropStale(ctx context.Context) {
	for threads := range slices.Chunk(r.queue.changed(), revisionsMost) {
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		current, err := r.local.Store.Revisions(ctx, threads)
		cancel()
		if err != nil { // they are sent, and the receivers drop those that they know to be old
			r.log.Debug("broker: failed to look for outdated publications", "error", err)
			return
		}
		r.dropped.Add(r.queue.dropStale(current))
	}
}

// fail closes the receiving connection after an error on the sending side, so that both reconnect together.
func (r *Redis) fail(err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	r.noteError(err)
	if session := r.session.Load(); session != nil {
		_ = session.Close() // ends receiveAll with an error
	}
}

// receive handles a packet from another process.
func (r *Redis) receive(payload string) {
	from, sequence, err := sender(payload)
	if err == nil && (from == r.self || r.peers.repeated(from, sequence)) { // a process also receives its own packets
		return
	}
	p, err2 := decode([]byte(payload))
	if err := errors.Join(err, err2); err != nil {
		r.log.Debug("broker: received an invalid packet", "error", err)
		return
	}
	r.received.Add(1)
	switch p.kind {
	case kindDelivery:
		if p.delivery.Presence != 0 {
			r.takePresence(&p.delivery)
			return
		}
		if p.delivery.Thread != "" {
			r.local.Store.Forget(p.delivery.Thread)
		}
		r.sequencer.take(&p.delivery)
	case kindChanged:
		r.local.Store.Forget(p.delivery.Thread)
	case kindBye:
		r.peers.gone(p.from)
		r.missed.Set()
	case kindTopic:
		for _, fn := range r.topics[p.topic] {
			fn()
		}
	case kindShared:
		if fn := r.shared[p.topic]; fn != nil {
			fn(p.from, p.data)
		}
	case kindResync:
		r.missed.Set()
		r.presence.check.Set()
		r.local.Visitors.Resync()
	}
}
