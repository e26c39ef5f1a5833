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
	touchChunk    = 500 // rows per transaction, so that message writes can run in between
	touchLimit    = 50_000
)

// touches collects visitors' last-activity times and writes each thread at most once per touchInterval.
type touches struct {
	store *Store
	mu    sync.Mutex
	seen  map[string]time.Time
	full  chan struct{} // requests an early flush
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

// Touch records that the visitor of a thread was active at a time. It is held in memory and written at most every touchInterval per
// thread, and at Close; a thread that does not exist is ignored.
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

// last returns the latest time of a thread that has not been written yet, zero if there is none.
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

// flush writes the collected times. Those that fail are kept for the next flush.
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
			t.store.log.Error("failed to store last activity; retrying at the next flush", "threads", len(ids), "error", failed)
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

// touched is a thread whose visitor was active.
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
		t.store.cache.forget(row.threadID) // other processes serve the older last_activity until CacheTTL, which is harmless
	}
	if err != nil {
		return fmt.Errorf("models: touch: %w", err)
	}
	return nil
}
