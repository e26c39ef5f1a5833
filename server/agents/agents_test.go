package agents_test

import (
	"strings"
	"testing"

	"sohbet/models"
	"sohbet/models/storetest"
	"sohbet/server/agents"
	"sohbet/server/auth"
)

func TestEnsureOwner(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		ensure := func(username, password string) models.Agent {
			t.Helper()
			a, err := agents.EnsureOwner(t.Context(), s, username, password)
			if err != nil {
				t.Fatal(err)
			}
			return a
		}
		hash, err := auth.HashPassword("a second password")
		if err != nil {
			t.Fatal(err)
		}
		last := models.Agent{}
		for _, c := range []struct {
			username, password string
			changed            bool
		}{
			{"admin", "", true}, {"admin", "", false}, {"admin", "a first password", true}, {"admin", "a first password", false},
			{"ada", "a first password", true}, {"ada", hash, true}, {"ada", hash, false}, {"ada", "", true},
		} {
			a := ensure(c.username, c.password)
			if (a != last) != c.changed || a.Role != models.RoleOwner || a.Name != c.username || !auth.HashOf(c.password, a.PasswordHash) || len(s.Agents()) != 1 {
				t.Errorf("%q, %q: %+v after %+v", c.username, c.password, a, last)
			}
			last = a
		}
		if _, err := s.AddAgent(t.Context(), models.Agent{Name: "Eve", Role: models.RoleAgent}); err != nil {
			t.Fatal(err)
		}
		if _, err := agents.EnsureOwner(t.Context(), s, "eve", ""); err == nil || !strings.HasPrefix(err.Error(), `ADMIN_USERNAME holds "eve"`) {
			t.Errorf("the name of another agent: %v", err)
		}
	})
}
