package models

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"gorm.io/gorm"
)

const (
	touchInterval = 30 * time.Second
	touchChunk    = 500 // rows a transaction, so that messages slip in between
	touchLimit    = 50_000
)

// touches gathers signs of life and writes each thread at most once in touchInterval.
type touches struct {
	store *Store
	mu    sync.Mutex
	seen  map[string]time.Time
	full  chan struct{} // asks for an early flush
	stop  chan struct{}
	done  chan struct{}
}

func newTouches(s *Store) *touches {
	return &touches{
		store: s,
		seen:  make(map[string]time.Time),
		full:  make(chan struct{}, 1),
		stop:  make(chan struct{}),
		done:  make(chan struct{}),
	}
}

// Touch notes that the visitor of a thread was there at a time. It is kept in memory and written at
// most every 30 s per thread, and at Close; a thread that does not exist is ignored.
func (s *Store) Touch(_ context.Context, id string, at time.Time) error {
	if s.closed.Load() {
		return ErrClosed
	}
	s.touches.note(id, stamp(at))
	return nil
}

func (t *touches) note(id string, at time.Time) {
	t.mu.Lock()
	if at.After(t.seen[id]) {
		t.seen[id] = at
	}
	crowded := len(t.seen) >= touchLimit
	t.mu.Unlock()
	if crowded {
		select {
		case t.full <- struct{}{}:
		default:
		}
	}
}

// last is the newest note that has not been written yet.
func (t *touches) last(id string) time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.seen[id]
}

func (t *touches) forget(ids ...string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, id := range ids {
		delete(t.seen, id)
	}
}

func (t *touches) run() {
	defer close(t.done)
	tick := time.NewTicker(touchInterval)
	defer tick.Stop()
	for {
		select {
		case <-t.stop:
			t.flush()
			return
		case <-tick.C:
		case <-t.full:
		}
		t.flush()
	}
}

func (t *touches) close() {
	close(t.stop)
	<-t.done
}

// flush writes what was gathered. What cannot be written now is kept for the next time.
func (t *touches) flush() {
	t.mu.Lock()
	seen := t.seen
	t.seen = make(map[string]time.Time, len(seen))
	t.mu.Unlock()
	ids := slices.Sorted(maps.Keys(seen))
	var failed error
	for chunk := range slices.Chunk(ids, touchChunk) {
		if failed == nil {
			if failed = t.write(chunk, seen); failed == nil {
				continue
			}
			t.store.log.Error("could not store last activity; it is kept for the next time", "threads", len(ids), "error", failed)
		}
		t.mu.Lock()
		for _, id := range chunk {
			if len(t.seen) < touchLimit && seen[id].After(t.seen[id]) {
				t.seen[id] = seen[id]
			}
		}
		t.mu.Unlock()
	}
}

// touched is a thread whose visitor was there.
type touched struct {
	threadID string
	userID   int64
	at       time.Time
}

func (t *touches) write(ids []string, seen map[string]time.Time) error {
	ctx, cancel := t.store.limit(context.Background())
	defer cancel()
	var rows []touched
	err := t.store.write.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		conn := tx.Statement.ConnPool
		threads, err := t.store.writer.sql.lock(ctx, conn, ids)
		if err != nil {
			return err
		}
		rows = rows[:0]
		for _, th := range threads {
			rows = append(rows, touched{threadID: th.ID, userID: th.UserID, at: seen[th.ID]})
		}
		return t.store.writer.sql.touch(ctx, conn, rows)
	})
	for _, row := range rows {
		t.store.cache.forget(row.threadID) // others keep an older last_activity until CacheTTL, which harms nothing
	}
	if err != nil {
		return fmt.Errorf("models: touch: %w", err)
	}
	return nil
}
