package models

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"sohbet/models/database"
	"sohbet/models/dberror"
	"sohbet/models/dump"
)

// health tracks failures of the database.
type health struct {
	damaged atomic.Pointer[Fault] // the last damage that a statement met
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

// Fault is a fault of the database: a plain sentence, and a code by which assets/locales has the cure ("" if none).
type Fault struct{ Reason, Sentence string }

func (f *Fault) Error() string { return f.Sentence }

// Condition reports whether the database can be read and written; nil means yes. Its errors are of type [*Fault].
type Condition struct{ Reads, Writes error }

// Check reads and durably writes a row, and also reports recent failures of the writer. It returns by the end of ctx.
func (s *Store) Check(ctx context.Context) Condition {
	var c Condition
	if err := s.Ping(ctx); err != nil {
		c.Reads = sentence(err)
		c.Writes = c.Reads
		return c
	}
	if damage := s.health.damaged.Load(); damage != nil {
		c.Writes = damage
		return c
	}
	if fault := s.db.FilesGone(); fault != nil {
		s.saveLog(ctx)
		c.Writes = faultOf(fault)
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
			return s.db.Write.WithContext(bounded).Exec("UPDATE write_checks SET checked_at = ? WHERE id = 1", stamp(s.Now())).Error
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

// saveLog copies what is only in a deleted write-ahead log into the database file. SQLite would do it when it closes the file, but a process
// that is killed does not close it.
func (s *Store) saveLog(ctx context.Context) {
	if err := s.db.Write.WithContext(ctx).Exec("PRAGMA wal_checkpoint(PASSIVE)").Error; err != nil {
		s.log.Error("the write-ahead log was deleted, and its contents cannot be saved", "error", err)
	}
}

func sentence(err error) error {
	if errors.Is(err, ErrClosed) {
		return &Fault{Sentence: "the database is closed"}
	}
	return faultOf(err)
}

// faultOf returns what an error says about the database.
func faultOf(err error) *Fault { return &Fault{dberror.Classify(err).Reason, plain(err)} }

// FaultOf returns what an error of this package says about the database; nil if the database is not its cause.
func FaultOf(err error) *Fault {
	var fault *Fault
	if errors.As(err, &fault) {
		return fault
	}
	if dberror.Classify(err).Sentence == "" {
		return nil
	}
	return faultOf(err)
}

// LiveFilesGone reports that files of an SQLite database that another process has open were deleted. Do not open the database then.
func LiveFilesGone(path string) error {
	if err := database.LiveFilesGone(path); err != nil {
		return faultOf(err)
	}
	return nil
}

// Verify reads all stored data to find damage, for as long as ctx allows. whole reports whether everything was read.
func (s *Store) Verify(ctx context.Context) (whole bool, err error) {
	if s.db.Dialect == database.SQLite {
		var found string
		err = s.db.Read.WithContext(ctx).Raw("PRAGMA quick_check(1)").Row().Scan(&found)
		if err == nil && found != "ok" {
			err = dberror.ErrDamaged
		}
	} else {
		for _, table := range dump.Tables {
			var rows int64
			// Forming the text of a row reads all of it; OFFSET 0 keeps PostgreSQL from leaving that out.
			err = s.db.Read.WithContext(ctx).Raw("SELECT count(*) FROM (SELECT t::text AS whole FROM " + table + " AS t OFFSET 0) AS rows WHERE whole IS NULL").Row().Scan(&rows)
			if err != nil {
				break
			}
		}
	}
	if err != nil && ctx.Err() != nil {
		return false, nil
	}
	if err != nil {
		_ = s.failed("verify", err) // remembers damage
		return true, faultOf(err)
	}
	return true, nil
}
