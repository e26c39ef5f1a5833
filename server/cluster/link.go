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
	silence       = 3 * time.Second // without a word from Redis, it is away
	retryLow      = 100 * time.Millisecond
	retryHigh     = time.Second
	// regather is how long a process that has Redis again waits before it tells what it could not tell: the others are to be
	// back by then.
	regather  = 2 * time.Second
	stepEvery = 3 * time.Second // between looks into the database while Redis is away
	stepBack  = time.Minute     // how far those look back beyond the moment at which it went away: clocks differ
	stepMost  = 5000            // threads
)

// connect keeps the connection on which other processes' publications come.
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
		first = false // others may have told something meanwhile
		c.rooms.end()
		c.source.ForgetAll()
		if !known {
			known = true
			c.log.Warn("Redis is away: this process goes on by itself until it is back", "error", c.lastError())
		}
		select {
		case <-time.After(wait):
		case <-c.ctx.Done():
		}
		wait = min(2*wait, retryHigh)
	}
}

// noteError remembers why Redis could not be used, unless a better reason is known already.
func (c *Cluster) noteError(err error) {
	var network net.Error
	why := "it refused"
	switch {
	case errors.Is(err, redis.ErrClosed):
		return
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		why = "no answer in time"
	case errors.As(err, &network):
		why = "no connection"
	case strings.HasPrefix(err.Error(), "WRONGPASS"), strings.HasPrefix(err.Error(), "NOAUTH"):
		why = "wrong user or password"
	case strings.HasPrefix(err.Error(), "LOADING"):
		why = "it is starting"
	}
	c.lastErr.Store(&why)
}

func (c *Cluster) lastError() string {
	if why := c.lastErr.Load(); why != nil {
		return *why
	}
	return ""
}

// listen is one connection, from its beginning to its end.
func (c *Cluster) listen(first bool) error {
	ctx, end := context.WithCancel(c.ctx)
	defer end()
	ps := c.redis.Subscribe(ctx)
	defer func() { _ = ps.Close() }() // it ended already, or nobody uses it any more
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
	beside.Go(func() { // so that silence means something
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
	defer context.AfterFunc(ctx, func() { _ = ps.Close() })() // ends the waiting below
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

// connected ends the time without Redis.
func (c *Cluster) connected(ctx context.Context, first bool) {
	if !first {
		c.look(ctx)
		c.counters.reconnected.Add(1)
		c.log.Info("Redis is back", "away_ms", time.Now().UnixMilli()-c.since.Load(), "waiting", c.out.waiting())
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

// receive takes in what another process, or this one, sent.
func (c *Cluster) receive(payload string) {
	from, sent, err := sender(payload)
	if err == nil && (from == c.self || c.others.repeated(from, sent)) { // it hears itself too, in the rooms that it is in
		return
	}
	p, err2 := decode([]byte(payload))
	if err := errors.Join(err, err2); err != nil {
		c.log.Debug("cluster: something else speaks on our channels", "error", err)
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

// keepStep looks into the database while Redis is away, and when there is reason to think that something was not told.
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

// look has everything delivered that the database has and the members of rooms here have not heard of.
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
			c.log.Debug("cluster: cannot look into the database", "error", err)
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
			c.log.Debug("cluster: cannot look into the database", "error", err)
			return
		}
		for thread, id := range newest {
			c.order.known(thread, id)
		}
		threads = threads[n:]
	}
}
