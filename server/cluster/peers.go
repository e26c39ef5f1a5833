package cluster

import (
	"sync"
	"time"
)

const (
	beatEvery = 2 * time.Second
	beatLost  = 8 * time.Second // a process without a heartbeat for this long counts as crashed
)

// others tracks the other processes by the packets received from them.
type others struct {
	mu   sync.Mutex
	seen map[uint64]*other
}

type other struct {
	sent uint64
	at   time.Time
}

// repeated records a packet and reports whether it was received before.
func (o *others) repeated(from, sent uint64) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	one := o.seen[from]
	if one == nil {
		one = &other{}
		o.seen[from] = one
	}
	one.at = time.Now()
	if sent == 0 { // packets of this kind are not numbered
		return false
	}
	if sent <= one.sent {
		return true
	}
	one.sent = sent
	return false
}

// gone removes a process.
func (o *others) gone(id uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.seen, id)
}

// lost removes the processes that have not sent anything for beatLost, and reports whether there were any.
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
