package auth

import (
	"sync"
	"time"
)

// connectionRetryAfter is the retry interval for a client that was refused because of too many connections.
const connectionRetryAfter = 10 * time.Second

// ConnectionLimiter limits connections: the rate at which they are opened, their number per address, and their total.
type ConnectionLimiter struct {
	rate       Tiers // of opening connections
	perAddress int   // 0 = unlimited
	all        int   // 0 = unlimited

	mu    sync.Mutex
	open  map[string]int // by address
	total int
}

// NewConnectionLimiter returns a ConnectionLimiter with a rate limit for opening connections, and maximum numbers of open connections; 0 is unlimited.
func NewConnectionLimiter(rate Tiers, perAddress, all int) *ConnectionLimiter {
	return &ConnectionLimiter{rate: rate, perAddress: perAddress, all: all, open: make(map[string]int)}
}

// Enter admits a connection from an address; leave must be called when it ends. If it is refused, leave is nil and wait is the time
// until a retry.
func (c *ConnectionLimiter) Enter(address string) (leave func(), wait time.Duration) {
	key := AddressKey(address)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all > 0 && c.total >= c.all || c.perAddress > 0 && c.open[key] >= c.perAddress {
		return nil, connectionRetryAfter
	}
	if ok, wait := c.rate.Allow("", key); !ok {
		return nil, wait
	}
	c.open[key]++
	c.total++
	var once sync.Once
	return func() { once.Do(func() { c.leave(key) }) }, 0
}

func (c *ConnectionLimiter) leave(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.total--
	if c.open[key]--; c.open[key] == 0 {
		delete(c.open, key)
	}
}
