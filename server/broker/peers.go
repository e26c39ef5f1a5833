package broker

import (
	"slices"
	"strconv"
	"sync"
	"time"
)

const (
	heartbeatEvery = 2 * time.Second
	heartbeatLost  = 8 * time.Second // a process without a heartbeat for this long counts as crashed
)

// peers tracks the other processes by the packets received from them.
type peers struct {
	mu   sync.Mutex
	seen map[uint64]*peer
}

type peer struct {
	last uint64 // sequence number of its last packet
	at   time.Time
}

// repeated records a packet and reports whether it was received before: a packet is sent again if it is unknown whether it arrived.
func (p *peers) repeated(from, sequence uint64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	one := p.seen[from]
	if one == nil {
		one = &peer{}
		p.seen[from] = one
	}
	one.at = time.Now()
	if sequence == 0 { // not numbered
		return false
	}
	if sequence <= one.last {
		return true
	}
	one.last = sequence
	return false
}

// among reports whether all known processes are in a list.
func (p *peers) among(processes []string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id := range p.seen {
		if !slices.Contains(processes, strconv.FormatUint(id, 36)) {
			return false
		}
	}
	return true
}

// gone removes a process.
func (p *peers) gone(id uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.seen, id)
}

// lost removes the processes that have not sent anything for heartbeatLost, and reports whether there were any.
func (p *peers) lost() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	found := false
	for id, one := range p.seen {
		if time.Since(one.at) > heartbeatLost {
			delete(p.seen, id)
			found = true
		}
	}
	return found
}

func (p *peers) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.seen)
}
