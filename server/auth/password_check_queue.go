package auth

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

const (
	checksWaiting  = 128              // per queue; about as many as are processed within longestWait
	checksOfOne    = 2                // per browser or address
	longestWait    = 10 * time.Second // maximum wait; pages time out after 20 s
	busyRetryAfter = time.Second
)

// checkQueue runs one check at a time. Others wait in order of arrival, preferred ones before the rest; if the queue is full or the
// wait takes too long, the error is [Limited].
type checkQueue struct {
	rest bool // pause after each check for as long as it took, so that checks use at most half of one core

	mu      sync.Mutex
	running bool
	waiting [2][]*waiter   // preferred checks, and the rest
	of      map[string]int // number of waiting or running checks by key
	next    time.Time      // earliest start of the next check
}

type waiter struct {
	key   string
	class int
	turn  chan struct{} // closed when this check may run
}

func newCheckQueue(rest bool) *checkQueue { return &checkQueue{rest: rest, of: make(map[string]int)} }

// run waits for its turn, calls check and returns its error.
func (q *checkQueue) run(ctx context.Context, key string, preferred bool, check func() error) error {
	w := &waiter{key: key, turn: make(chan struct{})}
	if !preferred {
		w.class = 1
	}
	if !q.join(w) {
		return Limited{RetryAfter: busyRetryAfter}
	}
	defer q.leave(w)
	late := time.NewTimer(longestWait)
	defer late.Stop()
	select {
	case <-w.turn:
	case <-late.C:
		return Limited{RetryAfter: busyRetryAfter}
	case <-ctx.Done():
		return fmt.Errorf("wait for a password check: %w", ctx.Err())
	}
	q.mu.Lock()
	pause := time.Until(q.next)
	q.mu.Unlock()
	select {
	case <-time.After(pause):
	case <-ctx.Done():
		return fmt.Errorf("wait for a password check: %w", ctx.Err())
	}
	start := time.Now()
	err := check()
	if q.rest {
		end := time.Now()
		q.mu.Lock()
		q.next = end.Add(end.Sub(start))
		q.mu.Unlock()
	}
	return err
}

func (q *checkQueue) join(w *waiter) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting[w.class]) >= checksWaiting || q.of[w.key] >= checksOfOne {
		return false
	}
	q.of[w.key]++
	q.waiting[w.class] = append(q.waiting[w.class], w)
	if !q.running {
		q.start()
	}
	return true
}

// start lets the first waiting check run. The caller holds q.mu.
func (q *checkQueue) start() {
	q.running = false
	for class, list := range q.waiting {
		if len(list) > 0 {
			q.running = true
			q.waiting[class] = list[1:]
			close(list[0].turn)
			return
		}
	}
}

func (q *checkQueue) leave(w *waiter) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.of[w.key]--; q.of[w.key] == 0 {
		delete(q.of, w.key)
	}
	select {
	case <-w.turn:
		q.start()
	default:
		q.waiting[w.class] = slices.DeleteFunc(q.waiting[w.class], func(other *waiter) bool { return other == w })
	}
}
