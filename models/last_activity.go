package models

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"gorm.io/gorm"

	"sohbet/models/dialect"
)

const (
	flushInterval = 30 * time.Second
	flushChunk    = 500 // rows per transaction, so that message writes can run in between
	activityLimit = 50_000
)

// activityBuffer collects visitors' last-activity times and writes each thread at most once per flushInterval.
type activityBuffer struct {
	store *Store
	mu    sync.Mutex
	seen  map[string]time.Time
	early chan struct{} // requests an early flush
	stop  chan struct{}
	done  chan struct{}
}

func newActivityBuffer(s *Store) *activityBuffer {
	return &activityBuffer{
		store: s,
		seen:  make(map[string]time.Time),
		early: make(chan struct{}, 1),
		stop:  make(chan struct{}),
		done:  make(chan struct{}),
	}
}

// RecordActivity records that the visitor of a thread was active at a time. It is held in memory and written at most every flushInterval
// per thread, and at Close; a thread that does not exist is ignored.
func (s *Store) RecordActivity(_ context.Context, id string, at time.Time) error {
	if s.closed.Load() {
		return ErrClosed
	}
	s.activity.record(id, stamp(at))
	return nil
}

func (b *activityBuffer) record(id string, at time.Time) {
	b.mu.Lock()
	future := b.store.Now().Add(clockAhead)
	if last := b.seen[id]; at.After(last) || last.After(future) && !at.After(future) { // the clock was set back
		b.seen[id] = at
	}
	full := len(b.seen) >= activityLimit
	b.mu.Unlock()
	if full {
		select {
		case b.early <- struct{}{}:
		default:
		}
	}
}

// last returns the latest time of a thread that has not been written yet, zero if there is none.
func (b *activityBuffer) last(id string) time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.seen[id]
}

// forgetAfter drops the times of threads that are after a limit.
func (b *activityBuffer) forgetAfter(limit time.Time, ids ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, id := range ids {
		if b.seen[id].After(limit) {
			delete(b.seen, id)
		}
	}
}

func (b *activityBuffer) forget(ids ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, id := range ids {
		delete(b.seen, id)
	}
}

func (b *activityBuffer) run() {
	defer close(b.done)
	tick := time.NewTicker(flushInterval)
	defer tick.Stop()
	for {
		select {
		case <-b.stop:
			b.flush()
			return
		case <-tick.C:
		case <-b.early:
		}
		b.flush()
	}
}

func (b *activityBuffer) close() {
	close(b.stop)
	<-b.done
}

// flush writes the collected times. Those that fail are kept for the next flush.
func (b *activityBuffer) flush() {
	b.mu.Lock()
	seen := b.seen
	b.seen = make(map[string]time.Time, len(seen))
	b.mu.Unlock()
	ids := slices.Sorted(maps.Keys(seen))
	var failed error
	for chunk := range slices.Chunk(ids, flushChunk) {
		if failed == nil {
			if failed = b.write(chunk, seen); failed == nil {
				continue
			}
			b.store.log.Error("failed to store last activity; retrying at the next flush", "threads", len(ids), "error", failed)
		}
		b.mu.Lock()
		for _, id := range chunk {
			if len(b.seen) < activityLimit && seen[id].After(b.seen[id]) {
				b.seen[id] = seen[id]
			}
		}
		b.mu.Unlock()
	}
}

func (b *activityBuffer) write(ids []string, seen map[string]time.Time) error {
	ctx, cancel := b.store.db.Limit(context.Background())
	defer cancel()
	var rows []dialect.Activity
	err := b.store.db.Write.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		conn := tx.Statement.ConnPool
		rows = rows[:0]
		now := b.store.Now()
		var future, users []any
		err := b.store.writer.sql.Lock(ctx, conn, ids, func(found *sql.Rows) error {
			var th Thread
			err := scanThread(found, &th)
			rows = append(rows, dialect.Activity{ThreadID: th.ID, UserID: th.UserID, At: seen[th.ID]})
			if before := th.LastActivity; err == nil {
				if th.clampFuture(now); !th.LastActivity.Equal(before) {
					future, users = append(future, th.ID), append(users, th.UserID)
				}
			}
			return err
		})
		if err != nil {
			return err
		}
		if len(future) > 0 { // UpdateActivity only moves forward
			past := stamp(now.Add(-flushInterval))
			if err := tx.Model(&Thread{}).Where("id IN ?", future).Update("last_activity", past).Error; err != nil {
				return err
			}
			if err := tx.Model(&User{}).Where("id IN ? AND last_seen > ?", users, stamp(now)).Update("last_seen", past).Error; err != nil {
				return err
			}
		}
		return b.store.writer.sql.UpdateActivity(ctx, conn, rows)
	})
	for _, row := range rows {
		b.store.cache.forget(row.ThreadID) // other processes serve the older last_activity until CacheTTL, which is harmless
	}
	if err != nil {
		return fmt.Errorf("models: store last activity: %w", err)
	}
	return nil
}
