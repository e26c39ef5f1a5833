package models_test

import (
	"fmt"
	"strings"
	"testing"

	"sohbet/models"
	"sohbet/models/storetest"
)

func TestShortIDs(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		id := thread(t, s, 1).ID
		first, fresh, err := s.TelegramThread(t.Context(), id)
		if err != nil || !fresh || len(first.ShortID) != 7 || strings.Contains(id, first.ShortID) {
			t.Fatalf("%+v, %v, %v", first, fresh, err)
		}
		inParallel(t, 8, func(int) error {
			same, fresh, err := s.TelegramThread(t.Context(), id)
			if err == nil && (fresh || same.ShortID != first.ShortID) {
				return fmt.Errorf("it became %+v", same)
			}
			return err
		})
		first.ChatID, first.TopicID, first.TopicName, first.TopicStatus = -100, 44, "Ayşe", models.StatusClosed
		if err := s.SetTopic(t.Context(), first); err != nil {
			t.Fatal(err)
		}
		for name, find := range map[string]func() (models.TelegramThread, error){
			"short id": func() (models.TelegramThread, error) {
				return s.TelegramThreadByShortID(t.Context(), first.ShortID)
			},
			"topic": func() (models.TelegramThread, error) { return s.TelegramThreadByTopic(t.Context(), -100, 44) },
		} {
			if got, err := find(); err != nil || got.ThreadID != id || got.TopicName != "Ayşe" || got.TopicStatus != models.StatusClosed {
				t.Errorf("by %s: %+v, %v", name, got, err)
			}
		}
		if _, err := s.TelegramThreadByTopic(t.Context(), -100, 45); err != models.ErrNotFound {
			t.Errorf("another topic: %v", err)
		}
	})
}
