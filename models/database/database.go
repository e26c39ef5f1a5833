// Package database opens SQLite and PostgreSQL and runs transactions on them.
package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"sohbet/models/dberror"
)

// Dialects.
const (
	SQLite   = "sqlite"
	Postgres = "postgres"
)

// Attempts is how often a transaction is tried if its error is transient.
const Attempts = 3

// DB is an open database.
type DB struct {
	Dialect string
	// On PostgreSQL both are the same pool. On SQLite Write is a single connection, whose transactions begin IMMEDIATE, and Read is a
	// read-only pool.
	Read, Write *gorm.DB

	path   string // of an SQLite file
	server string // host, port and name of a PostgreSQL database
	files  openedFiles
	pooled atomic.Bool
	log    *slog.Logger
	config func() *gorm.Config
}

// Open opens the database of a URL: sqlite:// followed by a file path, used verbatim, or a postgres:// URL. Failed statements and those
// slower than slowQuery (0 = none) are logged without their values.
func Open(address string, log *slog.Logger, slowQuery time.Duration) (*DB, error) {
	db := &DB{log: log}
	db.config = func() *gorm.Config {
		return &gorm.Config{
			Logger: logger.NewSlogLogger(log.With("stream", "performance"), logger.Config{ // failed statements are recognized by their level
				LogLevel:                  logger.Warn,
				SlowThreshold:             slowQuery,
				ParameterizedQueries:      true, // never log a statement's values
				IgnoreRecordNotFoundError: true,
			}),
			NowFunc:                func() time.Time { return time.Now().UTC().Truncate(time.Millisecond) },
			SkipDefaultTransaction: true,
			DisableAutomaticPing:   true,
		}
	}
	var err error
	switch scheme, rest, _ := strings.Cut(address, "://"); scheme {
	case SQLite:
		db.Dialect, db.path = SQLite, rest
		if absolute, err := filepath.Abs(rest); err == nil {
			db.path = absolute
		}
		if db.Read, db.Write, err = openSQLite(rest, db.config); err != nil {
			err = db.Explain(err)
		}
	case Postgres, "postgresql":
		db.Dialect = Postgres
		db.Write, db.server, err = openPostgres(address, &db.pooled, log, db.config)
		db.Read = db.Write
	default:
		err = errors.New("models: database URL must start with sqlite:// or postgres://")
	}
	if err != nil {
		return nil, err
	}
	return db, nil
}

// OpenFile opens another SQLite file with the same logging.
func (db *DB) OpenFile(path string) (*DB, error) {
	other := &DB{Dialect: SQLite, path: path, log: db.log, config: db.config}
	var err error
	other.Read, other.Write, err = openSQLite(path, db.config)
	return other, err
}

// Close closes the connection pools.
func (db *DB) Close() error {
	pools := []*gorm.DB{db.Read}
	if db.Write != db.Read {
		pools = append(pools, db.Write) // last: closing it checkpoints SQLite's write-ahead log
	}
	var all []error
	for _, one := range pools {
		pool, err := one.DB()
		if err == nil {
			err = pool.Close()
		}
		all = append(all, err)
	}
	return errors.Join(all...)
}

// Pools returns the connection pools by name.
func (db *DB) Pools() map[string]*sql.DB {
	pools := make(map[string]*sql.DB, 2)
	for name, one := range map[string]*gorm.DB{"read": db.Read, "write": db.Write} {
		if pool, err := one.DB(); err == nil && (name == "write" || db.Read != db.Write) {
			pools[name] = pool
		}
	}
	return pools
}

// Place names the kind and the place of the database, without credentials.
func (db *DB) Place() string {
	if db.Dialect == Postgres {
		return "the PostgreSQL database " + db.server
	}
	path, err := filepath.Abs(db.path)
	if err != nil {
		path = db.path
	}
	return "the SQLite database " + path
}

// Explain adds to an error of using an SQLite file that permissions are missing, if that is the cause.
func (db *DB) Explain(err error) error {
	if db.Dialect == SQLite {
		return withAccess(db.path, err)
	}
	return err
}

// Pooled reports whether a pooler such as PgBouncer is between this process and PostgreSQL.
func (db *DB) Pooled() bool { return db.pooled.Load() }

// Limit bounds one transaction on PostgreSQL, so that a network that drops packets cannot block the writer indefinitely. SQLite needs
// none: it only ever waits for the busy timeout.
func (db *DB) Limit(ctx context.Context) (context.Context, context.CancelFunc) {
	if db.Dialect == SQLite {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, 30*time.Second)
}

// Transaction runs f in a transaction on the write pool. It retries like [Retry], so f must be safe to run more than once.
func (db *DB) Transaction(ctx context.Context, f func(tx *gorm.DB) error) error {
	return Retry(ctx, func() error {
		ctx, cancel := db.Limit(ctx)
		defer cancel()
		return db.Write.WithContext(ctx).Transaction(f)
	})
}

// Retry runs f up to Attempts times, as long as its error is a serialization conflict or a connection that was already dead in the pool.
func Retry(ctx context.Context, f func() error) error {
	err := f()
	for try := 1; try < Attempts && err != nil && ctx.Err() == nil && dberror.Classify(err).Retry; try++ {
		err = f()
	}
	return err
}

// Await waits until the database answers, at most for the given time; errors that waiting cannot fix are returned immediately.
func (db *DB) Await(ctx context.Context, most time.Duration) error {
	deadline := time.Now().Add(most)
	for wait := 250 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		var one int
		err := Retry(ctx, func() error { return db.Write.WithContext(ctx).Raw("SELECT 1").Scan(&one).Error })
		meaning := dberror.Classify(err)
		if err == nil || !meaning.Wait || ctx.Err() != nil {
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
		db.log.Warn("waiting for the database: "+meaning.Sentence, "next_try", wait.Round(time.Millisecond).String(), "giving_up", left.Round(time.Second).String())
		if err := Pause(ctx, wait); err != nil {
			return err
		}
	}
}

// Pause waits for d or until ctx ends.
func Pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
