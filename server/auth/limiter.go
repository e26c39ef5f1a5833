package auth

import (
	"hash/maphash"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// maxKeys bounds a limiter's memory: about 40 bytes for each key, so 4 MB at worst.
const maxKeys = 100_000

// Limiter holds one token bucket for each key. Of a key only the moment is kept at which its bucket will be full again (the
// generic cell rate algorithm, ITU-T I.371), under a hash of the key that nobody outside can predict. When there are too many
// keys those are forgotten whose buckets are fullest, so whoever has spent theirs cannot get a new one by a flood of others.
type Limiter struct {
	seed  maphash.Seed
	every time.Duration // for one token
	span  time.Duration // for all of them
	now   func() time.Time
	start time.Time
	spent func(key string, n int) // nil: nobody else counts

	mu   sync.Mutex
	full map[uint64]time.Duration // since start
}

// NewLimiter allows count events in each per for a key, all of them at once if it likes; a count of 0 allows everything.
func NewLimiter(count int, per time.Duration, now func() time.Time) *Limiter {
	l := &Limiter{seed: maphash.MakeSeed(), now: now, start: now(), full: make(map[uint64]time.Duration)}
	if count > 0 {
		l.every = max(per/time.Duration(count), 1)
		l.span = l.every * time.Duration(count)
	}
	return l
}

// Share has every token told that is taken, n below zero when some are given back, so that others can count it. Call it before
// the limiter is used.
func (l *Limiter) Share(spent func(key string, n int)) { l.spent = spent }

// Rate is the time after which one token comes back, and all of them; 0 when there is no limit.
func (l *Limiter) Rate() (every, span time.Duration) { return l.every, l.span }

// Raise notes that key's bucket will be full again after a time at the earliest: for what others took of it.
func (l *Limiter) Raise(key string, left time.Duration) {
	h, now := maphash.String(l.seed, key), l.now().Sub(l.start)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.full[h] = max(l.full[h], now+min(left, l.span))
}

// Allow takes a token of key's bucket. When there is none it tells after what time there will be one.
func (l *Limiter) Allow(key string) (ok bool, retryAfter time.Duration) { return l.AllowN(key, 1) }

// AllowN takes n tokens of key's bucket, or all that it can hold if that is less. When there are not so many it takes none.
func (l *Limiter) AllowN(key string, n int) (ok bool, retryAfter time.Duration) {
	if l.every == 0 || n < 1 {
		return true, 0
	}
	n = l.most(n)
	if ok, retryAfter = l.allow(key, n); ok && l.spent != nil {
		l.spent(key, n)
	}
	return ok, retryAfter
}

// most is n, or what a bucket holds if that is less.
func (l *Limiter) most(n int) int { return min(n, int(l.span/l.every)) }

func (l *Limiter) allow(key string, n int) (ok bool, retryAfter time.Duration) {
	h, now := maphash.String(l.seed, key), l.now().Sub(l.start)
	l.mu.Lock()
	defer l.mu.Unlock()
	full, found := l.full[h]
	if !found && len(l.full) >= maxKeys {
		l.sweep(now)
	}
	// A clock that was set back must not lock anybody out for long.
	full = min(max(full, now), now+l.span) + time.Duration(n)*l.every
	if wait := full - l.span - now; wait > 0 {
		return false, wait
	}
	l.full[h] = full
	return true, 0
}

// Spend takes n tokens of key's bucket, or as many as there are, for what turned out to cost more than was asked for.
func (l *Limiter) Spend(key string, n int) {
	if l.every == 0 || n < 1 {
		return
	}
	h, now := maphash.String(l.seed, key), l.now().Sub(l.start)
	l.mu.Lock()
	defer l.mu.Unlock()
	full := max(l.full[h], now)
	left := int((now + l.span - full) / l.every)
	if n = min(n, left); n < 1 {
		return
	}
	l.full[h] = full + time.Duration(n)*l.every
	if l.spent != nil {
		l.spent(key, n)
	}
}

// Return gives back a token that Allow took.
func (l *Limiter) Return(key string) { l.returnN(key, 1) }

func (l *Limiter) returnN(key string, n int) {
	if l.every == 0 || n < 1 {
		return
	}
	n = l.most(n)
	h := maphash.String(l.seed, key)
	l.mu.Lock()
	defer l.mu.Unlock()
	if full, found := l.full[h]; found {
		l.full[h] = full - time.Duration(n)*l.every
		if l.spent != nil {
			l.spent(key, -n)
		}
	}
}

// Forget fills key's bucket again.
func (l *Limiter) Forget(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.full, maphash.String(l.seed, key))
	if l.spent != nil {
		l.spent(key, -int(l.span/l.every))
	}
}

// Len gives the number of keys held.
func (l *Limiter) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.full)
}

// sweep forgets the keys whose buckets are full, and if that is not a tenth of all, the fullest tenth. The caller holds l.mu.
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

// Tiers limits whoever asks, everybody at their address, and everybody together. A nil tier has no limit.
type Tiers struct{ Each, Address, All *Limiter }

// Allow takes a token of each tier, or of none.
func (t Tiers) Allow(key, address string) (ok bool, retryAfter time.Duration) {
	return t.AllowN(key, address, 1)
}

// AllowN takes n tokens of each tier, or of none.
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

// Spend takes n tokens of each tier, or as many as there are.
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

// AddressKey gives the limiter key of an address: itself, but for IPv6 its /64, which is what one customer has at will.
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
