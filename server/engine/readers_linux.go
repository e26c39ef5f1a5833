package engine

import (
	"sync"
	"time"
)

// readers are the goroutines that read sockets and handle what has arrived.
//
// While sockets wait, one reader is on its way to take one, and before it handles what it reads it sends the next reader on its way. So a handler that
// blocks delays no other connection, and a short one that has ended before the next reader runs takes the next socket itself: many sockets
// that are readable at once take few wake-ups.
type readers struct {
	mu      sync.Mutex
	waiting []*wsConn
	first   int             // index of the first waiting socket
	coming  bool            // a reader is on its way
	idle    []chan struct{} // wakes one reader each; the one that became idle last is reused first
	spare   int             // the fewest idle readers since the last sweep
	sweeper *time.Timer
	stopped bool
}

const (
	// idleReaders is how many idle readers are kept for reuse, because their stacks have grown to the needed size.
	idleReaders = 64
	// idleTime is how long readers are kept that are not needed.
	idleTime = 5 * time.Second
)

// add gives sockets to the readers.
func (r *readers) add(ready []*wsConn) {
	if len(ready) == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.first > len(r.waiting)/2 {
		n := copy(r.waiting, r.waiting[r.first:])
		clear(r.waiting[n:])
		r.waiting, r.first = r.waiting[:n], 0
	}
	r.waiting = append(r.waiting, ready...)
	r.send()
}

// send sends a reader on its way if a socket waits and none is. The caller holds r.mu.
func (r *readers) send() {
	if r.coming || r.first == len(r.waiting) {
		return
	}
	r.coming = true
	n := len(r.idle)
	if n == 0 {
		go r.run(make(chan struct{}, 1))
		return
	}
	wake := r.idle[n-1]
	r.idle = r.idle[:n-1]
	r.spare = min(r.spare, n-1)
	wake <- struct{}{}
}

// run is one reader. wake has room for one element.
func (r *readers) run(wake chan struct{}) {
	sent := true // it is the reader that is on its way
	for {
		r.mu.Lock()
		if sent {
			r.coming = false
		}
		if r.first == len(r.waiting) {
			r.waiting, r.first = r.waiting[:0], 0
			keep := len(r.idle) < idleReaders && !r.stopped
			if keep {
				r.idle = append(r.idle, wake)
				r.sweepLater()
			}
			r.mu.Unlock()
			if !keep {
				return
			}
			if _, sent = <-wake; !sent {
				return
			}
			continue
		}
		w := r.waiting[r.first]
		r.waiting[r.first] = nil
		r.first++
		r.send()
		r.mu.Unlock()
		sent = false
		w.readReady()
	}
}

// sweepLater ends the readers that stay idle. The caller holds r.mu.
func (r *readers) sweepLater() {
	if r.sweeper == nil {
		r.spare = len(r.idle)
		r.sweeper = time.AfterFunc(idleTime, r.sweep)
	}
}

func (r *readers) sweep() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, wake := range r.idle[:r.spare] {
		close(wake)
	}
	r.idle = append(r.idle[:0], r.idle[r.spare:]...)
	if r.sweeper = nil; len(r.idle) > 0 {
		r.sweepLater()
	}
}

// stop ends the idle readers, and the others when they become idle.
func (r *readers) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stopped, r.spare = true, 0
	for _, wake := range r.idle {
		close(wake)
	}
	r.idle = nil
}
