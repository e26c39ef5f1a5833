package models

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	gocache "github.com/patrickmn/go-cache"
	"gorm.io/gorm"

	"sohbet/models/database"
	"sohbet/models/dberror"
	"sohbet/models/encryption"
	"sohbet/models/keycheck"
	"sohbet/models/migrate"
	"sohbet/models/reencrypt"
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
	// TopicAssignees means that topics of threads in Telegram show the assignee.
	TopicAssignees bool
	// Wait is how long Open waits for PostgreSQL to become reachable.
	Wait time.Duration
	// MissingKeys says what Open does if keys are missing that texts of the database were encrypted with.
	MissingKeys MissingKeys
	// CacheTTL is how long a thread or a newest page may be served from memory; 0 disables the cache.
	CacheTTL time.Duration
	// Clock is the machine's clock; nil = time.Now. Tests set it to simulate a wrong one.
	Clock func() time.Time
}

// MissingKeys says what to do about missing keys.
type MissingKeys int

const (
	// RefuseMissingKeys makes Open fail with a [*keycheck.Error].
	RefuseMissingKeys MissingKeys = iota
	// AcceptMissingKeys is for a user who insists: the first key becomes one of the database's keys, and the log says so.
	AcceptMissingKeys
	// IgnoreMissingKeys is for commands that encrypt nothing.
	IgnoreMissingKeys
)

// Store is an open database. It is safe for concurrent use.
type Store struct {
	db  *database.DB
	log *slog.Logger

	removed     func(files []string)
	telegram    bool
	assignees   bool // shown in the names of topics
	cipher      *encryption.Cipher
	cache       *cache
	writer      *writer
	activity    *activityBuffer
	blocks      *blocks
	agents      agents
	settings    settings
	pictures    *gocache.Cache     // of agents, by URL
	emails      *encryption.Hasher // of e-mail addresses in lower case
	shortcuts   *encryption.Hasher // of canned replies' folded shortcuts
	refusals    *encryption.Hasher // of what audit entries in one row have in common
	sessions    sessions
	poller      *changePoller
	invalidator atomic.Pointer[Invalidator] // unset in commands and tests without other processes

	leaseTimes   leaseTimes
	onJob        atomic.Pointer[func()]
	checkpointed atomic.Int64 // when, in ns
	expiring     *pace        // of Expire
	futureLeases futureLeases
	onUnclear    atomic.Pointer[func(threads ...string)]

	missingKeys error // a *keycheck.Error, or nil

	outboxMu        sync.Mutex
	outboxListeners map[string]func([]OutboxKey, bool) // by channel

	health health
	clock  clock

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
	s := &Store{log: log, blocks: &blocks{}, removed: o.Removed, telegram: o.Telegram, assignees: o.Telegram && o.TopicAssignees, leaseTimes: defaultLeaseTimes, expiring: newPace(expireBatch)}
	s.clock = clock{store: s, machine: o.Clock}
	if o.Clock == nil {
		s.clock.machine = time.Now
	}
	var err error
	if s.cipher, err = encryption.NewCipher(o.Keys, log); err != nil {
		return nil, err
	}
	for purpose, h := range map[string]**encryption.Hasher{
		"sohbet address": &s.blocks.hasher, "sohbet email": &s.emails, "sohbet shortcut": &s.shortcuts, "sohbet refusal": &s.refusals,
	} {
		if *h, err = encryption.NewHasher(o.Keys, purpose); err != nil {
			return nil, err
		}
	}
	if s.db, err = database.Open(o.URL, log, o.SlowQuery); err != nil {
		return nil, s.failed("open", err)
	}
	if err := s.start(ctx, o); err != nil {
		return nil, errors.Join(s.failed("open", s.db.Explain(err)), s.db.Close())
	}
	return s, nil
}

func (s *Store) start(ctx context.Context, o Options) error {
	if s.db.Dialect == database.Postgres {
		if err := s.db.Await(ctx, o.Wait); err != nil {
			return err
		}
		if s.Pooled() {
			s.log.Info("connected to PostgreSQL through a pooler such as PgBouncer; statements are not prepared on the server")
		}
	}
	if err := migrate.Run(ctx, s.db); err != nil {
		return err
	}
	if err := s.checkKeys(ctx, o.MissingKeys); err != nil {
		return err
	}
	if err := s.clock.adjust(ctx); err != nil {
		return err
	}
	if s.missingKeys == nil {
		if err := s.reencryption().EncryptExisting(ctx); err != nil {
			return err
		}
	}
	s.cache = newCache(o.CacheTTL, &s.invalidator)
	s.pictures = gocache.New(picturesTTL, picturesTTL)
	s.poller = newChangePoller(s)
	if err := s.poller.poll(ctx); err != nil {
		return err
	}
	s.activity = newActivityBuffer(s)
	w, err := newWriter(s)
	if err != nil {
		return err
	}
	s.writer = w
	_ = s.db.FilesGone() // notes which files are open
	go s.activity.run()
	go s.poller.run()
	return nil
}

func (s *Store) reencryption() *reencrypt.Texts {
	return &reencrypt.Texts{DB: s.db, Cipher: s.cipher, Emails: s.emails, Shortcuts: s.shortcuts, Log: s.log}
}

// Close stops accepting writes, commits what is queued, runs the pending callbacks, writes pending last-activity updates and closes the
// database. It must not be called from an append's callback.
func (s *Store) Close() error {
	s.closeOnce.Do(func() {
		s.writer.Close()
		s.activity.close()
		s.poller.close()
		s.writer.sql.Close()
		s.closed.Store(true)
		s.closeErr = s.db.Close()
	})
	return s.closeErr
}

// Ping checks that the database answers.
func (s *Store) Ping(ctx context.Context) error {
	var one int
	return s.failed("ping", database.Retry(ctx, func() error { return s.db.Read.WithContext(ctx).Raw("SELECT 1").Scan(&one).Error }))
}

// Dialect returns "sqlite" or "postgres".
func (s *Store) Dialect() string { return s.db.Dialect }

// Pools returns the database's connection pools by name, for metrics.
func (s *Store) Pools() map[string]*sql.DB { return s.db.Pools() }

// Pooled reports whether a pooler such as PgBouncer is between this process and PostgreSQL.
func (s *Store) Pooled() bool { return s.db.Pooled() }

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
		Queued:      s.writer.Queued(),
		Batches:     s.writer.Batches(),
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
	case errors.Is(err, ErrNotFound), errors.Is(err, ErrExists), errors.Is(err, ErrInvalid), errors.As(err, new(*keycheck.Error)):
		return err
	case s.closed.Load():
		return ErrClosed
	}
	if dberror.Damaged(err) {
		s.health.damaged.Store(faultOf(err))
	}
	if why := dberror.Classify(err).Sentence; why != "" {
		return fmt.Errorf("%w: %s (%s: %w)", ErrUnavailable, why, doing, err)
	}
	return fmt.Errorf("models: %s: %w", doing, err)
}

// transaction runs f like [database.DB.Transaction]. Under the context of a lease it requires that the lease is held.
func (s *Store) transaction(ctx context.Context, f func(tx *gorm.DB) error) error {
	return s.db.Transaction(ctx, func(tx *gorm.DB) error {
		if err := s.fenced(ctx, tx); err != nil {
			return err
		}
		return f(tx)
	})
}

// checkKeys finds out whether keys are missing.
func (s *Store) checkKeys(ctx context.Context, policy MissingKeys) error {
	return s.transaction(ctx, func(tx *gorm.DB) error {
		found, err := keycheck.Examine(tx, s.cipher)
		if err != nil {
			return err
		}
		s.missingKeys = found.Problem(s.db.Place())
		s.cipher.SetComplete(found.Complete())
		switch {
		case policy == IgnoreMissingKeys:
			return nil
		case s.missingKeys == nil:
		case policy == RefuseMissingKeys:
			return s.missingKeys
		default:
			s.log.Error("started with --force although keys are missing: " + s.missingKeys.Error())
		}
		return found.Record(tx, s.cipher)
	})
}

// MissingKeys returns a [*keycheck.Error] if keys were missing when the store was opened.
func (s *Store) MissingKeys() error { return s.missingKeys }

// Rekey re-encrypts with the first key every text that was encrypted with another, see [reencrypt.Texts.Rekey]. If keys are missing,
// the texts that were encrypted with them are given up.
func (s *Store) Rekey(ctx context.Context, state reencrypt.State, report func(reencrypt.State)) (reencrypt.Result, error) {
	sum, err := s.reencryption().Rekey(ctx, state, report)
	if err == nil {
		err = s.transaction(ctx, func(tx *gorm.DB) error {
			found, err := keycheck.Examine(tx, s.cipher)
			if err != nil {
				return err
			}
			return keycheck.Only(tx, s.cipher, sum.Unreadable > 0 && !found.Complete())
		})
	}
	return sum, s.failed("rekey", err)
}
