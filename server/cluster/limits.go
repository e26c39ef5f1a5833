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
	limitsMost   = 200 // keys that one script is given
)

// limits add up what is spent of rate limits on all processes. Each decides by itself, at once; what was spent is told
// afterwards, gathered, and answered with what everybody together has spent. So nobody waits for Redis, and what can be had
// beyond a limit by asking several processes is what fits between two tellings. Without Redis every process counts alone.
type limits struct {
	mu      sync.Mutex
	pending map[spending]int
	wake    chan struct{}
}

type spending struct {
	limiter *sharedLimiter
	key     string
}

// sharedLimiter is a limiter of this process that others have too, under the same name.
type sharedLimiter struct {
	name        string
	every, span time.Duration
	raise       func(key string, left time.Duration)
}

func (l *limits) init() {
	l.pending, l.wake = make(map[spending]int), make(chan struct{}, 1)
}

// limitScript adds to what was spent: of each key, all is whole again at a moment that each spending moves on (the generic cell
// rate algorithm). It answers in how many microseconds that is. KEYS: those; ARGV: of each the number spent (below zero: given
// back), and the microseconds that one and all of them take.
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

// Limiter is one that [Cluster.Share] makes one with those of the same name on other processes.
type Limiter interface {
	// Share has every spending of a key told, n below zero when it was given back.
	Share(spent func(key string, n int))
	// Raise notes that a key will be whole again only after a time.
	Raise(key string, left time.Duration)
	// Rate is the time after which one comes back, and all of them.
	Rate() (every, span time.Duration)
}

// Share adds a limiter.
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

// tellSpent tells what was spent of some keys. What does not reach Redis counts here alone.
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
		c.log.Debug("cluster: limits are not added up", "error", err)
		return
	}
	for i, s := range some {
		if left[i] > 0 {
			s.limiter.raise(s.key, time.Duration(left[i])*time.Microsecond)
		}
	}
}
