package broker

import (
	"context"
	"sync"
	"time"
)

const (
	catchUpDown = 3 * time.Second // interval between checks of the database while Redis is unavailable
	catchUpUp   = time.Minute     // otherwise
	// grace is how long a stored message may take to arrive through Redis before it is read from the database.
	grace = time.Second
)

// catchUp checks the database for messages that did not arrive.
//
// Ids are in commit order only within a thread: a message may be committed after one of another thread with a greater id. So a check
// begins not after the newest id of the last one, but after one from at least catchUpUp ago, which is longer than any transaction.
type catchUp struct {
	mu           sync.Mutex
	older, newer mark
}

// mark is the newest id at a time.
type mark struct {
	id int64
	at time.Time
}

// run has the messages delivered that did not arrive within a time.
func (c *catchUp) run(ctx context.Context, r *Redis, wait time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	now := time.Now()
	newest, err := r.local.Store.NewestIDs(ctx, c.older.id)
	if err != nil {
		r.log.Debug("broker: failed to check the database for missed messages", "error", err)
		return
	}
	latest := c.newer.id
	for thread, id := range newest {
		latest = max(latest, id)
		r.sequencer.known(thread, id, wait)
	}
	if now.Sub(c.newer.at) >= catchUpUp {
		c.older, c.newer = c.newer, mark{latest, now}
	}
}

// due reports whether a check is due while Redis is available.
func (c *catchUp) due() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Since(c.newer.at) >= catchUpUp
}

// runCatchUp checks the database for missed messages often during an outage, seldom otherwise, and on request.
func (r *Redis) runCatchUp() {
	tick := time.NewTicker(catchUpDown)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if r.up.Load() && !r.catchUp.due() {
				continue
			}
		case <-r.missed:
		case <-r.ctx.Done():
			return
		}
		wait := grace
		if !r.up.Load() {
			wait = 0
		}
		r.catchUp.run(r.ctx, r, wait)
	}
}
