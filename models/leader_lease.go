package models

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"gorm.io/gorm"

	"sohbet/models/database"
)

// ErrLeaseLost means that this process no longer holds the role it acts in.
var ErrLeaseLost = errors.New("models: another process holds the role now")

// leaseTimes are the durations of a lease on PostgreSQL. Expiry is judged by the database's clock alone; the holder counts from before
// it requested the renewal, so it always stops first, whatever the difference between the clocks.
type leaseTimes struct {
	expiry time.Duration // from the last renewal until another process may take the role
	held   time.Duration // from the last renewal until the holder stops; the rest of expiry is left for calls already in progress
	renew  time.Duration // between two renewals
}

var defaultLeaseTimes = leaseTimes{expiry: 10 * time.Second, held: 6 * time.Second, renew: 2 * time.Second}

// leaseTimeout bounds the statements that acquire or release a lease.
const leaseTimeout = 5 * time.Second

// Lease is a role that one process holds at a time: a row with an expiry and a fencing number, which grows with each holder. It needs
// no database session, so it works behind PgBouncer, and a process that was paused past the expiry cannot write under it.
type Lease struct {
	store *Store
	role  string
	fence int64
	times leaseTimes

	renewed atomic.Pointer[time.Time] // when the last successful renewal was requested; nil = it does not expire
	lost    chan struct{}
	losing  sync.Once
	stop    chan struct{}
	halting sync.Once
	ending  sync.Once
	keeping sync.WaitGroup
}

// Lease acquires a role; nil means that another process holds it. An SQLite file is used by one process only (see server/lock), which
// takes over from any earlier one.
func (s *Store) Lease(ctx context.Context, role string) (*Lease, error) {
	l := &Lease{store: s, role: role, times: s.leaseTimes, lost: make(chan struct{}), stop: make(chan struct{})}
	asked := time.Now()
	ctx, cancel := context.WithTimeout(ctx, leaseTimeout)
	defer cancel()
	var fences []int64
	err := database.Retry(ctx, func() error {
		db := s.db.Write.WithContext(ctx)
		if s.db.Dialect == database.SQLite {
			return db.Raw(sqliteLease, role, stamp(asked)).Scan(&fences).Error
		}
		return db.Raw(postgresLease+s.sessionLock("AND")+postgresTakeOver, role, l.times.expiry.Seconds(), role, role).Scan(&fences).Error
	})
	if err == nil && len(fences) == 0 {
		err = s.releaseFuture(ctx, role, l.times.expiry)
	}
	if err != nil || len(fences) == 0 {
		return nil, s.failed("acquire a role", err)
	}
	l.fence = fences[0]
	if s.db.Dialect == database.Postgres {
		l.renewed.Store(&asked)
		l.keeping.Go(l.keep)
	}
	return l, nil
}

const (
	sqliteLease = `INSERT INTO leases (role, fence, expires_at) VALUES (?, 1, ?)
		ON CONFLICT (role) DO UPDATE SET fence = leases.fence + 1, expires_at = excluded.expires_at RETURNING fence`

	postgresNow   = "(now() AT TIME ZONE 'utc')"
	postgresLease = `INSERT INTO leases AS l (role, fence, expires_at) SELECT ?::text, 1, ` + postgresNow + ` + make_interval(secs => ?)
		WHERE NOT EXISTS (SELECT 1 FROM leases WHERE role = ?::text AND expires_at > ` + postgresNow + `) `
	postgresTakeOver = ` ON CONFLICT (role) DO UPDATE SET fence = l.fence + 1, expires_at = excluded.expires_at
		WHERE l.expires_at <= ` + postgresNow + ` RETURNING fence`
	postgresRenew   = "UPDATE leases SET expires_at = " + postgresNow + " + make_interval(secs => ?) WHERE role = ? AND fence = ? "
	postgresRelease = "UPDATE leases SET expires_at = " + postgresNow + " WHERE role = ? AND fence = ?"
)

// sessionLock returns a SQL condition that is false while a process of an earlier version, which used a session-level advisory lock,
// holds the role, as during a rolling upgrade. Behind a pooler such a lock may outlive its process, so the condition is always true
// there.
func (s *Store) sessionLock(and string) string {
	if s.Pooled() {
		return and + " ?::text IS NOT NULL "
	}
	return and + " pg_try_advisory_xact_lock_shared(hashtextextended('sohbet ' || current_schema() || ' ' || ?::text, 0)) "
}

// keep renews the lease until it is released or lost.
func (l *Lease) keep() {
	tick := time.NewTicker(l.times.renew)
	defer tick.Stop()
	for {
		select {
		case <-l.stop:
			return
		case <-l.lost:
			return
		case <-tick.C:
		}
		asked := time.Now()
		left := l.left(asked)
		if left <= 0 {
			l.lose()
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), left)
		ours := int64(1)
		err := database.Retry(ctx, func() error {
			done := l.store.db.Write.WithContext(ctx).Exec(postgresRenew+l.store.sessionLock("AND"), l.times.expiry.Seconds(), l.role, l.fence, l.role)
			ours = done.RowsAffected
			return done.Error
		})
		cancel()
		switch {
		case err != nil:
			l.store.log.Debug("lease renewal failed; retrying", "role", l.role, "error", err)
		case ours == 0:
			l.lose()
			return
		default:
			l.renewed.Store(&asked)
		}
	}
}

// left returns how long the holder may go on without a renewal. System sleep stops the monotonic clock and a clock correction moves the
// wall clock, so the larger elapsed time of the two counts.
func (l *Lease) left(now time.Time) time.Duration {
	renewed := l.renewed.Load()
	if renewed == nil {
		return l.times.held
	}
	return l.times.held - max(now.Sub(*renewed), now.Round(0).Sub(renewed.Round(0)))
}

func (l *Lease) lose() { l.losing.Do(func() { close(l.lost) }) }

// Lost is closed when the role is lost: it could not be renewed in time, or another process took it.
func (l *Lease) Lost() <-chan struct{} { return l.lost }

// Held reports whether this lease still holds the role. Once false it stays false, and Lost is closed.
func (l *Lease) Held() bool {
	select {
	case <-l.lost:
		return false
	default:
	}
	if l.left(time.Now()) <= 0 {
		l.lose()
		return false
	}
	return true
}

// halt stops the renewals.
func (l *Lease) halt() {
	l.halting.Do(func() { close(l.stop) })
	l.keeping.Wait()
}

// Release releases the role, so that another process need not wait for its expiry.
func (l *Lease) Release() {
	l.halt()
	l.ending.Do(func() {
		if l.store.db.Dialect == database.SQLite {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), leaseTimeout)
		defer cancel()
		if err := l.store.db.Write.WithContext(ctx).Exec(postgresRelease, l.role, l.fence).Error; err != nil {
			l.store.log.Debug("lease not released; it will expire", "role", l.role, "error", err)
		}
	})
}

type leaseKey struct{}

// Context returns a context for work done in the role. The store's transactions under it fail with [ErrLeaseLost] once another process
// has taken the role.
func (l *Lease) Context(ctx context.Context) context.Context {
	return context.WithValue(ctx, leaseKey{}, l)
}

// WithoutLease returns a context to record what was done in a role: that it was done remains true if another process has the role now.
func WithoutLease(ctx context.Context) context.Context {
	return context.WithValue(ctx, leaseKey{}, (*Lease)(nil))
}

// CheckLease returns [ErrLeaseLost] if ctx comes from a lease that is no longer held.
func CheckLease(ctx context.Context) error {
	if l, _ := ctx.Value(leaseKey{}).(*Lease); l != nil && !l.Held() {
		return ErrLeaseLost
	}
	return nil
}

// fenced checks the lease of ctx, if it has one, at the start of a transaction, and prevents the role from moving until the transaction
// ends. A process paused in between delays the next holder by at most five seconds: then the server ends its transaction.
func (s *Store) fenced(ctx context.Context, tx *gorm.DB) error {
	l, _ := ctx.Value(leaseKey{}).(*Lease)
	if l == nil || l.store != s {
		return nil
	}
	query := "SELECT fence FROM leases WHERE role = ?"
	if s.db.Dialect == database.Postgres {
		query = "SELECT fence, set_config('idle_in_transaction_session_timeout', '5s', true) FROM leases WHERE role = ? FOR SHARE"
	}
	var row struct{ Fence int64 }
	err := tx.Raw(query, l.role).Scan(&row).Error
	if err == nil && row.Fence != l.fence {
		l.lose()
		err = ErrLeaseLost
	}
	return err
}
