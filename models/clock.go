package models

import (
	"context"
	"sync/atomic"
	"time"

	"sohbet/models/database"
)

const (
	// ClockWarning is the difference to the database's clock from which /health and doctor warn.
	ClockWarning = 10 * time.Second

	clockAhead   = 10 * time.Second // a stored time further in the future was written by a wrong clock
	clockEvery   = 30 * time.Second // between two measurements
	clockStepped = time.Second      // the machine's clock was set, or the machine slept
	clockSamples = 3                // per measurement; the one with the shortest round trip counts
)

// clock is the clock by which times are stored. The processes of a PostgreSQL database may run on several machines, so they use the
// database's clock: they agree whatever their own clocks say, and setting one of those has no effect. An SQLite database is used on one
// machine, whose clock counts.
type clock struct {
	store    *Store
	machine  func() time.Time // time.Now, except in tests
	measured atomic.Pointer[clockSample]
}

// clockSample is one measurement of the database's clock.
type clockSample struct {
	at       time.Time     // by the machine's clock
	database time.Time     // at the same moment, without a monotonic reading
	error    time.Duration // at most: half of the round trip
}

// ahead returns how far the machine's clock is ahead of the database's.
func (c *clockSample) ahead() time.Duration { return c.at.Round(0).Sub(c.database) }

// Now returns the time by which times are stored and compared with stored ones. Use it for points in time, and time.Now for durations
// within a process.
func (s *Store) Now() time.Time {
	now := s.clock.machine()
	if m := s.clock.measured.Load(); m != nil {
		return m.database.Add(now.Sub(m.at))
	}
	return now
}

// ClockDifference returns how far this machine's clock is ahead of the database's; 0 on SQLite. It measures now.
func (s *Store) ClockDifference(ctx context.Context) (time.Duration, error) {
	m, err := s.clock.measure(ctx)
	if m == nil {
		return 0, s.failed("read the clock", err)
	}
	// What the round trip alone may explain is no difference.
	if d := m.ahead(); d > m.error || d < -m.error {
		return d, nil
	}
	return 0, nil
}

// measure asks PostgreSQL for the time, and assumes that it answered in the middle of the round trip. nil means that there is no other clock.
func (c *clock) measure(ctx context.Context) (best *clockSample, err error) {
	if c.store.db.Dialect != database.Postgres {
		return nil, nil
	}
	for range clockSamples {
		var at time.Time
		var asked time.Time
		err = database.Retry(ctx, func() error {
			asked = c.machine()
			return c.store.db.Read.WithContext(ctx).Raw("SELECT clock_timestamp() AT TIME ZONE 'utc'").Row().Scan(&at)
		})
		if err != nil {
			break
		}
		half := c.machine().Sub(asked) / 2
		if best == nil || half < best.error {
			best = &clockSample{at: asked.Add(half), database: at.UTC(), error: half}
		}
	}
	return best, err
}

// adjust measures if the last measurement is old, or the machine's clock was set since. A measurement that agrees with the last one, but is
// less exact, changes nothing, so that times do not jump with the load.
func (c *clock) adjust(ctx context.Context) error {
	last := c.measured.Load()
	if last != nil {
		now := c.machine()
		passed, shown := now.Sub(last.at), now.Round(0).Sub(last.at.Round(0))
		if passed < clockEvery && (shown-passed).Abs() < clockStepped {
			return nil
		}
	}
	m, err := c.measure(ctx)
	if m == nil {
		return err
	}
	if last != nil {
		expected := last.database.Add(m.at.Sub(last.at))
		if off := m.database.Sub(expected).Abs(); off <= m.error+last.error && m.error > last.error {
			m.database = expected
			m.error = last.error + time.Duration(m.at.Sub(last.at)/10_000) // the two clocks drift apart
		}
	}
	c.measured.Store(m)
	return nil
}
