package models

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"sohbet/models/database"
	"sohbet/models/dberror"
)

// health tracks failures of the database.
type health struct {
	damaged atomic.Bool
	probing atomic.Bool

	mu      sync.Mutex
	failing error     // error of the last batch, if the database caused it
	since   time.Time // time of the first such batch
	last    time.Time // time of the last such batch
	lost    int       // jobs failed since then
	logged  time.Time
}

const (
	outageLog   = 10 * time.Second // minimum time between log lines about one outage
	outageCools = time.Minute      // how long a failed batch counts if no other follows
)

// batchFailed records a batch that failed because of the database. A long outage is logged every outageLog, not for every batch.
func (s *Store) batchFailed(err error, jobs int) {
	h, now := &s.health, time.Now()
	h.mu.Lock()
	if h.failing == nil {
		h.since, h.lost, h.logged = now, 0, time.Time{}
	}
	h.failing, h.last = err, now
	h.lost += jobs
	lost, due := h.lost, now.Sub(h.logged) >= outageLog
	if due {
		h.logged = now
	}
	h.mu.Unlock()
	if due {
		s.log.Error("database writes fail: "+plain(err), "refused", lost, "error", err)
	}
}

// batchStored records that the database accepted a batch, which ends an outage.
func (s *Store) batchStored() {
	h := &s.health
	h.mu.Lock()
	was, since, lost := h.failing, h.since, h.lost
	h.failing = nil
	h.mu.Unlock()
	if was != nil {
		s.log.Info("database writes work again", "after", time.Since(since).Round(time.Millisecond).String(), "refused", lost)
	}
}

func plain(err error) string {
	if why := dberror.Classify(err).Sentence; why != "" {
		return why
	}
	return "the database reports an error"
}

// Condition reports whether the database can be read and written; nil means yes. Its errors are plain sentences.
type Condition struct{ Reads, Writes error }

// Check reads and durably writes a row, and also reports recent failures of the writer. It returns by the end of ctx.
func (s *Store) Check(ctx context.Context) Condition {
	var c Condition
	if err := s.Ping(ctx); err != nil {
		c.Reads = sentence(err)
		c.Writes = c.Reads
		return c
	}
	if s.health.damaged.Load() {
		c.Writes = errors.New(dberror.SQLiteDamaged)
		return c
	}
	h := &s.health
	h.mu.Lock()
	if h.failing != nil && time.Since(h.last) < outageCools {
		c.Writes = sentence(h.failing)
	}
	h.mu.Unlock()
	if err := s.probe(ctx); err != nil {
		c.Writes = sentence(err)
	}
	return c
}

// probe writes a row. SQLite waits for a lock regardless of ctx, so it runs in a goroutine, one at a time, that ends with the busy
// timeout.
func (s *Store) probe(ctx context.Context) error {
	if !s.health.probing.CompareAndSwap(false, true) {
		return context.DeadlineExceeded
	}
	done := make(chan error, 1)
	go func() {
		bounded, cancel := s.db.Limit(context.WithoutCancel(ctx))
		defer cancel()
		err := database.Retry(bounded, func() error {
			return s.db.Write.WithContext(bounded).Exec("UPDATE write_checks SET checked_at = ? WHERE id = 1", stamp(time.Now())).Error
		})
		s.health.probing.Store(false) // before the result is sent, so that its receiver can probe again at once
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func sentence(err error) error {
	if errors.Is(err, ErrClosed) {
		return errors.New("the database is closed")
	}
	return errors.New(plain(err))
}
