package models

import (
	"context"
	"sync"
	"time"

	"sohbet/models/database"
)

// futureLeases are the leases that this process has seen with an expiry further in the future than any renewal sets it: the database's
// clock was set back since. They would block their roles until the clock has caught up, if their holders are gone.
type futureLeases struct {
	mu   sync.Mutex
	seen map[string]futureLease
}

type futureLease struct {
	fence   int64
	expires time.Time
	since   time.Time // when it was seen first, by this process's clock
}

// releaseFuture ends the lease of a role that has stood in the future, unchanged, for as long as a lease lasts: a holder that is alive renews
// it more often, which corrects its expiry.
func (s *Store) releaseFuture(ctx context.Context, role string, expiry time.Duration) error {
	const future = "role = ? AND expires_at > " + postgresNow + " + make_interval(secs => ?)"
	var rows []struct {
		Fence     int64
		ExpiresAt time.Time
	}
	err := database.Retry(ctx, func() error {
		return s.db.Read.WithContext(ctx).Table("leases").Select("fence", "expires_at").Where(future, role, 2*expiry.Seconds()).Find(&rows).Error
	})
	if err != nil {
		return err
	}
	s.futureLeases.mu.Lock()
	defer s.futureLeases.mu.Unlock()
	if len(rows) == 0 {
		delete(s.futureLeases.seen, role)
		return nil
	}
	found := rows[0]
	if last := s.futureLeases.seen[role]; last.fence != found.Fence || !last.expires.Equal(found.ExpiresAt) {
		if s.futureLeases.seen == nil {
			s.futureLeases.seen = make(map[string]futureLease)
		}
		s.futureLeases.seen[role] = futureLease{found.Fence, found.ExpiresAt, time.Now()}
		return nil
	} else if time.Since(last.since) < expiry {
		return nil
	}
	return s.db.Write.WithContext(ctx).Exec("UPDATE leases SET expires_at = "+postgresNow+" WHERE role = ? AND fence = ? AND expires_at = ?",
		role, found.Fence, found.ExpiresAt).Error
}
