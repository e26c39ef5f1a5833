package models

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

// Options configures a store.
type Options struct {
	// URL is sqlite:// followed by a file path, used verbatim (sqlite:///var/lib/chat.db, sqlite://data/chat.db), or a postgres:// URL.
	URL string
	// Keys are the secrets that texts are encrypted with, at least one: the first encrypts, all of them decrypt.
	Keys []string
	// Logger receives failed and slow statements, without their values. Nil disables logging.
	Logger *slog.Logger
	// SlowQuery is the duration from which a statement is logged; 0 disables it.
	SlowQuery time.Duration
	// Removed, if set, is called after each commit that deleted messages with the file paths and URLs they referred to, without
	// duplicates. Other messages may refer to the same file. It runs in the deleting goroutine.
	Removed func(files []string)
	// Telegram means that a bot is configured: messages of visitors and agents are added to the outbox.
	Telegram bool
	// Wait is how long Open waits for PostgreSQL to become reachable.
	Wait time.Duration
	// CacheTTL is how long a thread or a newest page may be served from memory; 0 disables the cache.
	CacheTTL time.Duration
}

// Store is an open database. It is safe for concurrent use.
type Store struct {
	dialect string
	log     *slog.Logger

	// On PostgreSQL read and write are the same pool. On SQLite write is a single connection, whose transactions begin IMMEDIATE, and
	// read is a read-only pool.
	read, write *gorm.DB

	removed     func(files []string)
	telegram    bool
	texts       *texts
	cache       *cache
	writer      *writer
	touches     *touches
	blocks      *blocks
	emails      keyedNames // hashes of e-mail addresses
	shortcuts   keyedNames // hashes of canned reply shortcuts
	sessions    sessions
	watch       *watch
	invalidator atomic.Pointer[Invalidator] // unset in commands and tests without other processes

	pooled     atomic.Bool
	leaseTimes leaseTimes

	outboxMu        sync.Mutex
	outboxListeners map[string]func([]OutboxKey, bool) // by channel

	health health
	config func() *gorm.Config

	closeOnce sync.Once
	closeErr  error
	closed    atomic.Bool
}

// Open connects, migrates the schema and starts the writer. If the database cannot be reached or used, the error is a plain sentence
// for the operator; no error contains a password.
func Open(ctx context.Context, o Options) (*Store, error) {
	log := o.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	texts, err := newTexts(o.Keys, log)
	if err != nil {
		return nil, err
	}
	blocks, err := newBlocks(o.Keys)
	if err != nil {
		return nil, err
	}
	emails, err := newKeyedNames(o.Keys, "sohbet email")
	if err != nil {
		return nil, err
	}
	shortcuts, err := newKeyedNames(o.Keys, "sohbet shortcut")
	if err != nil {
		return nil, err
	}
	s := &Store{log: log, texts: texts, blocks: blocks, emails: emails, shortcuts: shortcuts, removed: o.Removed, telegram: o.Telegram, leaseTimes: defaultLeaseTimes}
	s.config = func() *gorm.Config {
		return &gorm.Config{
			Logger: logger.NewSlogLogger(log.With("stream", "performance"), logger.Config{ // failed statements are recognized by their level
				LogLevel:                  logger.Warn,
				SlowThreshold:             o.SlowQuery,
				ParameterizedQueries:      true, // never log a statement's values
				IgnoreRecordNotFoundError: true,
			}),
			NowFunc:                func() time.Time { return stamp(time.Now()) },
			SkipDefaultTransaction: true,
			DisableAutomaticPing:   true,
		}
	}
	switch scheme, rest, _ := strings.Cut(o.URL, "://"); scheme {
	case dialectSQLite:
		s.dialect = dialectSQLite
		if s.read, s.write, err = openSQLite(rest, s.config); err != nil {
			err = withAccess(rest, err)
		}
	case dialectPostgres, "postgresql":
		s.dialect = dialectPostgres
		s.write, err = openPostgres(o.URL, &s.pooled, log, s.config)
		s.read = s.write
	default:
		return nil, errors.New("models: database URL must start with sqlite:// or postgres://")
	}
	if err != nil {
		return nil, s.failed("open", err)
	}
	if err := s.start(ctx, o); err != nil {
		if s.dialect == dialectSQLite {
			err = withAccess(strings.TrimPrefix(o.URL, "sqlite://"), err)
		}
		return nil, errors.Join(s.failed("open", err), s.closePools())
	}
	return s, nil
}

func (s *Store) start(ctx context.Context, o Options) error {
	if s.dialect == dialectPostgres {
		if err := s.await(ctx, o.Wait); err != nil {
			return err
		}
		if s.Pooled() {
			s.log.Info("connected to PostgreSQL through a pooler such as PgBouncer; statements are not prepared on the server")
		}
	}
	if err := migrate(ctx, s.write, s.dialect, steps); err != nil {
		return err
	}
	if err := s.sealReadable(ctx); err != nil {
		return err
	}
	s.cache = newCache(o.CacheTTL, &s.invalidator)
	s.watch = newWatch(s)
	if err := s.watch.look(ctx); err != nil {
		return err
	}
	s.touches = newTouches(s)
	w, err := newWriter(s)
	if err != nil {
		return err
	}
	s.writer = w
	go w.run()
	go w.deliver()
	go s.touches.run()
	go s.watch.run()
	return nil
}

// Close stops accepting writes, commits what is queued, runs the pending callbacks, writes pending last-activity updates and closes the
// database. It must not be called from an append's callback.
func (s *Store) Close() error {
	s.closeOnce.Do(func() {
		s.writer.close()
		s.touches.close()
		s.watch.close()
		s.writer.sql.close()
		s.closed.Store(true)
		s.closeErr = s.closePools()
	})
	return s.closeErr
}

func (s *Store) closePools() error {
	pools := []*gorm.DB{s.read}
	if s.write != s.read {
		pools = append(pools, s.write) // last: closing it checkpoints SQLite's write-ahead log
	}
	var all []error
	for _, db := range pools {
		pool, err := db.DB()
		if err == nil {
			err = pool.Close()
		}
		all = append(all, err)
	}
	return errors.Join(all...)
}

// Ping checks that the database answers.
func (s *Store) Ping(ctx context.Context) error {
	var one int
	return s.failed("ping", again(ctx, func() error { return s.read.WithContext(ctx).Raw("SELECT 1").Scan(&one).Error }))
}

// Dialect returns "sqlite" or "postgres".
func (s *Store) Dialect() string { return s.dialect }

// Pools returns the database's connection pools by name, for metrics.
func (s *Store) Pools() map[string]*sql.DB {
	pools := make(map[string]*sql.DB, 2)
	for name, db := range map[string]*gorm.DB{"read": s.read, "write": s.write} {
		if pool, err := db.DB(); err == nil && (name == "write" || s.read != s.write) {
			pools[name] = pool
		}
	}
	return pools
}

// Stats are counters since Open.
type Stats struct {
	CacheHits, CacheMisses int64
	Queued                 int   // writes waiting in the queue
	Batches                int64 // transactions of the writer
	Appended               int64 // messages stored
}

// Stats returns the counters.
func (s *Store) Stats() Stats {
	return Stats{
		CacheHits:   s.cache.hits.Load(),
		CacheMisses: s.cache.misses.Load(),
		Queued:      len(s.writer.queue),
		Batches:     s.writer.batches.Load(),
		Appended:    s.writer.appended.Load(),
	}
}

// failed wraps an error with the operation that failed and maps the libraries' errors to this package's.
func (s *Store) failed(doing string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, gorm.ErrRecordNotFound), errors.Is(err, sql.ErrNoRows):
		return ErrNotFound
	case errors.Is(err, ErrNotFound), errors.Is(err, ErrExists), errors.Is(err, ErrInvalid):
		return err
	case s.closed.Load():
		return ErrClosed
	}
	if damaged(err) {
		s.health.damaged.Store(true)
	}
	if why := classify(err).sentence; why != "" {
		return fmt.Errorf("%w: %s (%s: %w)", ErrUnavailable, why, doing, err)
	}
	return fmt.Errorf("models: %s: %w", doing, err)
}
