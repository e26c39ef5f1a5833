package auth

import (
	"hash/maphash"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// maxKeys limits a limiter's memory: about 40 bytes per key, so 4 MB at most.
const maxKeys = 100_000

// Limiter has one token bucket per key. It stores only the time at which each bucket will be full (the generic cell rate algorithm,
// ITU-T I.371), under a hash of the key with a random seed. With too many keys those with the fullest buckets are removed, so an
// exhausted bucket cannot be reset by flooding the limiter with other keys.
type Limiter struct {
	seed  maphash.Seed
	rate  atomic.Pointer[rate]
	now   func() time.Time
	start time.Time
	spent func(key string, n int) // see OnSpent; may be nil

	mu   sync.Mutex
	full map[uint64]time.Duration // by hashed key: time since start
}

// rate is the refill time of one token and of a whole bucket; 0 = no limit.
type rate struct{ every, span time.Duration }

// NewLimiter allows count events per key in each period per, in a burst if the bucket is full; a count of 0 allows everything.
func NewLimiter(count int, per time.Duration, now func() time.Time) *Limiter {
	l := &Limiter{seed: maphash.MakeSeed(), now: now, start: now(), full: make(map[uint64]time.Duration)}
	l.SetRate(count, per)
	return l
}

// SetRate changes what [NewLimiter] was given. It may be called at any time; a bucket that misses tokens is full no later than a whole new
// one would be.
func (l *Limiter) SetRate(count int, per time.Duration) {
	var r rate
	if count > 0 {
		r.every = max(per/time.Duration(count), 1)
		r.span = r.every * time.Duration(count)
	}
	l.rate.Store(&r)
}

// OnSpent sets a function that is called with every token taken, with negative n for returned ones. Call it before the limiter is used.
func (l *Limiter) OnSpent(spent func(key string, n int)) { l.spent = spent }

// Rate returns the refill time of one token and of a whole bucket; 0 if there is no limit.
func (l *Limiter) Rate() (every, span time.Duration) {
	r := l.rate.Load()
	return r.every, r.span
}

// Raise records that key's bucket will not be full before a time, because of tokens taken on other processes.
func (l *Limiter) Raise(key string, left time.Duration) {
	h, now := maphash.String(l.seed, key), l.now().Sub(l.start)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.full[h] = max(l.full[h], now+min(left, l.rate.Load().span))
}

// Allow takes a token from key's bucket. If there is none it returns the time until there is one.
func (l *Limiter) Allow(key string) (ok bool, retryAfter time.Duration) { return l.AllowN(key, 1) }

// AllowN takes n tokens from key's bucket, or its whole capacity if that is less. If there are fewer it takes none.
func (l *Limiter) AllowN(key string, n int) (ok bool, retryAfter time.Duration) {
	r := l.rate.Load()
	if r.every == 0 || n < 1 {
		return true, 0
	}
	n = r.most(n)
	if ok, retryAfter = l.allow(r, key, n); ok && l.spent != nil {
		l.spent(key, n)
	}
	return ok, retryAfter
}

// most returns n, limited to the capacity of a bucket.
func (r *rate) most(n int) int { return min(n, int(r.span/r.every)) }

func (l *Limiter) allow(r *rate, key string, n int) (ok bool, retryAfter time.Duration) {
	h, now := maphash.String(l.seed, key), l.now().Sub(l.start)
	l.mu.Lock()
	defer l.mu.Unlock()
	full, found := l.full[h]
	if !found && len(l.full) >= maxKeys {
		l.sweep(now)
	}
	// After the clock was set back, clients must not be locked out for long.
	full = min(max(full, now), now+r.span) + time.Duration(n)*r.every
	if wait := full - r.span - now; wait > 0 {
		return false, wait
	}
	l.full[h] = full
	return true, 0
}

// Spend takes n tokens from key's bucket, or as many as there are, for an operation that turned out to be more expensive.
func (l *Limiter) Spend(key string, n int) {
	r := l.rate.Load()
	if r.every == 0 || n < 1 {
		return
	}
	h, now := maphash.String(l.seed, key), l.now().Sub(l.start)
	l.mu.Lock()
	defer l.mu.Unlock()
	full := max(l.full[h], now)
	left := int((now + r.span - full) / r.every)
	if n = min(n, left); n < 1 {
		return
	}
	l.full[h] = full + time.Duration(n)*r.every
	if l.spent != nil {
		l.spent(key, n)
	}
}

// Return returns a token that Allow took.
func (l *Limiter) Return(key string) { l.returnN(key, 1) }

func (l *Limiter) returnN(key string, n int) {
	r := l.rate.Load()
	if r.every == 0 || n < 1 {
		return
	}
	n = r.most(n)
	h := maphash.String(l.seed, key)
	l.mu.Lock()
	defer l.mu.Unlock()
	if full, found := l.full[h]; found {
		l.full[h] = full - time.Duration(n)*r.every
		if l.spent != nil {
			l.spent(key, -n)
		}
	}
}

// Forget refills key's bucket.
func (l *Limiter) Forget(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.full, maphash.String(l.seed, key))
	if r := l.rate.Load(); l.spent != nil && r.every > 0 {
		l.spent(key, -int(r.span/r.every))
	}
}

// Len returns the number of keys stored.
func (l *Limiter) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.full)
}

// sweep removes the keys whose buckets are full, and if those are less than a tenth, the fullest tenth. The caller holds l.mu.
func (l *Limiter) sweep(now time.Duration) {
	all := make([]time.Duration, 0, len(l.full))
	for _, full := range l.full {
		all = append(all, full)
	}
	slices.Sort(all)
	limit := max(now, all[len(all)/10])
	room := len(all) / 10
	for h, full := range l.full {
		if full <= now || full < limit || full == limit && len(l.full) > maxKeys-room {
			delete(l.full, h)
		}
	}
}

// Tiers limits a client, all clients at its address, and all clients together. A nil tier is unlimited.
type Tiers struct{ Each, Address, All *Limiter }

// Allow takes a token from each tier, or from none.
func (t Tiers) Allow(key, address string) (ok bool, retryAfter time.Duration) {
	return t.AllowN(key, address, 1)
}

// AllowN takes n tokens from each tier, or from none.
func (t Tiers) AllowN(key, address string, n int) (ok bool, retryAfter time.Duration) {
	taken := make([]func(), 0, 3)
	for _, tier := range [...]struct {
		limiter *Limiter
		key     string
	}{{t.Each, key}, {t.Address, address}, {t.All, ""}} {
		if tier.limiter == nil {
			continue
		}
		ok, wait := tier.limiter.AllowN(tier.key, n)
		if !ok {
			for _, giveBack := range taken {
				giveBack()
			}
			return false, wait
		}
		taken = append(taken, func() { tier.limiter.returnN(tier.key, n) })
	}
	return true, 0
}

// Spend takes n tokens from each tier, or as many as there are.
func (t Tiers) Spend(key, address string, n int) {
	for _, tier := range [...]struct {
		limiter *Limiter
		key     string
	}{{t.Each, key}, {t.Address, address}, {t.All, ""}} {
		if tier.limiter != nil {
			tier.limiter.Spend(tier.key, n)
		}
	}
}

// AddressKey returns the limiter key of an address: the address itself, but for IPv6 its /64, which one customer usually has.
func AddressKey(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	ip = ip.Unmap().WithZone("")
	if ip.Is4() {
		return ip.String()
	}
	return netip.PrefixFrom(ip, 64).Masked().String()
}
