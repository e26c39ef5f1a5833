package models_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
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
			if err := s.RecordSessionSeen(t.Context(), models.Session{ID: "a", SeenAt: at, ExpiresAt: at.Add(time.Hour)}); err != nil {
				t.Fatal(err)
			}
			if seen, err := s.SessionSeen(t.Context(), "a"); err != nil || !seen.Equal(at) {
				t.Errorf("seen %v, want %v, %v", seen, at, err)
			}
		}
		if s.SessionEnded("a", generation(t, s)) {
			t.Error("ended because it was seen")
		}
		if err := s.RecordSessionSeen(t.Context(), models.Session{ID: "old", SeenAt: at.Add(-3 * time.Hour), ExpiresAt: at.Add(-time.Hour)}); err != nil {
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

func TestSessionsOfAnAgent(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		ada, bob := addAgent(t, s, models.Agent{Name: "Ada", Role: models.RoleOwner}), addAgent(t, s, models.Agent{Name: "Bob", Role: models.RoleOwner})
		g, now := generation(t, s), time.Now().UTC().Truncate(time.Millisecond)
		client := models.SessionClient{Browser: "Firefox 140", Platform: "Android", Address: "192.0.2.7"}
		start := func(id string, who models.Agent, seen time.Time) {
			t.Helper()
			err := s.StartSession(t.Context(), models.Session{
				ID: id, AgentID: models.AgentID(who.ID), AgentGeneration: who.SessionGeneration, StartedAt: &now, SeenAt: seen, ExpiresAt: now.Add(time.Hour), SessionClient: client,
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		list := func(who models.Agent) (ids []string) {
			t.Helper()
			sessions, err := s.Sessions(t.Context(), who)
			if err != nil {
				t.Fatal(err)
			}
			for _, one := range sessions {
				ids = append(ids, one.ID)
				if one.SessionClient != client || !one.StartedAt.Equal(now) {
					t.Errorf("%+v", one)
				}
			}
			return ids
		}
		start("a1", ada, now)
		start("a2", ada, now.Add(time.Minute))
		start("b1", bob, now)
		var stored string
		if err := storetest.Raw(t, s).QueryRow("SELECT details FROM sessions WHERE id = 'a1'").Scan(&stored); err != nil || stored == "" || strings.Contains(stored, "192.0.2.7") {
			t.Errorf("stored as %q, %v", stored, err)
		}
		if got := list(ada); !slices.Equal(got, []string{"a2", "a1"}) {
			t.Errorf("Ada's: %v", got)
		}

		// A session of an earlier version is listed once it is used again.
		if _, err := storetest.Raw(t, s).Exec("UPDATE sessions SET agent_id = NULL, started_at = NULL WHERE id = 'a1'"); err != nil {
			t.Fatal(err)
		}
		if got := list(ada); !slices.Equal(got, []string{"a2"}) {
			t.Errorf("Ada's, one of an earlier version: %v", got)
		}
		used := models.Session{ID: "a1", AgentID: models.AgentID(ada.ID), StartedAt: &now, SeenAt: now.Add(2 * time.Minute), ExpiresAt: now.Add(time.Hour)}
		if err := s.RecordSessionSeen(t.Context(), used); err != nil {
			t.Fatal(err)
		}
		if got := list(ada); !slices.Equal(got, []string{"a1", "a2"}) {
			t.Errorf("Ada's, after it was used: %v", got)
		}

		for _, id := range []string{"b1", "none"} {
			if err := s.EndSessionOf(t.Context(), ada.ID, id); !errors.Is(err, models.ErrNotFound) {
				t.Errorf("Ada ends %s: %v", id, err)
			}
		}
		if err := s.EndSessionOf(t.Context(), ada.ID, "a1"); err != nil || !s.SessionEnded("a1", g) || s.SessionEnded("a2", g) || s.SessionEnded("b1", g) {
			t.Errorf("Ada ends a1: %v", err)
		}
		if got := list(ada); !slices.Equal(got, []string{"a2"}) {
			t.Errorf("Ada's, after one was ended: %v", got)
		}
		changed, err := s.UpdateAgent(t.Context(), ada.ID, models.AgentPatch{EndSessions: true})
		if err != nil || changed.SessionGeneration != ada.SessionGeneration+1 || len(list(changed)) != 0 || len(list(bob)) != 1 {
			t.Errorf("after all of Ada's were ended: %+v, %v", changed, err)
		}

		// Beyond the limit, the session unused for longest ends.
		for i := range 51 {
			start(fmt.Sprint("c", i), changed, now.Add(time.Duration(i)*time.Second))
		}
		if got := list(changed); len(got) != 50 || !s.SessionEnded("c0", g) || s.SessionEnded("c1", g) {
			t.Errorf("%d sessions: %v", len(got), got)
		}
	})
}
