package models_test

import (
	"errors"
	"testing"

	"sohbet/models"
	"sohbet/models/storetest"
)

func TestPasskeys(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		addAgent(t, s, models.Agent{Name: "Eve", Role: models.RoleOwner})
		ada := addAgent(t, s, models.Agent{Name: "Ada", Role: models.RoleAgent})
		add := func(name string) error {
			_, err := s.AddPasskey(t.Context(), models.Passkey{AgentID: ada.ID, Handle: "handle", Name: name, Credential: "key of " + name, SignCount: 3})
			return err
		}
		if err := add("phone"); err != nil {
			t.Fatal(err)
		}
		list, err := s.PasskeysByHandle(t.Context(), "handle")
		if err != nil || len(list) != 1 || list[0].AgentID != ada.ID || list[0].Name != "phone" || list[0].Credential != "key of phone" {
			t.Fatalf("%+v, %v", list, err)
		}
		for _, use := range []struct {
			count int64
			fresh bool
		}{{3, false}, {0, false}, {4, true}, {4, false}, {5, true}} {
			if fresh, err := s.UsePasskey(t.Context(), list[0].ID, use.count); err != nil || fresh != use.fresh {
				t.Errorf("used with count %d: %v, %v", use.count, fresh, err)
			}
		}
		if _, err := s.RemovePasskey(t.Context(), ada.ID, list[0].ID); !errors.Is(err, models.ErrLastPasskey) {
			t.Errorf("the only way in was removed: %v", err)
		}
		for range models.MaxPasskeys - 1 {
			if err := add("key"); err != nil {
				t.Fatal(err)
			}
		}
		if err := add("one too many"); !errors.Is(err, models.ErrInvalid) {
			t.Errorf("one too many: %v", err)
		}
		if a, _ := s.Agent(ada.ID); a.Passkeys != models.MaxPasskeys {
			t.Errorf("%d passkeys", a.Passkeys)
		}
		if _, err := s.UpdateAgent(t.Context(), ada.ID, models.AgentPatch{RemovePasskeys: true}); err != nil {
			t.Fatal(err)
		}
		if list, err := s.PasskeysOf(t.Context(), ada.ID); err != nil || len(list) != 0 {
			t.Errorf("after all were removed: %d, %v", len(list), err)
		}
	})
}
