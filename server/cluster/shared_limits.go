package cluster

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	limitsGather = 50 * time.Millisecond
	limitsMost   = 200 // keys per script call
)

// limits share rate limits between processes. Each process decides locally and immediately; what was spent is reported to Redis in
// batches, which returns the total that all processes spent. So no request waits for Redis, and the only way to exceed a limit is by
// using several processes between two reports. Without Redis every process counts alone.
type limits struct {
	mu      sync.Mutex
	pending map[spending]int
	wake    chan struct{}
}

type spending struct {
	limiter *sharedLimiter
	key     string
}

// sharedLimiter is a limiter of this process that is shared with those of the same name on other processes.
type sharedLimiter struct {
	name        string
	every, span time.Duration
	raise       func(key string, left time.Duration)
}

func (l *limits) init() {
	l.pending, l.wake = make(map[spending]int), make(chan struct{}, 1)
}

// limitScript adds spent tokens to the shared state of each key: the time at which the limit will be fully refilled, which each spent
// token moves forward (the generic cell rate algorithm). It returns the microseconds until then. KEYS: the keys; ARGV: for each the
// number of tokens spent (negative: refunded), and the microseconds for refilling one token and all of them.
var limitScript = redis.NewScript(`
local t, answers = redis.call('TIME'), {}
local now = t[1] * 1000000 + t[2]
for i, key in ipairs(KEYS) do
  local n, every, span = tonumber(ARGV[3 * i - 2]), tonumber(ARGV[3 * i - 1]), tonumber(ARGV[3 * i])
  local full = math.min(math.max(tonumber(redis.call('GET', key)) or now, now) + n * every, now + span)
  if full <= now then
    redis.call('DEL', key)
    answers[i] = 0
  else
    redis.call('SET', key, string.format('%.0f', full), 'PX', math.ceil((full - now) / 1000))
    answers[i] = math.floor(full - now)
  end
end
return answers`)

// Limiter is a rate limiter that [Cluster.Share] can share with those of the same name on other processes.
type Limiter interface {
	// Share sets the function to call with every spent token of a key, with negative n for a refund.
	Share(spent func(key string, n int))
	// Raise records that a key will be fully refilled only after a time, because of tokens spent on other processes.
	Raise(key string, left time.Duration)
	// Rate returns the time after which one token is refilled, and all of them.
	Rate() (every, span time.Duration)
}

// Share shares a limiter with the other processes.
func (c *Cluster) Share(name string, l Limiter) {
	every, span := l.Rate()
	if every == 0 {
		return
	}
	shared := &sharedLimiter{name: name, every: every, span: span, raise: l.Raise}
	l.Share(func(key string, n int) {
		if !c.up.Load() {
			return
		}
		c.limits.mu.Lock()
		first := len(c.limits.pending) == 0
		c.limits.pending[spending{shared, key}] += n
		c.limits.mu.Unlock()
		if first {
			rouse(c.limits.wake)
		}
	})
}

func (c *Cluster) keepLimits() {
	for {
		select {
		case <-c.limits.wake:
		case <-c.ctx.Done():
			return
		}
		select {
		case <-time.After(limitsGather):
		case <-c.ctx.Done():
			return
		}
		c.limits.mu.Lock()
		pending := c.limits.pending
		c.limits.pending = make(map[spending]int, len(pending))
		c.limits.mu.Unlock()
		some := make([]spending, 0, min(len(pending), limitsMost))
		for s := range pending {
			if some = append(some, s); len(some) == limitsMost {
				c.tellSpent(some, pending)
				some = some[:0]
			}
		}
		c.tellSpent(some, pending)
	}
}

// tellSpent reports the tokens spent of some keys. If that fails they count only on this process.
func (c *Cluster) tellSpent(some []spending, spent map[spending]int) {
	if len(some) == 0 || !c.up.Load() {
		return
	}
	ctx, cancel := context.WithTimeout(c.ctx, answerTimeout)
	defer cancel()
	keys, args := make([]string, 0, len(some)), make([]any, 0, 3*len(some))
	for _, s := range some {
		keys = append(keys, c.names.limit(s.limiter.name, s.key))
		args = append(args, spent[s], s.limiter.every.Microseconds(), s.limiter.span.Microseconds())
	}
	left, err := limitScript.Run(ctx, c.redis, keys, args...).Int64Slice()
	if err == nil && len(left) != len(some) {
		err = fmt.Errorf("%d answers for %d keys", len(left), len(some))
	}
	if err != nil {
		c.log.Debug("cluster: failed to share rate limits", "error", err)
		return
	}
	for i, s := range some {
		if left[i] > 0 {
			s.limiter.raise(s.key, time.Duration(left[i])*time.Microsecond)
		}
	}
}
