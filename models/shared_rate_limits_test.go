package models_test

import (
	"sync/atomic"
	"testing"
	"time"

	"sohbet/models"
	"sohbet/models/storetest"
)

func TestBudget(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		spend := func(name string, at time.Duration, want bool, wantWait time.Duration) {
			t.Helper()
			ok, wait, err := s.Spend(t.Context(), name, now.Add(at), time.Hour, 3)
			if err != nil || ok != want || wait != wantWait {
				t.Fatalf("%s after %v: %v, wait %v, %v; want %v, %v", name, at, ok, wait, err, want, wantWait)
			}
		}
		for range 3 {
			spend("a", 0, true, 0)
		}
		spend("a", 0, false, time.Hour)
		spend("a", 45*time.Minute, false, 15*time.Minute)
		spend("b", 45*time.Minute, true, 0) // a different limit
		spend("a", time.Hour, true, 0)
		spend("a", time.Hour, false, time.Hour)
		if err := s.Refund(t.Context(), "a", time.Hour, 2); err != nil {
			t.Fatal(err)
		}
		spend("a", time.Hour, true, 0)
		spend("a", time.Hour, true, 0)
		spend("a", time.Hour, false, time.Hour)
		if err := s.Refund(t.Context(), "nothing was spent of it", time.Hour, 2); err != nil {
			t.Fatal(err)
		}
		for range 3 { // fully refilled, but not beyond burst
			spend("a", 100*time.Hour, true, 0)
		}
		spend("a", 100*time.Hour, false, time.Hour)
		spend("a", 0, false, time.Hour) // the clock was set back: the wait must not be a hundred hours
	})
}

func TestBudgetIsOneForAllAndOutlivesThem(t *testing.T) {
	for _, dialect := range storetest.Dialects {
		t.Run(dialect, func(t *testing.T) {
			o := storetest.Options(t, dialect)
			stores := []*models.Store{storetest.Reopen(t, o), storetest.Reopen(t, o)}
			now := time.Now()
			var spent atomic.Int64
			inParallel(t, 30, func(i int) error {
				ok, _, err := stores[i%2].Spend(t.Context(), "a", now, time.Hour, 10)
				if ok {
					spent.Add(1)
				}
				return err
			})
			if spent.Load() != 10 {
				t.Errorf("%d of 10 were spent", spent.Load())
			}
			if ok, _, err := storetest.Reopen(t, o).Spend(t.Context(), "a", now, time.Hour, 10); ok || err != nil {
				t.Errorf("after a restart: %v, %v", ok, err)
			}
		})
	}
}
