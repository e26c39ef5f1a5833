package models_test

import (
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sohbet/models"
	"sohbet/models/storetest"
)

func addAgent(t *testing.T, s *models.Store, a models.Agent) models.Agent {
	t.Helper()
	added, err := s.AddAgent(t.Context(), a)
	if err != nil {
		t.Fatalf("add %s: %v", a.Name, err)
	}
	return added
}

func owner(t *testing.T, s *models.Store, username, hash string) models.Agent {
	t.Helper()
	a, err := s.SetOwner(t.Context(), username, hash, func(other string) bool { return other == hash })
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestAgents(t *testing.T) {
	for _, dialect := range storetest.Dialects {
		t.Run(dialect, func(t *testing.T) {
			o := storetest.Options(t, dialect)
			s, other := storetest.Reopen(t, o), storetest.Reopen(t, o)
			if _, found := s.Agent(0); found || len(s.Agents()) != 0 {
				t.Error("a new database has agents")
			}
			first := owner(t, s, "admin", "")
			ada := addAgent(t, s, models.Agent{Name: " Ada  Lovelace ", Email: "Ada@Example.com", Locale: "en", Role: models.RoleAgent, PasswordHash: "hash"})
			if got, found := s.Agent(0); !found || got != first || first.ID == 0 || first.Role != models.RoleOwner || first.Name != "admin" {
				t.Errorf("the owner is %+v", got)
			}
			if ada.Name != "Ada Lovelace" || ada.Email != "ada@example.com" || !ada.Enabled() || ada.CreatedAt.IsZero() {
				t.Errorf("added %+v", ada)
			}
			if list := s.Agents(); !slices.Equal(list, []models.Agent{first, ada}) {
				t.Errorf("agents %+v", list)
			}
			for username, want := range map[string]int64{
				"ada lovelace": ada.ID, "ADA LOVELACE": ada.ID, " ADA@example.com ": ada.ID, "Admin": first.ID, "ada": 0, "": 0, "@": 0, "admin@example.com": 0,
			} {
				if got, found := s.FindAgent(username); got.ID != want || found != (want != 0) {
					t.Errorf("%q is %+v", username, got)
				}
			}
			for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
				if got, found := other.Agent(ada.ID); found && got == ada {
					break
				}
				if time.Now().After(deadline) {
					t.Fatal("another process does not notice a new agent")
				}
			}
			raw := ""
			row := storetest.Raw(t, s).QueryRow("SELECT email || password_hash || admin_username FROM agents WHERE name = 'Ada Lovelace'")
			if err := row.Scan(&raw); err != nil || raw == "" || strings.Contains(raw, "example") || strings.Contains(raw, "hash") {
				t.Errorf("stored %q, %v", raw, err)
			}
			if again := storetest.Reopen(t, o); !slices.Equal(again.Agents(), s.Agents()) {
				t.Errorf("after a restart %+v", again.Agents())
			}
		})
	}
}

func TestAgentsAreChecked(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		if _, err := s.AddAgent(t.Context(), models.Agent{Name: "Ada", Role: models.RoleAgent}); !errors.Is(err, models.ErrLastOwner) {
			t.Errorf("the first agent is no owner: %v", err)
		}
		first := owner(t, s, "admin", "")
		former := addAgent(t, s, models.Agent{Name: "İpek", Email: "ipek@example.com", Role: models.RoleAgent})
		disabled := true
		if _, err := s.UpdateAgent(t.Context(), former.ID, models.AgentPatch{Disabled: &disabled}); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			a    models.Agent
			want error
		}{
			{models.Agent{Name: "ADMİN", Role: models.RoleAgent}, models.ErrNameTaken},
			{models.Agent{Name: "x", Email: "IPEK@example.com", Role: models.RoleAgent}, models.ErrEmailTaken},
			{models.Agent{Name: "a@b", Role: models.RoleAgent}, models.ErrInvalid},
			{models.Agent{Name: "", Role: models.RoleAgent}, models.ErrInvalid},
			{models.Agent{Name: "\u200b", Role: models.RoleAgent}, models.ErrInvalid},
			{models.Agent{Name: repeat("x", models.MaxDisplayName+1), Role: models.RoleAgent}, models.ErrInvalid},
			{models.Agent{Name: "x", Email: "ipek", Role: models.RoleAgent}, models.ErrInvalid},
			{models.Agent{Name: "x", Role: "admin"}, models.ErrInvalid},
			{models.Agent{Name: "ıpek", Role: models.RoleAgent}, nil}, // the name of a disabled agent is free
		} {
			if _, err := s.AddAgent(t.Context(), c.a); !errors.Is(err, c.want) {
				t.Errorf("%+v: %v, want %v", c.a, err, c.want)
			}
		}
		enabled, agent := false, models.RoleAgent
		for _, c := range []struct {
			id   int64
			p    models.AgentPatch
			want error
		}{
			{former.ID, models.AgentPatch{Disabled: &enabled}, models.ErrNameTaken},
			{former.ID + 100, models.AgentPatch{}, models.ErrNotFound},
			{first.ID, models.AgentPatch{Disabled: &disabled}, models.ErrLastOwner},
			{first.ID, models.AgentPatch{Role: &agent}, models.ErrLastOwner},
		} {
			if _, err := s.UpdateAgent(t.Context(), c.id, c.p); !errors.Is(err, c.want) {
				t.Errorf("%+v: %v, want %v", c.p, err, c.want)
			}
		}
		if got, _ := s.Agent(0); got != first {
			t.Errorf("refused changes made of the owner %+v", got)
		}
	})
}

// Two owners disable or demote each other at the same time, again and again, in two processes. One of them is always left.
func TestOneOwnerIsLeft(t *testing.T) {
	for _, dialect := range storetest.Dialects {
		t.Run(dialect, func(t *testing.T) {
			o := storetest.Options(t, dialect)
			stores := []*models.Store{storetest.Reopen(t, o), storetest.Reopen(t, o)}
			owners := []models.Agent{owner(t, stores[0], "admin", ""), addAgent(t, stores[0], models.Agent{Name: "Ada", Role: models.RoleOwner})}
			agent, role, disabled, enabled := models.RoleAgent, models.RoleOwner, true, false
			for round, p := range []models.AgentPatch{{Role: &agent}, {Disabled: &disabled}, {Role: &agent, Disabled: &disabled}, {Role: &agent}} {
				var refused atomic.Int64
				inParallel(t, 2, func(i int) error {
					_, err := stores[i].UpdateAgent(t.Context(), owners[i].ID, p)
					if errors.Is(err, models.ErrLastOwner) {
						refused.Add(1)
						return nil
					}
					return err
				})
				if refused.Load() != 1 {
					t.Fatalf("round %d: %d of 2 were refused", round, refused.Load())
				}
				for _, a := range owners {
					if _, err := stores[0].UpdateAgent(t.Context(), a.ID, models.AgentPatch{Role: &role, Disabled: &enabled}); err != nil {
						t.Fatal(err)
					}
				}
			}
		})
	}
}

func TestChangesThatEndAnAgentsSessions(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		owner(t, s, "admin", "")
		a := addAgent(t, s, models.Agent{Name: "Ada", Role: models.RoleAgent})
		var checks atomic.Int64
		s.OnSessionsEnded(func() { checks.Add(1) })
		text, role, disabled, enabled := "another", models.RoleOwner, true, false
		email := "ada@example.com"
		for _, c := range []struct {
			p    models.AgentPatch
			ends bool
		}{
			{models.AgentPatch{Name: &text, Email: &email, AvatarURL: &text, Locale: &text}, false},
			{models.AgentPatch{PasswordHash: &text}, true}, {models.AgentPatch{PasswordHash: &text}, false},
			{models.AgentPatch{Role: &role}, true}, {models.AgentPatch{Role: &role}, false},
			{models.AgentPatch{Disabled: &disabled}, true}, {models.AgentPatch{Disabled: &disabled}, false}, {models.AgentPatch{Disabled: &enabled}, false},
		} {
			err := s.SavePush(t.Context(), models.PushSubscription{SessionID: "s", AgentID: models.AgentID(a.ID), ExpiresAt: time.Now().Add(time.Hour)})
			if err != nil {
				t.Fatal(err)
			}
			before, checked := a.SessionGeneration, checks.Load()
			if a, err = s.UpdateAgent(t.Context(), a.ID, c.p); err != nil {
				t.Fatal(err)
			}
			list, err := s.PushSubscriptions(t.Context(), time.Now())
			if err != nil || (a.SessionGeneration != before) != c.ends || (len(list) == 0) != c.ends || checks.Load() == checked {
				t.Errorf("%+v: generation %d after %d, %d push subscriptions, %v", c.p, a.SessionGeneration, before, len(list), err)
			}
		}
	})
}

func TestOwnerOfTheSettings(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		type want struct{ name, email, hash string }
		check := func(what string, w want) models.Agent {
			t.Helper()
			a, found := s.Agent(0)
			if !found || a.Name != w.name || a.Email != w.email || a.PasswordHash != w.hash || len(s.Agents()) != 1 {
				t.Errorf("%s: %+v of %d agents, want %+v", what, a, len(s.Agents()), w)
			}
			return a
		}
		owner(t, s, "admin", "first")
		a := check("new", want{"admin", "", "first"})
		if a.SessionGeneration != 0 {
			t.Error("sessions of earlier versions would end")
		}
		own := "own"
		if _, err := s.UpdateAgent(t.Context(), a.ID, models.AgentPatch{PasswordHash: &own, Name: &own}); err != nil {
			t.Fatal(err)
		}
		owner(t, s, "admin", "first")
		check("unchanged settings", want{"own", "", "own"})
		owner(t, s, "admin", "second")
		check("another password", want{"own", "", "second"})
		owner(t, s, "shop@example.com", "second")
		check("another name", want{"shop", "shop@example.com", "second"})
		owner(t, s, "shop@example.com", "")
		check("no password", want{"shop", "shop@example.com", ""})
		if _, err := s.UpdateAgent(t.Context(), a.ID, models.AgentPatch{PasswordHash: &own}); err != nil {
			t.Fatal(err)
		}
		owner(t, s, "@", "")
		check("a name that is none", want{"admin", "@", "own"})
		addAgent(t, s, models.Agent{Name: "Ada", Role: models.RoleAgent})
		if _, err := s.SetOwner(t.Context(), "ada", "", func(string) bool { return true }); !errors.Is(err, models.ErrNameTaken) {
			t.Errorf("the name of another agent: %v", err)
		}
	})
}

// What was done by an agent says so, and what the team did without an account is null.
func TestAuthors(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		by := models.AgentID(owner(t, s, "admin", "").ID)
		for n, who := range []models.AgentID{0, by} {
			id := thread(t, s, n+1).ID
			said := say(t, s, id, "hi").Message
			m := post(t, s, models.NewMessage{ThreadID: id, ContentText: "hello", SenderType: models.Admin, AgentID: who}).Message
			if said.AgentID != 0 || m.AgentID != who {
				t.Errorf("appended by %d and %d", said.AgentID, m.AgentID)
			}
			if edited, err := s.EditMessage(t.Context(), id, m.ID, "hullo", who, time.Now()); err != nil || edited.EditedBy != who || edited.AgentID != who {
				t.Errorf("edited %+v, %v", edited, err)
			}
			if list, _, err := s.Messages(t.Context(), id, models.MessageQuery{}); err != nil || list[0].AgentID != 0 || list[1].AgentID != who || list[1].EditedBy != who {
				t.Errorf("read %+v, %v", list, err)
			}
			if note, _, err := s.AddNote(t.Context(), models.Note{ThreadID: id, ContentText: "x", AgentID: who}); err != nil || note.AgentID != who {
				t.Errorf("note %+v, %v", note, err)
			}
			if b, err := s.Block(t.Context(), id, false, who); err != nil || b.AgentID != who {
				t.Errorf("block %+v, %v", b, err)
			}
			status := models.StatusClosed
			if th, err := s.UpdateThread(t.Context(), id, models.ThreadPatch{Status: &status, StatusBy: who}); err != nil || th.StatusBy != who {
				t.Errorf("closed %+v, %v", th, err)
			}
			name := "Ada"
			if th, err := s.UpdateThread(t.Context(), id, models.ThreadPatch{DisplayName: &name}); err != nil || th.StatusBy != who {
				t.Errorf("renamed %+v, %v", th, err)
			}
			post(t, s, models.NewMessage{ThreadID: id, SenderType: models.Admin})
			models.FlushCache(s)
			if th := readThread(t, s, id); th.StatusBy != who {
				t.Errorf("closed by %d after an answer", th.StatusBy)
			}
			if again := say(t, s, id, "again"); again.Thread.StatusBy != 0 {
				t.Errorf("reopened by %d", again.Thread.StatusBy)
			}
			models.FlushCache(s)
			if th := readThread(t, s, id); th.StatusBy != 0 || th.Status != models.StatusActive {
				t.Errorf("reopened %+v", th)
			}
			for _, column := range []string{"messages.agent_id", "messages.edited_by", "notes.agent_id", "blocks.agent_id", "threads.status_by"} {
				table, _, _ := strings.Cut(column, ".")
				var zero int
				if err := storetest.Raw(t, s).QueryRow("SELECT count(*) FROM " + table + " WHERE " + column + " = 0").Scan(&zero); err != nil || zero != 0 {
					t.Errorf("%s is 0 in %d rows, %v", column, zero, err)
				}
			}
			j, err := s.StartClear(t.Context(), id, who)
			if stored, err2 := s.Job(t.Context(), j.ID); err != nil || err2 != nil || stored.AgentID != who {
				t.Errorf("job %+v, %v, %v", stored, err, err2)
			}
		}
	})
}

// A process knows at once an agent that another process has added or changed.
func TestAgentsOfAnotherProcess(t *testing.T) {
	o := storetest.Options(t, "postgres")
	s, other := storetest.Reopen(t, o), storetest.Reopen(t, o)
	a := addAgent(t, s, models.Agent{Name: "Ada", Role: models.RoleOwner})
	if known, found := other.Agent(a.ID); !found || known.Name != "Ada" || other.AgentSessionEnded(a.ID, a.SessionGeneration) {
		t.Errorf("added: %+v, %v", known, found)
	}
	hash := "another"
	changed, err := s.UpdateAgent(t.Context(), a.ID, models.AgentPatch{PasswordHash: &hash})
	if err != nil || other.AgentSessionEnded(a.ID, changed.SessionGeneration) || !other.AgentSessionEnded(a.ID, a.SessionGeneration) {
		t.Errorf("changed: %+v, %v", changed, err)
	}
	if _, found := other.Agent(a.ID + 1); found {
		t.Error("an agent who does not exist")
	}
}
