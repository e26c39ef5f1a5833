package main

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// span is the measurement of the server between two moments under load.
type span struct {
	Units     int64   `json:"units"`
	Seconds   float64 `json:"seconds"`
	PerSecond float64 `json:"per_second"`
	CPU       float64 `json:"cpu_us_per_unit"` // the server's user and system time
	Cores     float64 `json:"server_cores"`    // the server's CPU seconds per second
	Database  float64 `json:"database_us_per_unit,omitempty"`
}

// during waits for the warm-up, then measures for t.measure; count returns the units done so far.
func (t *target) during(ctx context.Context, count func() int64) (span, error) {
	if err := sleep(ctx, t.warm); err != nil {
		return span{}, err
	}
	cpu0, err := t.server.cpu()
	if err != nil {
		return span{}, err
	}
	database0, err := databaseCPU(t.database)
	if err != nil {
		return span{}, err
	}
	units0, start := count(), time.Now()
	if err := sleep(ctx, t.measure); err != nil {
		return span{}, err
	}
	s, err := t.since(start, cpu0, func() int64 { return count() - units0 })
	if err != nil {
		return span{}, err
	}
	database1, err := databaseCPU(t.database)
	s.Database = float64(database1-database0) / float64(time.Microsecond) / float64(s.Units)
	return s, err
}

func (t *target) since(start time.Time, cpu0 time.Duration, units func() int64) (span, error) {
	cpu1, err := t.server.cpu()
	if err != nil {
		return span{}, err
	}
	n, took := units(), time.Since(start)
	if n == 0 {
		return span{}, errors.New("nothing was measured: no unit was completed in time")
	}
	s := span{Units: n, Seconds: took.Seconds(), PerSecond: float64(n) / took.Seconds()}
	s.CPU = float64(cpu1-cpu0) / float64(time.Microsecond) / float64(n)
	s.Cores = (cpu1 - cpu0).Seconds() / took.Seconds()
	return s, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// paddedCount keeps the counters of different connections on different cache lines.
type paddedCount struct {
	atomic.Int64
	_ [56]byte
}
