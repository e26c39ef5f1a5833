package models_test

import (
	"errors"
	"testing"
	"time"

	"sohbet/models"
	"sohbet/models/storetest"
)

func TestThreadIsStoredWithItsUser(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		before := time.Now().Add(-time.Second)
		made, err := s.CreateThread(t.Context(), models.NewThread{
			ID: "t1", DisplayName: "Ayşe", PhoneNumber: "+90 555 000 11 22", PageURL: "https://example.com/a", Locale: "tr",
		})
		if err != nil {
			t.Fatal(err)
		}
		got := readThread(t, s, "t1")
		if got != made {
			t.Fatalf("read %+v, created %+v", got, made)
		}
		if got.UserID == 0 || got.Status != models.StatusActive || got.DisplayName != "Ayşe" || got.Locale != "tr" {
			t.Fatalf("unexpected row %+v", got)
		}
		if got.CreatedAt.Before(before) || got.CreatedAt.Location() != time.UTC || !got.LastActivity.Equal(got.CreatedAt) {
			t.Fatalf("unexpected times %v %v", got.CreatedAt, got.LastActivity)
		}
		if _, err := s.CreateThread(t.Context(), models.NewThread{ID: "t1"}); !errors.Is(err, models.ErrExists) {
			t.Fatalf("a second thread with the id gave %v", err)
		}
		if _, err := s.Thread(t.Context(), "t2"); !errors.Is(err, models.ErrNotFound) {
			t.Fatalf("a missing thread gave %v", err)
		}
	})
}
