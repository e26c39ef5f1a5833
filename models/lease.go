package models

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"gorm.io/gorm"
)

// ErrLeaseLost is the error of what a process does in a role that it does not have any more.
var ErrLeaseLost = errors.New("models: another process has the role by now")

// leaseTimes are the times of a lease on PostgreSQL. Expiry is judged by the database's clock alone; a holder counts from when it
// asked for the renewal, so its own time ends first, whatever the difference between the clocks.
type leaseTimes struct {
	expiry time.Duration // from the last renewal until another process may have the role
	held   time.Duration // from the last renewal until the holder stops; the rest of expiry is for calls that it has begun
	renew  time.Duration // between two renewals
}

var defaultLeaseTimes = leaseTimes{expiry: 10 * time.Second, held: 6 * time.Second, renew: 2 * time.Second}

// leaseTimeout bounds the statements that take a lease or give it up.
const leaseTimeout = 5 * time.Second

// Lease is a role that one process has at a time: a row with an expiry and a fencing number, which grows with each holder. It needs no
// session, so it works behind PgBouncer, and a process that was paused past the expiry can change nothing under it.
type Lease struct {
	store *Store
	role  string
	fence int64
	times leaseTimes

	renewed atomic.Pointer[time.Time] // when the last renewal that succeeded was asked for; nil = it does not expire
	lost    chan struct{}
	losing  sync.Once
	stop    chan struct{}
	halting sync.Once
	ending  sync.Once
	keeping sync.WaitGroup
}

// Lease asks for a role; nil means that another process has it. An SQLite file has one process (see server/lock), which takes over
// from whatever process had it before.
func (s *Store) Lease(ctx context.Context, role string) (*Lease, error) {
	l := &Lease{store: s, role: role, times: s.leaseTimes, lost: make(chan struct{}), stop: make(chan struct{})}
	asked := time.Now()
	ctx, cancel := context.WithTimeout(ctx, leaseTimeout)
	defer cancel()
	var fences []int64
	err := again(ctx, func() error {
		db := s.write.WithContext(ctx)
		if s.dialect == dialectSQLite {
			return db.Raw(sqliteLease, role, stamp(asked)).Scan(&fences).Error
		}
		return db.Raw(postgresLease+s.sessionLock("AND")+postgresTakeOver, role, l.times.expiry.Seconds(), role, role).Scan(&fences).Error
	})
	if err != nil || len(fences) == 0 {
		return nil, s.failed("ask for a role", err)
	}
	l.fence = fences[0]
	if s.dialect == dialectPostgres {
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

// sessionLock is a condition that fails while a process of an earlier version has the role, which was an advisory lock of a session
// then, as during an upgrade one process at a time. A pooler keeps such a lock when its process is gone, so it says nothing there.
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
		err := again(ctx, func() error {
			done := l.store.write.WithContext(ctx).Exec(postgresRenew+l.store.sessionLock("AND"), l.times.expiry.Seconds(), l.role, l.fence, l.role)
			ours = done.RowsAffected
			return done.Error
		})
		cancel()
		switch {
		case err != nil:
			l.store.log.Debug("a role was not renewed yet", "role", l.role, "error", err)
		case ours == 0:
			l.lose()
			return
		default:
			l.renewed.Store(&asked)
		}
	}
}

// left is how long the holder may go on without a renewal. A machine that slept stops the one clock, a corrected time of day moves
// the other, so the one counts by which more time has passed.
func (l *Lease) left(now time.Time) time.Duration {
	renewed := l.renewed.Load()
	if renewed == nil {
		return l.times.held
	}
	return l.times.held - max(now.Sub(*renewed), now.Round(0).Sub(renewed.Round(0)))
}

func (l *Lease) lose() { l.losing.Do(func() { close(l.lost) }) }

// Lost is closed when the role is gone: it could not be renewed in time, or another process has it.
func (l *Lease) Lost() <-chan struct{} { return l.lost }

// Held reports whether the role is this lease's still. A false one is final, and closes Lost.
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

// halt ends the renewals.
func (l *Lease) halt() {
	l.halting.Do(func() { close(l.stop) })
	l.keeping.Wait()
}

// Release gives the role up, so that another process need not wait for its expiry.
func (l *Lease) Release() {
	l.halt()
	l.ending.Do(func() {
		if l.store.dialect == dialectSQLite {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), leaseTimeout)
		defer cancel()
		if err := l.store.write.WithContext(ctx).Exec(postgresRelease, l.role, l.fence).Error; err != nil {
			l.store.log.Debug("a role was not given up; it expires", "role", l.role, "error", err)
		}
	})
}

type leaseKey struct{}

// Context gives a context for what is done in the role. The store's transactions under it fail with [ErrLeaseLost] once another
// process has the role.
func (l *Lease) Context(ctx context.Context) context.Context {
	return context.WithValue(ctx, leaseKey{}, l)
}

// CheckLease is [ErrLeaseLost] if ctx is one of a lease that is not held any more.
func CheckLease(ctx context.Context) error {
	if l, _ := ctx.Value(leaseKey{}).(*Lease); l != nil && !l.Held() {
		return ErrLeaseLost
	}
	return nil
}

// fenced checks the lease of ctx, if it has one, at the begin of a transaction, and keeps the role from moving until the transaction
// ends. A process that is paused in between holds the next one up for five seconds: then the server ends its transaction.
func (s *Store) fenced(ctx context.Context, tx *gorm.DB) error {
	l, _ := ctx.Value(leaseKey{}).(*Lease)
	if l == nil || l.store != s {
		return nil
	}
	query := "SELECT fence FROM leases WHERE role = ?"
	if s.dialect == dialectPostgres {
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
