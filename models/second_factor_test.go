package models_test

import (
	"sync/atomic"
	"testing"

	"sohbet/models"
	"sohbet/models/storetest"
)

func TestSecondFactor(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		ctx := t.Context()
		ada := addAgent(t, s, models.Agent{Name: "Ada", Role: models.RoleOwner, PasswordHash: "x"})
		bob := addAgent(t, s, models.Agent{Name: "Bob", Role: models.RoleAgent, PasswordHash: "x"})
		set, err := s.SetTOTP(ctx, ada.ID, "SECRET", 7, []string{"one", "two"})
		if a, _ := s.Agent(ada.ID); err != nil || set.TOTPSecret != "SECRET" || a.TOTPSecret != "SECRET" || a.SessionGeneration != ada.SessionGeneration {
			t.Fatalf("%+v, %v", set, err)
		}
		var stored string
		if err := storetest.Raw(t, s).QueryRow("SELECT totp_secret FROM agents WHERE name = 'Ada'").Scan(&stored); err != nil || stored == "" || stored == "SECRET" {
			t.Errorf("stored as %q, %v", stored, err)
		}
		for _, c := range []struct {
			step int64
			want bool
		}{{6, false}, {7, false}, {8, true}, {8, false}, {10, true}, {9, false}} {
			if used, err := s.UseTOTPStep(ctx, ada.ID, c.step); err != nil || used != c.want {
				t.Errorf("step %d: %v, %v", c.step, used, err)
			}
		}
		email := "ada@shop.example"
		if _, err := s.UpdateAgent(ctx, ada.ID, models.AgentPatch{Email: &email}); err != nil {
			t.Fatal(err)
		}
		if used, err := s.UseTOTPStep(ctx, ada.ID, 10); err != nil || used {
			t.Errorf("step 10 after another change: %v, %v", used, err)
		}
		for _, c := range []struct {
			who  models.Agent
			code string
			want bool
		}{{bob, "one", false}, {ada, "three", false}, {ada, "", false}, {ada, "one", true}, {ada, "one", false}, {ada, "two", true}} {
			if used, err := s.UseRecoveryCode(ctx, c.who.ID, c.code); err != nil || used != c.want {
				t.Errorf("%s, %q: %v, %v", c.who.Name, c.code, used, err)
			}
		}
		if _, err := s.SetTOTP(ctx, ada.ID, "OTHER", 11, []string{"four"}); err != nil {
			t.Fatal(err)
		}
		none := ""
		for what, p := range map[string]models.AgentPatch{"a reset": {RemoveTOTP: true}, "no password": {PasswordHash: &none}} {
			if _, err := s.SetTOTP(ctx, bob.ID, "SECRET", 1, nil); err != nil {
				t.Fatal(err)
			}
			if a, err := s.UpdateAgent(ctx, bob.ID, p); err != nil || a.TOTPSecret != "" {
				t.Errorf("%s: %+v, %v", what, a, err)
			}
		}
	})
}

// Each code is used by one of many at once.
func TestCodesAreUsedOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		ada := addAgent(t, s, models.Agent{Name: "Ada", Role: models.RoleOwner, PasswordHash: "x"})
		if _, err := s.SetTOTP(t.Context(), ada.ID, "SECRET", 1, []string{"one"}); err != nil {
			t.Fatal(err)
		}
		var steps, codes atomic.Int64
		inParallel(t, 20, func(i int) error {
			if i%2 == 0 {
				used, err := s.UseTOTPStep(t.Context(), ada.ID, 2)
				if used {
					steps.Add(1)
				}
				return err
			}
			used, err := s.UseRecoveryCode(t.Context(), ada.ID, "one")
			if used {
				codes.Add(1)
			}
			return err
		})
		if steps.Load() != 1 || codes.Load() != 1 {
			t.Errorf("used %d and %d times", steps.Load(), codes.Load())
		}
	})
}
