package migrate_test

import (
	"testing"

	"sohbet/models"
	"sohbet/models/storetest"
)

// A team that is away stays away: all of its agents are, or the owner who is made when there is none yet.
func TestAwayIsInherited(t *testing.T) {
	for _, dialect := range storetest.Dialects {
		for _, agents := range []int{0, 2} {
			for _, away := range []bool{true, false} {
				o := storetest.Options(t, dialect)
				s := storetest.Reopen(t, o)
				for i := range agents {
					if _, err := s.AddAgent(t.Context(), models.Agent{Name: string(rune('a' + i)), Role: models.RoleOwner}); err != nil {
						t.Fatal(err)
					}
				}
				if err := s.SetSetting(t.Context(), "away", map[bool]string{true: "on", false: "off"}[away]); err != nil {
					t.Fatal(err)
				}
				for _, statement := range []string{"ALTER TABLE agents DROP COLUMN away_since", "DELETE FROM schema_migrations WHERE id = 'presence_0001_away'"} {
					if _, err := storetest.Raw(t, s).Exec(statement); err != nil {
						t.Fatal(err)
					}
				}
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				s = storetest.Reopen(t, o)
				if agents == 0 {
					if _, err := s.SetOwner(t.Context(), "admin", "", func(hash string) bool { return hash == "" }); err != nil {
						t.Fatal(err)
					}
				}
				for _, a := range s.Agents() {
					if a.Away() != away {
						t.Errorf("%s, %d agents, the team is away: %v, an agent: %v", dialect, agents, away, a.Away())
					}
				}
				if position, err := s.Setting(t.Context(), "away"); err != nil || position == "on" {
					t.Errorf("the setting is %q, %v", position, err)
				}
			}
		}
	}
}
