package models_test

import (
	"errors"
	"strings"
	"testing"

	"sohbet/models"
	"sohbet/models/storetest"
)

func TestTelegramAccounts(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		ctx := t.Context()
		ada := addAgent(t, s, models.Agent{Name: "Ada", Role: models.RoleOwner})
		bob := addAgent(t, s, models.Agent{Name: "Bob", Role: models.RoleAgent})
		code := func(a models.Agent) string {
			t.Helper()
			code, expires, err := s.TelegramCode(ctx, models.AgentID(a.ID))
			if err != nil || expires.Sub(s.Now()) > models.TelegramCodeLife {
				t.Fatal(expires, err)
			}
			return code
		}
		first, second := code(ada), code(ada)
		for _, wrong := range []string{"", "0000000000", first} { // the first was replaced
			if _, err := s.LinkTelegram(ctx, wrong, 501); !errors.Is(err, models.ErrNotFound) {
				t.Errorf("%q: %v", wrong, err)
			}
		}
		if a, err := s.LinkTelegram(ctx, " "+strings.ToLower(second), 501); err != nil || a.ID != ada.ID || a.SessionGeneration != ada.SessionGeneration {
			t.Fatalf("%+v, %v", a, err)
		}
		if _, err := s.LinkTelegram(ctx, second, 502); !errors.Is(err, models.ErrNotFound) {
			t.Errorf("used twice: %v", err)
		}
		if a, found := s.TelegramAgent(501); !found || a.ID != ada.ID {
			t.Errorf("%+v", a)
		}
		var stored string
		if err := storetest.Raw(t, s).QueryRow("SELECT telegram_id FROM agents WHERE name = 'Ada'").Scan(&stored); err != nil || stored == "" || strings.Contains(stored, "501") {
			t.Errorf("stored as %q, %v", stored, err)
		}

		taken := code(bob)
		if _, err := s.LinkTelegram(ctx, taken, 501); !errors.Is(err, models.ErrTelegramTaken) {
			t.Errorf("an account of another agent: %v", err)
		}
		if a, err := s.LinkTelegram(ctx, taken, 503); err != nil || a.ID != bob.ID { // the attempt did not use it up
			t.Errorf("%+v, %v", a, err)
		}
		disabled := true
		late := code(bob)
		if _, err := s.UpdateAgent(ctx, bob.ID, models.AgentPatch{Disabled: &disabled}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.LinkTelegram(ctx, late, 504); !errors.Is(err, models.ErrNotFound) {
			t.Errorf("of a disabled agent: %v", err)
		}
		if _, err := s.UpdateAgent(ctx, ada.ID, models.AgentPatch{UnlinkTelegram: true}); err != nil {
			t.Fatal(err)
		}
		if a, found := s.TelegramAgent(501); found {
			t.Errorf("still linked to %s", a.Name)
		}
	})
}

// A topic is renamed when its conversation gets another assignee, if topics show them.
func TestAssigningQueuesTheTopic(t *testing.T) {
	for _, dialect := range storetest.Dialects {
		for _, shown := range []bool{true, false} {
			o := storetest.Options(t, dialect)
			o.Telegram, o.TopicAssignees = true, shown
			s := storetest.Reopen(t, o)
			ada := addAgent(t, s, models.Agent{Name: "Ada", Role: models.RoleOwner})
			topics := func() (n int) {
				t.Helper()
				if err := storetest.Raw(t, s).QueryRow("SELECT count(*) FROM outbox WHERE kind = 'topic'").Scan(&n); err != nil {
					t.Fatal(err)
				}
				return n
			}
			for i, sender := range []string{models.Admin, "telegram"} {
				id := []string{"one", "two"}[i]
				for _, m := range []models.NewMessage{
					{ThreadID: id, SenderType: models.Visitor, ContentText: "x", OpenThread: &models.NewThread{}}, {ThreadID: id, SenderType: sender, AgentID: models.AgentID(ada.ID), ContentText: "y"},
					{ThreadID: id, SenderType: sender, AgentID: models.AgentID(ada.ID), ContentText: "z"},
				} {
					if _, err := s.AppendWait(t.Context(), m); err != nil {
						t.Fatal(err)
					}
				}
			}
			for range 2 { // the second changes nothing
				if _, err := s.Assign(t.Context(), "one", 0, func(models.AgentID) bool { return true }, nil); err != nil {
					t.Fatal(err)
				}
			}
			if n := topics(); shown && n != 3 || !shown && n != 0 {
				t.Errorf("%s, shown %v: %d changes of topics", dialect, shown, n)
			}
		}
	}
}
