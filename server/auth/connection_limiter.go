package auth

import (
	"sync"
	"time"
)

// crowdedPause is the retry interval for a client that was refused because of too many connections.
const crowdedPause = 10 * time.Second

// Crowd limits connections: the rate at which they are opened, their number per address, and their total.
type Crowd struct {
	rate       Tiers // of opening connections
	perAddress int   // 0 = unlimited
	all        int   // 0 = unlimited

	mu    sync.Mutex
	here  map[string]int // by address
	total int
}

// NewCrowd returns a Crowd with a rate limit for opening connections, and maximum numbers of open connections; 0 is unlimited.
func NewCrowd(rate Tiers, perAddress, all int) *Crowd {
	return &Crowd{rate: rate, perAddress: perAddress, all: all, here: make(map[string]int)}
}

// Enter admits a connection from an address; leave must be called when it ends. If it is refused, leave is nil and wait is the time
// until a retry.
func (c *Crowd) Enter(address string) (leave func(), wait time.Duration) {
	key := AddressKey(address)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all > 0 && c.total >= c.all || c.perAddress > 0 && c.here[key] >= c.perAddress {
		return nil, crowdedPause
	}
	if ok, wait := c.rate.Allow("", key); !ok {
		return nil, wait
	}
	c.here[key]++
	c.total++
	var once sync.Once
	return func() { once.Do(func() { c.leave(key) }) }, 0
}

func (c *Crowd) leave(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.total--
	if c.here[key]--; c.here[key] == 0 {
		delete(c.here, key)
	}
}
