package cluster

import (
	"sync"
	"time"
)

const (
	beatEvery = 2 * time.Second
	beatLost  = 8 * time.Second // without a beat, a process has ended
)

// others are the other processes, as their packets show them.
type others struct {
	mu   sync.Mutex
	seen map[uint64]*other
}

type other struct {
	sent uint64
	at   time.Time
}

// repeated notes a packet and reports whether it came before.
func (o *others) repeated(from, sent uint64) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	one := o.seen[from]
	if one == nil {
		one = &other{}
		o.seen[from] = one
	}
	one.at = time.Now()
	if sent == 0 { // not numbered
		return false
	}
	if sent <= one.sent {
		return true
	}
	one.sent = sent
	return false
}

// gone forgets a process.
func (o *others) gone(id uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.seen, id)
}

// lost forgets the processes that have been silent, and reports whether there were any.
func (o *others) lost() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	found := false
	for id, one := range o.seen {
		if time.Since(one.at) > beatLost {
			delete(o.seen, id)
			found = true
		}
	}
	return found
}

func (o *others) count() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.seen)
}
