package auth

import (
	"sync"
	"time"
)

// crowdedPause is after what time somebody who found no room may try again.
const crowdedPause = 10 * time.Second

// Crowd bounds connections: how fast they are opened, how many one address has, and how many there are.
type Crowd struct {
	rate       Tiers // of opening
	perAddress int   // 0 = no bound
	all        int   // 0 = no bound

	mu    sync.Mutex
	here  map[string]int // by address
	total int
}

// NewCrowd bounds the opening by rate and what is open at a time by the two numbers, where 0 is no bound.
func NewCrowd(rate Tiers, perAddress, all int) *Crowd {
	return &Crowd{rate: rate, perAddress: perAddress, all: all, here: make(map[string]int)}
}

// Enter admits a connection from an address; leave must be called when it ends. When there is no room leave is nil, and wait
// says when to try again.
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
