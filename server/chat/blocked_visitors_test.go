package chat_test

import (
	"errors"
	"testing"

	"sohbet/models"
	"sohbet/models/storetest"
	"sohbet/server/apperr"
	"sohbet/server/chat"
)

func TestBlockedVisitor(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		w := newEnv(s, 100, 100)
		v, neighbour, elsewhere := visitorAt("v"), visitorAt("n"), visitorAt("e")
		elsewhere.Address = "192.0.2.2"
		id, theirs, third := w.join(t, v, "Ayşe"), w.join(t, neighbour, "Ali"), w.join(t, elsewhere, "Can")
		w.post(t, v, id, "before")
		w.take(t)

		for who, a := range map[string]chat.Actor{"the visitor": v, "another visitor": neighbour} {
			if err := w.Block(t.Context(), a, id, true); code(err) != apperr.CodeUnauthorized {
				t.Errorf("%s blocks: %v", who, err)
			}
			if err := w.Unblock(t.Context(), a, id); code(err) != apperr.CodeUnauthorized {
				t.Errorf("%s unblocks: %v", who, err)
			}
			if _, err := w.Blocks(t.Context(), a); code(err) != apperr.CodeUnauthorized {
				t.Errorf("%s lists blocks: %v", who, err)
			}
		}
		if err := w.Block(t.Context(), agent, "nonsense", false); code(err) != apperr.CodeValidation {
			t.Errorf("a malformed id: %v", err)
		}
		if err := w.Block(t.Context(), agent, "33333333-3333-4333-8333-333333333333", false); code(err) != apperr.CodeNotFound {
			t.Errorf("an unknown id: %v", err)
		}

		if err := w.Block(t.Context(), chat.Actor{Role: chat.Telegram}, id, false); err != nil {
			t.Fatal(err)
		}
		h := w.take(t)
		if len(h) != 2 || names(h[0].Agents) != "thread_updated" || h[1].ThreadID != id || h[1].Side != chat.Visitor || names(h[1].Thread) != "thread_blocked error" {
			t.Fatalf("published %+v", h)
		}
		refused := func(a chat.Actor, thread string) {
			t.Helper()
			_, joined := w.Join(t.Context(), a, chat.JoinRequest{ThreadID: thread, Profile: chat.Profile{DisplayName: "x"}})
			_, rejoined := w.Rejoin(t.Context(), a, thread)
			_, posted := w.Post(t.Context(), a, chat.Post{ThreadID: thread, Text: "x"})
			for what, err := range map[string]error{
				"join": joined, "post": posted, "rejoin": rejoined, "typing": w.Typing(t.Context(), a, thread, true),
			} {
				if code(err) != apperr.CodeBlocked {
					t.Errorf("%s by %s: %v", what, a.SocketID, err)
				}
			}
		}
		refused(v, id)
		w.post(t, neighbour, theirs, "not me")
		w.post(t, agent, id, "an answer") // the team may still write
		views, err := w.Threads(t.Context(), agent, models.ThreadQuery{})
		if err != nil {
			t.Fatal(err)
		}
		for _, view := range views {
			if view.Blocked != (view.ID == id) {
				t.Errorf("%s blocked: %v", view.DisplayName, view.Blocked)
			}
		}

		if b, err := w.BlockVisitor(t.Context(), agent, id, true); err != nil || !b.Address || b.AddressUntil == nil {
			t.Fatalf("%+v, %v", b, err)
		}
		refused(v, id)
		refused(neighbour, theirs)
		if err := w.Admit(t.Context(), neighbour); code(err) != apperr.CodeBlocked {
			t.Errorf("admitted from a blocked address: %v", err)
		}
		w.post(t, elsewhere, third, "not me either")
		if list, err := w.Blocks(t.Context(), agent); err != nil || len(list) != 1 || list[0].ThreadID != id || list[0].DisplayName != "Ayşe" {
			t.Errorf("%+v, %v", list, err)
		}

		w.take(t)
		if err := w.Unblock(t.Context(), agent, id); err != nil {
			t.Fatal(err)
		}
		if h := w.take(t); len(h) != 2 || names(h[0].Agents) != "thread_updated" || names(h[1].Thread) != "thread_blocked" {
			t.Errorf("published %+v", h)
		}
		w.post(t, v, id, "again")
		w.post(t, neighbour, theirs, "again")
	})
}

// What is blocked is decided by the thread, also while this process does not know yet that another one unblocked it, and a refusal has the
// thread's revision.
func TestUnblockedByAnotherProcess(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		w := newEnv(s, 100, 100)
		v := visitorAt("v")
		id := w.join(t, v, "Ayşe")
		if err := w.Block(t.Context(), agent, id, true); err != nil {
			t.Fatal(err)
		}
		th, err := s.Thread(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.Rejoin(t.Context(), v, id)
		var refusal *apperr.Error
		if !errors.As(err, &refusal) || refusal.Code != apperr.CodeBlocked || refusal.Rev != th.Rev || th.Rev == 0 {
			t.Fatalf("%+v, want revision %d", refusal, th.Rev)
		}
		for _, sql := range []string{"DELETE FROM blocks", "UPDATE threads SET blocked = false, rev = rev + 1"} {
			if _, err := storetest.Raw(t, s).Exec(sql); err != nil {
				t.Fatal(err)
			}
		}
		s.ForgetAll()
		if !s.Blocked(id, "") || !s.Blocked("", v.Address) {
			t.Fatal("the process knows it already")
		}
		if _, err := w.Rejoin(t.Context(), v, id); err != nil {
			t.Error(err)
		}
		w.post(t, v, id, "again")
	})
}
