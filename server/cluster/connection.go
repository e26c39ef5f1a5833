package cluster

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	dialTimeout   = time.Second
	answerTimeout = 2 * time.Second
	pingEvery     = time.Second
	silence       = 3 * time.Second // without any data from Redis for this long it counts as unavailable
	retryLow      = 100 * time.Millisecond
	retryHigh     = time.Second
	// regather is how long a process waits after reconnecting to Redis before it sends queued packets, so that the others have
	// reconnected by then.
	regather  = 2 * time.Second
	stepEvery = 3 * time.Second // interval between checks of the database while Redis is unavailable
	stepBack  = time.Minute     // how far the checks look back before the start of the outage, because clocks differ
	stepMost  = 5000            // maximum number of threads per check
)

// connect maintains the connection that receives other processes' packets.
func (c *Cluster) connect() {
	c.since.Store(time.Now().UnixMilli())
	wait, known, first := retryLow, false, true
	for c.ctx.Err() == nil {
		err := c.listen(first)
		if c.ctx.Err() != nil {
			return
		}
		c.noteError(err)
		if c.up.Swap(false) {
			c.since.Store(time.Now().UnixMilli())
			wait, known = retryLow, false
		}
		first = false // later connections may have missed packets
		c.rooms.end()
		c.source.ForgetAll()
		if !known {
			known = true
			c.log.Warn("Redis is unavailable; this process works alone until it reconnects", "error", c.lastError())
		}
		select {
		case <-time.After(wait):
		case <-c.ctx.Done():
		}
		wait = min(2*wait, retryHigh)
	}
}

// noteError stores the reason why Redis cannot be used. A closed connection does not replace the reason for which it was closed.
func (c *Cluster) noteError(err error) {
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
	c.lastErr.Store(&why)
}

func (c *Cluster) lastError() string {
	if why := c.lastErr.Load(); why != nil {
		return *why
	}
	return ""
}

// listen runs one connection until it fails.
func (c *Cluster) listen(first bool) error {
	ctx, end := context.WithCancel(c.ctx)
	defer end()
	ps := c.redis.Subscribe(ctx)
	defer func() { _ = ps.Close() }() // it is already closed, or no longer used
	if err := ps.Subscribe(ctx, c.names.all()); err != nil {
		return err
	}
	if _, err := ps.ReceiveTimeout(ctx, answerTimeout); err != nil {
		return err
	}
	c.session.Store(ps)
	defer c.session.Store(nil)
	complete := c.rooms.begin(ps)
	var beside sync.WaitGroup
	defer beside.Wait()
	defer end()
	beside.Go(func() { // pings make Redis respond regularly, so that silence means an outage
		tick := time.NewTicker(pingEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				if err := ps.Ping(ctx); err != nil {
					c.fail(err)
				}
			case <-ctx.Done():
				return
			}
		}
	})
	beside.Go(func() {
		select {
		case <-complete:
		case <-ctx.Done():
			return
		}
		if !first {
			select {
			case <-time.After(regather):
			case <-ctx.Done():
				return
			}
		}
		c.connected(ctx, first)
	})
	defer context.AfterFunc(ctx, func() { _ = ps.Close() })() // unblocks ReceiveTimeout below
	for {
		m, err := ps.ReceiveTimeout(ctx, silence)
		if err != nil {
			return err
		}
		switch m := m.(type) {
		case *redis.Subscription:
			if m.Kind == "subscribe" {
				c.rooms.confirm(m.Channel)
			}
		case *redis.Message:
			c.receive(m.Payload)
		}
	}
}

// connected ends an outage.
func (c *Cluster) connected(ctx context.Context, first bool) {
	if !first {
		c.look(ctx)
		c.counters.reconnected.Add(1)
		c.log.Info("reconnected to Redis", "away_ms", time.Now().UnixMilli()-c.since.Load(), "waiting", c.out.waiting())
	}
	if ctx.Err() != nil {
		return
	}
	c.since.Store(time.Now().UnixMilli())
	c.up.Store(true)
	rouse(c.out.wake)
	c.tellHere()
	c.beat()
	if !first {
		c.source.Resync()
	}
}

// receive handles a packet from another process.
func (c *Cluster) receive(payload string) {
	from, sent, err := sender(payload)
	if err == nil && (from == c.self || c.others.repeated(from, sent)) { // a process also receives its own packets to the rooms that it is subscribed to
		return
	}
	p, err2 := decode([]byte(payload))
	if err := errors.Join(err, err2); err != nil {
		c.log.Debug("cluster: received an invalid packet", "error", err)
		return
	}
	c.counters.received.Add(1)
	switch p.kind {
	case kindPost:
		if p.post.Thread != "" {
			c.source.Forget(p.post.Thread)
		}
		c.order.take(&p.post)
	case kindForget:
		if p.post.Thread == "" {
			c.source.ForgetAll()
		} else {
			c.source.Forget(p.post.Thread)
		}
	case kindBye:
		c.others.gone(p.from)
	case kindTurned:
		c.source.Turned(p.name)
	case kindCleared:
		c.source.ForgetAll()
		c.source.ClearedAll()
	case kindResync:
		rouse(c.step)
		c.source.Resync()
	}
}

// keepStep checks the database for missed messages periodically during an outage, and on request.
func (c *Cluster) keepStep() {
	tick := time.NewTicker(stepEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if c.up.Load() {
				continue
			}
		case <-c.step:
		case <-c.ctx.Done():
			return
		}
		c.look(c.ctx)
	}
}

// look finds the messages in the database that members of rooms at this process have not received, and has them delivered.
func (c *Cluster) look(ctx context.Context) {
	since := time.Now()
	if away := time.UnixMilli(c.since.Load()); !c.up.Load() && away.Before(since) {
		since = away
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if c.order.agents.Load() {
		newest, err := c.source.NewestIDsSince(ctx, since.Add(-stepBack), stepMost)
		if err != nil {
			c.log.Debug("cluster: failed to check the database for missed messages", "error", err)
			return
		}
		for thread, id := range newest {
			c.order.known(thread, id)
		}
	}
	threads := c.order.pinned()
	for len(threads) > 0 {
		n := min(len(threads), 1000)
		newest, err := c.source.NewestIDs(ctx, threads[:n])
		if err != nil {
			c.log.Debug("cluster: failed to check the database for missed messages", "error", err)
			return
		}
		for thread, id := range newest {
			c.order.known(thread, id)
		}
		threads = threads[n:]
	}
}
