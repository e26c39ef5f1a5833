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

// ErrUnavailable is what errors match that say: the database is away, locked, full, read-only or
// damaged. Nothing is wrong with what was asked, and it may work later.
var ErrUnavailable = errors.New("models: the database does not work")

var sqliteTroubles = map[int]string{
	3:  "the rights on the database file do not let this program in",
	5:  "another program keeps the database file locked",
	6:  "another program keeps the database file locked",
	8:  "the database file cannot be written: it, its folder or its disk is read-only",
	10: "the disk of the database reports an error",
	11: "the database file is damaged: restore a backup with sohbet restore",
	13: "the disk of the database is full",
	14: "the database file cannot be opened: look at its folder's existence and rights",
	23: "the rights on the database file do not let this program in",
	26: "the database file is damaged or no SQLite database: restore a backup with sohbet restore",
}

var postgresTroubles = map[string]string{
	"28P01": "PostgreSQL refuses the user or password of DATABASE_URL",
	"28000": "PostgreSQL refuses the user of DATABASE_URL",
	"3D000": "the database that DATABASE_URL names does not exist",
	"25006": "PostgreSQL takes no writes: it is read-only",
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

// trouble says in a plain sentence what is wrong with the database itself; "" if nothing is known to be.
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
		if strings.Contains(pg.Message, "statement pooling mode") { // PgBouncer has no code of its own for it
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

// damaged reports whether the file itself is broken, which no later success heals.
func damaged(err error) bool {
	code, ok := sqliteCode(err)
	return ok && (code == 11 || code == 26)
}

// health is what the store noticed of its database.
type health struct {
	damaged atomic.Bool
	probing atomic.Bool

	mu      sync.Mutex
	failing error     // of the last batch, if the database was to blame
	since   time.Time // of the first such batch
	last    time.Time // of the last
	lost    int       // jobs that failed since
	logged  time.Time
}

const (
	outageLog   = 10 * time.Second // between two lines about one outage
	outageCools = time.Minute      // how long a failed batch counts when no other has come since
)

// batchFailed notes a batch that the database is to blame for. A long outage is told now and then, not
// batch by batch.
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
		s.log.Error("nothing can be stored: "+plain(err), "refused", lost, "error", err)
	}
}

// batchStored notes that the database takes writes, again.
func (s *Store) batchStored() {
	h := &s.health
	h.mu.Lock()
	was, since, lost := h.failing, h.since, h.lost
	h.failing = nil
	h.mu.Unlock()
	if was != nil {
		s.log.Info("storing works again", "after", time.Since(since).Round(time.Millisecond).String(), "refused", lost)
	}
}

func plain(err error) string {
	if why := trouble(err); why != "" {
		return why
	}
	return "the database reports an error"
}

// Condition says whether the database can be read and written. Its errors are plain sentences.
type Condition struct{ Reads, Writes error }

// Check reads and durably writes a row, and remembers what the writer met lately. It takes no longer
// than ctx.
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

// probe writes a row. SQLite's waiting for a lock does not end with ctx, so it waits in a goroutine of
// its own, one at a time; it ends with the busy timeout.
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
		s.health.probing.Store(false) // before the answer, so that whoever has it may ask again
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

// await waits until PostgreSQL answers, at most for a time; what waiting does not cure is told at once.
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
