package auth

import (
	"container/list"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// maxKeys bounds a limiter's memory: about 250 bytes for each key, so 25 MB at worst.
const maxKeys = 100_000

// Limiter holds one token bucket for each key. The least recently seen key is forgotten when there are too many.
type Limiter struct {
	mu    sync.Mutex
	keys  map[string]*list.Element
	order *list.List // of *bucket, most recent first
	every rate.Limit
	burst int
	now   func() time.Time
}

type bucket struct {
	key    string
	tokens *rate.Limiter
}

// NewLimiter allows count events in each per for a key, all of them at once if it likes; a count of 0 allows everything.
func NewLimiter(count int, per time.Duration, now func() time.Time) *Limiter {
	l := &Limiter{keys: map[string]*list.Element{}, order: list.New(), burst: count, now: now}
	if count > 0 {
		l.every = rate.Limit(float64(count) / per.Seconds())
	}
	return l
}

// Allow takes a token of key's bucket. When there is none it tells after what time there will be one.
func (l *Limiter) Allow(key string) (ok bool, retryAfter time.Duration) {
	if l.burst == 0 {
		return true, 0
	}
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	e, found := l.keys[key]
	if found {
		l.order.MoveToFront(e)
	} else {
		if len(l.keys) >= maxKeys {
			oldest := l.order.Back()
			delete(l.keys, l.order.Remove(oldest).(*bucket).key)
		}
		e = l.order.PushFront(&bucket{key: key, tokens: rate.NewLimiter(l.every, l.burst)})
		l.keys[key] = e
	}
	reservation := e.Value.(*bucket).tokens.ReserveN(now, 1)
	wait := reservation.DelayFrom(now)
	if wait > 0 {
		reservation.CancelAt(now)
		return false, wait
	}
	return true, 0
}

// Forget fills key's bucket again.
func (l *Limiter) Forget(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e, ok := l.keys[key]; ok {
		l.order.Remove(e)
		delete(l.keys, key)
	}
}

// Len gives the number of keys held.
func (l *Limiter) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.keys)
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
