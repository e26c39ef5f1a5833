package chat

import (
	"context"
	"errors"
	"sync"
	"time"

	"sohbet/models"
	"sohbet/server/signal"
)

const (
	maxRechecks  = 10_000
	recheckPause = 500 * time.Millisecond
)

// rechecks are the threads whose last change failed, but may have been stored.
type rechecks struct {
	mu      sync.Mutex
	threads map[string]struct{}
	wake    signal.Signal
}

// Recheck makes RunRechecks publish the states of threads. It does not block.
func (s *Service) Recheck(threads ...string) {
	r := &s.rechecks
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range threads {
		if len(r.threads) < maxRechecks {
			r.threads[id] = struct{}{}
		}
	}
	r.wake.Set()
}

// RunRechecks publishes the states of the threads given to Recheck as soon as the database can be read, until ctx ends.
func (s *Service) RunRechecks(ctx context.Context) {
	r := &s.rechecks
	for {
		select {
		case <-r.wake:
		case <-ctx.Done():
			return
		}
		r.mu.Lock()
		threads := r.threads
		r.threads = make(map[string]struct{})
		r.mu.Unlock()
		for id := range threads {
			t, err := s.store.Thread(ctx, id)
			switch {
			case err == nil:
				if t.ClearedUntil > 0 { // clients that know of it have nothing left to drop
					s.publishCleared(cleared{ThreadID: id, Kept: true, LastID: t.ClearedUntil, Rev: t.Rev})
				}
				s.publishStatus(t)
				s.publishBlock(id, t.Blocked, t.Rev)
			case errors.Is(err, models.ErrNotFound): // its deletion may be what was unknown
				s.publishCleared(cleared{ThreadID: id})
			case ctx.Err() == nil:
				s.Recheck(id)
			}
		}
		select {
		case <-time.After(recheckPause):
		case <-ctx.Done():
			return
		}
	}
}
