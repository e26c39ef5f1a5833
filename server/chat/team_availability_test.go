package chat_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sohbet/models"
	"sohbet/models/storetest"
	"sohbet/server/apperr"
	"sohbet/server/broker"
	"sohbet/server/chat"
	"sohbet/server/chat/chattest"
	"sohbet/server/hours"
)

func TestAway(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		w := newEnv(s, 100, 100)
		v := visitorAt("v")
		id := w.join(t, v, "Ayşe")
		w.Arrived(v, id)
		_, ada := w.member(t, "Ada", models.RoleOwner)
		_, bob := w.member(t, "Bob", models.RoleAgent)
		w.take(t)
		if err := w.SetAway(t.Context(), v, true); code(err) != apperr.CodeUnauthorized || w.Away() {
			t.Errorf("a visitor sent the team home: %v", err)
		}
		for range 2 { // the second call changes nothing
			if err := w.SetAway(t.Context(), operator, true); err != nil || !w.Away() {
				t.Fatalf("away %v, %v", w.Away(), err)
			}
		}
		h := w.take(t)
		const away = `{"away":true,"until":null,"typical_reply_seconds":null,"hours":false,"switched":true}`
		if len(h) != 2 || names(h[0].Agents) != "team_status" || h[1].ThreadID != id || names(h[1].Thread) != "team_status" || wire(t, h[1].Thread[0].Payload) != away {
			t.Fatalf("published %+v", h)
		}
		// It is the switch of each agent: the team is there as soon as one of them is.
		if err := w.SetAway(t.Context(), ada, false); err != nil || w.Away() {
			t.Errorf("Ada is back: away %v, %v", w.Away(), err)
		}
		if err := w.SetAway(t.Context(), bob, false); err != nil || w.Away() {
			t.Errorf("Bob is back: away %v, %v", w.Away(), err)
		}
		if err := w.SetAway(t.Context(), ada, true); err != nil || w.Away() {
			t.Errorf("Ada is away: the team is away %v, %v", w.Away(), err)
		}
		if h := w.take(t); len(h) != 2 {
			t.Errorf("published %+v, want team_status once for agents and the visitor", h)
		}
		disabled := true
		if _, err := s.UpdateAgent(t.Context(), int64(bob.AgentID), models.AgentPatch{Disabled: &disabled}); err != nil || !w.Away() {
			t.Errorf("all enabled agents are away, the team is away %v, %v", w.Away(), err)
		}
		// The switches are visible to another process and after a restart.
		again := newEnv(s, 100, 100)
		watching(t, again.Service)
		eventually(t, "the other process notices", again.Away)
		if err := w.SetAway(t.Context(), operator, false); err != nil || w.Away() {
			t.Errorf("away %v, %v", w.Away(), err)
		}
	})
}

// watching runs WatchTeam until the test ends.
func watching(t *testing.T, s *chat.Service) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		s.WatchTeam(ctx)
		close(ended)
	}()
	t.Cleanup(func() { stop(); <-ended })
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it never held that %s", what)
		}
	}
}

func TestOpeningHours(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		week, err := hours.Parse("UTC Mon-Fri 09:00-18:00")
		if err != nil {
			t.Fatal(err)
		}
		var now atomic.Pointer[time.Time]
		at := func(text string) {
			t.Helper()
			moment, err := time.Parse(time.RFC3339, text)
			if err != nil {
				t.Fatal(err)
			}
			now.Store(&moment)
		}
		at("2026-01-05T17:59:59Z") // a Monday
		h := &chattest.Recorder{}
		w := env{chat.New(chat.Options{
			Store: s, Publisher: h, Presence: &broker.Memory{}, Topics: &broker.Memory{}, Messages: &allow{left: 9}, NewThreads: &allow{left: 9}, OfflineAfter: grace, Hours: week,
			Now: func() time.Time { return *now.Load() },
		}), h, s}
		stands := func(want string) {
			t.Helper()
			if got := wire(t, w.Team()); got != want {
				t.Errorf("the team is %s, want %s", got, want)
			}
		}
		stands(`{"away":false,"until":null,"typical_reply_seconds":null,"hours":false,"switched":false}`)
		v := visitorAt("v")
		id := w.join(t, v, "Ayşe")
		w.Arrived(v, id)
		w.take(t)
		at("2026-01-05T18:00:00Z")
		const closed = `{"away":true,"until":"2026-01-06T09:00:00.000Z","typical_reply_seconds":null,"hours":true,"switched":false}`
		stands(closed)
		if w.Away() {
			t.Error("no agent switched it")
		}
		watching(t, w.Service) // its first check is published immediately
		eventually(t, "visitors and agents are notified", func() bool {
			heard := h.Take()
			for _, p := range heard {
				if p.ThreadID == id && wire(t, p.Thread[0].Payload) != closed || p.ThreadID == "" && wire(t, p.Agents[0].Payload) != closed {
					t.Errorf("published %+v", p)
				}
			}
			return len(heard) > 0
		})
		_, ada := w.member(t, "Ada", models.RoleOwner)
		if err := w.SetAway(t.Context(), ada, true); err != nil {
			t.Fatal(err)
		}
		stands(strings.Replace(closed, `"switched":false`, `"switched":true`, 1))
		at("2026-01-06T09:00:00Z")
		stands(`{"away":true,"until":null,"typical_reply_seconds":null,"hours":false,"switched":true}`)
	})
}

func TestUsualReply(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		var now atomic.Int64
		start := time.Now()
		h := &chattest.Recorder{}
		w := env{chat.New(chat.Options{
			Store: s, Publisher: h, Presence: &broker.Memory{}, Topics: &broker.Memory{}, Messages: &allow{left: 99}, NewThreads: &allow{left: 99}, OfflineAfter: grace,
			Now: func() time.Time { return start.Add(time.Duration(now.Load())) },
		}), h, s}
		for _, wait := range []time.Duration{time.Minute, time.Hour, 2 * time.Minute} {
			v := visitorAt("v")
			id := w.join(t, v, "Ayşe")
			w.post(t, v, id, "question")
			now.Add(int64(wait))
			w.post(t, agent, id, "answer")
			now.Add(int64(time.Hour))
			w.post(t, operator, id, "and another")
		}
		watching(t, w.Service)
		eventually(t, "the usual time is known", func() bool { return w.Team().UsualSeconds != nil })
		if got := *w.Team().UsualSeconds; got != 120 {
			t.Errorf("usually after %d s", got)
		}
	})
}
