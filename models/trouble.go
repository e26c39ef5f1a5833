package models

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// ErrUnavailable matches errors that mean that the database is unreachable, locked, full, read-only or damaged. The request itself is
// valid and may succeed later.
var ErrUnavailable = errors.New("models: the database does not work")

var sqliteTroubles = map[int]string{
	3:  "this program has no permission to access the database file",
	5:  "the database file is locked by another program",
	6:  "the database file is locked by another program",
	8:  "the database file cannot be written: it, its folder or its disk is read-only",
	10: "the disk of the database reports an error",
	11: "the database file is damaged: restore a backup with sohbet restore",
	13: "the disk of the database is full",
	14: "the database file cannot be opened: check that its folder exists and its permissions",
	23: "this program has no permission to access the database file",
	26: "the database file is damaged or not an SQLite database: restore a backup with sohbet restore",
}

var postgresTroubles = map[string]string{
	"28P01": "PostgreSQL refuses the user or password of DATABASE_URL",
	"28000": "PostgreSQL refuses the user of DATABASE_URL",
	"3D000": "the database that DATABASE_URL names does not exist",
	"25006": "PostgreSQL is read-only",
	"42501": "the user of DATABASE_URL may not do this",
	"53100": "the disk of PostgreSQL is full",
	"53200": "PostgreSQL is out of memory",
	"53300": "PostgreSQL has too many connections",
	"57P01": "PostgreSQL is shutting down",
	"57P02": "PostgreSQL is restarting after a crash",
	"57P03": "PostgreSQL is starting or stopping",
	"XX001": "PostgreSQL reports damaged data",
	"XX002": "PostgreSQL reports a damaged index",
}

// trouble describes a failure of the database itself in a plain sentence; "" if the error is of another kind.
func trouble(err error) string {
	if err == nil {
		return ""
	}
	var right *accessError
	if errors.As(err, &right) {
		return right.sentence
	}
	if code, ok := sqliteCode(err); ok {
		return sqliteTroubles[code]
	}
	var parameter *parameterError
	if errors.As(err, &parameter) {
		return fmt.Sprintf("DATABASE_URL names the parameter %q, which PostgreSQL or the pooler in front of it does not know; remove it", parameter.name)
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		if strings.Contains(pg.Message, "statement pooling mode") { // PgBouncer has no error code for it
			return "PgBouncer runs with pool_mode = statement, which allows no transactions: set it to transaction or session"
		}
		return postgresTroubles[pg.Code]
	}
	var dial *pgconn.ConnectError
	switch {
	case errors.As(err, &dial):
		return "PostgreSQL cannot be reached"
	case brokenConnection(err):
		return "the connection to PostgreSQL broke"
	case errors.Is(err, context.DeadlineExceeded):
		return "the database does not answer in time"
	}
	return ""
}

// damaged reports whether the database file is corrupt, which does not go away by itself.
func damaged(err error) bool {
	code, ok := sqliteCode(err)
	return ok && (code == 11 || code == 26)
}

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
	lost, tell := h.lost, now.Sub(h.logged) >= outageLog
	if tell {
		h.logged = now
	}
	h.mu.Unlock()
	if tell {
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
	if why := trouble(err); why != "" {
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
		c.Writes = errors.New(sqliteTroubles[11])
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
		bounded, cancel := s.limit(context.WithoutCancel(ctx))
		defer cancel()
		err := again(bounded, func() error {
			return s.write.WithContext(bounded).Exec("UPDATE write_checks SET checked_at = ? WHERE id = 1", stamp(time.Now())).Error
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

// await waits until PostgreSQL answers, at most for the given time; errors that waiting cannot fix are returned immediately.
func (s *Store) await(ctx context.Context, most time.Duration) error {
	deadline := time.Now().Add(most)
	for wait := 250 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		var one int
		err := again(ctx, func() error { return s.write.WithContext(ctx).Raw("SELECT 1").Scan(&one).Error })
		if err == nil || !worthWaiting(err) || ctx.Err() != nil {
			return err
		}
		left := time.Until(deadline)
		if left <= 0 {
			if most > 0 {
				err = fmt.Errorf("gave up after %s: %w", most, err)
			}
			return err
		}
		wait = min(wait, left)
		s.log.Warn("waiting for the database: "+plain(err), "next_try", wait.Round(time.Millisecond).String(), "giving_up", left.Round(time.Second).String())
		if err := pause(ctx, wait); err != nil {
			return err
		}
	}
}

func worthWaiting(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code == "57P03" || pg.Code == "57P01" || pg.Code == "57P02" || pg.Code == "53300"
	}
	var dial *pgconn.ConnectError
	return errors.As(err, &dial) || brokenConnection(err) || errors.Is(err, context.DeadlineExceeded)
}
