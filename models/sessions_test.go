package models_test

import (
	"sync/atomic"
	"testing"
	"time"

	"sohbet/models"
	"sohbet/models/storetest"
)

func generation(t *testing.T, s *models.Store) string {
	t.Helper()
	g, err := s.SessionGeneration(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestSessionsEnd(t *testing.T) {
	for _, dialect := range storetest.Dialects {
		t.Run(dialect, func(t *testing.T) {
			o := storetest.Options(t, dialect)
			one, other := storetest.Reopen(t, o), storetest.Reopen(t, o)
			var notified atomic.Int64
			other.OnSessionsEnded(func() { notified.Add(1) })
			await := func(what string, holds func() bool) {
				t.Helper()
				for deadline := time.Now().Add(30 * time.Second); !holds(); time.Sleep(20 * time.Millisecond) {
					if time.Now().After(deadline) {
						t.Fatalf("%s: another process does not notice it", what)
					}
				}
			}
			g, later := generation(t, one), time.Now().Add(time.Hour)
			if one.SessionEnded("a", g) || other.SessionEnded("a", g) {
				t.Fatal("revoked before EndSession")
			}
			if err := one.EndSession(t.Context(), "a", later); err != nil {
				t.Fatal(err)
			}
			if !one.SessionEnded("a", g) || one.SessionEnded("b", g) {
				t.Error("not that session, or another one too")
			}
			await("one session", func() bool { return other.SessionEnded("a", g) && notified.Load() > 0 })
			if s := storetest.Reopen(t, o); !s.SessionEnded("a", g) || s.SessionEnded("b", g) {
				t.Error("after a restart: not that session, or another one too")
			}

			notified.Store(0)
			if err := one.EndAllSessions(t.Context()); err != nil {
				t.Fatal(err)
			}
			await("all sessions", func() bool { return other.SessionEnded("b", g) && notified.Load() > 0 })
			if now := generation(t, other); now == g || other.SessionEnded("c", now) || one.SessionEnded("c", now) {
				t.Error("a new session is refused after all sessions were ended")
			}
			if s := storetest.Reopen(t, o); !s.SessionEnded("b", g) {
				t.Error("after a restart: the sessions live again")
			}
		})
	}
}

func TestSessionsSeen(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		at := time.Now().UTC().Truncate(time.Millisecond)
		if seen, err := s.SessionSeen(t.Context(), "a"); err != nil || !seen.IsZero() {
			t.Errorf("never seen: %v, %v", seen, err)
		}
		for i := range 2 {
			at := at.Add(time.Duration(i) * time.Minute)
			if err := s.RecordSessionSeen(t.Context(), "a", at, at.Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
			if seen, err := s.SessionSeen(t.Context(), "a"); err != nil || !seen.Equal(at) {
				t.Errorf("seen %v, want %v, %v", seen, at, err)
			}
		}
		if s.SessionEnded("a", generation(t, s)) {
			t.Error("ended because it was seen")
		}
		if err := s.RecordSessionSeen(t.Context(), "old", at.Add(-3*time.Hour), at.Add(-time.Hour)); err != nil {
			t.Fatal(err)
		}
		if err := s.EndSession(t.Context(), "b", at.Add(time.Hour)); err != nil { // deletes expired rows
			t.Fatal(err)
		}
		if seen, err := s.SessionSeen(t.Context(), "old"); err != nil || !seen.IsZero() {
			t.Errorf("an expired session is kept: %v, %v", seen, err)
		}
	})
}

func TestARestoreEndsSessions(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		thread(t, s, 1)
		dir := t.TempDir()
		if err := s.Dump(t.Context(), dir, func(string) {}); err != nil {
			t.Fatal(err)
		}
		g := generation(t, s)
		if err := s.Load(t.Context(), dir, models.LoadOptions{Force: true}); err != nil {
			t.Fatal(err)
		}
		if !s.SessionEnded("a", g) {
			t.Error("a session from before the restore goes on")
		}
	})
}
