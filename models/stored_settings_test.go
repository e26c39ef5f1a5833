package models_test

import (
	"testing"

	"sohbet/models"
	"sohbet/models/storetest"
)

func TestSettings(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		for _, want := range []string{"", "on", "off"} {
			if want != "" {
				if err := s.SetSetting(t.Context(), "away", want); err != nil {
					t.Fatal(err)
				}
			}
			if got, err := s.Setting(t.Context(), "away"); err != nil || got != want {
				t.Errorf("it stands at %q, want %q, %v", got, want, err)
			}
		}
		if got, err := s.Setting(t.Context(), "other"); err != nil || got != "" {
			t.Errorf("another: %q, %v", got, err)
		}
	})
}
