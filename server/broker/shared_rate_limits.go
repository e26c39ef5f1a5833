package broker

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"sohbet/server/signal"
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
	wake    signal.Signal
}

type spending struct {
	limiter *sharedLimiter
	key     string
}

// sharedLimiter is a limiter of this process that is shared with those of the same name on other processes.
type sharedLimiter struct {
	name  string
	rate  func() (every, span time.Duration)
	raise func(key string, left time.Duration)
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

// ShareLimiter shares a limiter with the other processes.
func (r *Redis) ShareLimiter(name string, l Limiter) {
	shared := &sharedLimiter{name: name, rate: l.Rate, raise: l.Raise}
	l.OnSpent(func(key string, n int) {
		if !r.up.Load() {
			return
		}
		r.limits.mu.Lock()
		first := len(r.limits.pending) == 0
		r.limits.pending[spending{shared, key}] += n
		r.limits.mu.Unlock()
		if first {
			r.limits.wake.Set()
		}
	})
}

func (r *Redis) runLimits() {
	for {
		select {
		case <-r.limits.wake:
		case <-r.ctx.Done():
			return
		}
		select {
		case <-time.After(limitsGather):
		case <-r.ctx.Done():
			return
		}
		r.limits.mu.Lock()
		pending := r.limits.pending
		r.limits.pending = make(map[spending]int, len(pending))
		r.limits.mu.Unlock()
		some := make([]spending, 0, min(len(pending), limitsMost))
		for s := range pending {
			if some = append(some, s); len(some) == limitsMost {
				r.reportSpent(some, pending)
				some = some[:0]
			}
		}
		r.reportSpent(some, pending)
	}
}

// reportSpent reports the tokens spent of some keys. If that fails they count only on this process.
func (r *Redis) reportSpent(some []spending, spent map[spending]int) {
	if len(some) == 0 || !r.up.Load() {
		return
	}
	ctx, cancel := context.WithTimeout(r.ctx, answerTimeout)
	defer cancel()
	keys, args := make([]string, 0, len(some)), make([]any, 0, 3*len(some))
	for _, s := range some {
		keys = append(keys, r.names.limit(s.limiter.name, s.key))
		every, span := s.limiter.rate()
		args = append(args, spent[s], every.Microseconds(), span.Microseconds())
	}
	left, err := limitScript.Run(ctx, r.client, keys, args...).Int64Slice()
	if err == nil && len(left) != len(some) {
		err = fmt.Errorf("%d answers for %d keys", len(left), len(some))
	}
	if err != nil {
		r.log.Debug("broker: failed to share rate limits", "error", err)
		return
	}
	for i, s := range some {
		if left[i] > 0 {
			s.limiter.raise(s.key, time.Duration(left[i])*time.Microsecond)
		}
	}
}
