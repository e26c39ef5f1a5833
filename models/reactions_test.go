package models_test

import (
	"errors"
	"strings"
	"testing"

	"sohbet/models"
	"sohbet/models/storetest"
)

func TestReactions(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		for _, id := range []string{"a", "b"} {
			if _, err := s.CreateThread(t.Context(), models.NewThread{ID: id, DisplayName: id}); err != nil {
				t.Fatal(err)
			}
		}
		r, err := s.AppendWait(t.Context(), models.NewMessage{ThreadID: "a", SenderType: models.Visitor, ContentType: "text", ContentText: "merhaba"})
		if err != nil {
			t.Fatal(err)
		}
		id := r.Message.ID
		for _, reaction := range []string{"👍", "❤️🎉", ""} {
			m, err := s.SetReaction(t.Context(), "a", id, reaction, 7)
			if err != nil || m.Reaction != reaction || m.ContentText != "merhaba" {
				t.Errorf("%q: %+v, %v", reaction, m, err)
			}
			if list, _, err := s.Messages(t.Context(), "a", models.MessageQuery{}); err != nil || len(list) != 1 || list[0].Reaction != reaction {
				t.Errorf("%q: history %+v, %v", reaction, list, err)
			}
		}
		if _, err := s.SetReaction(t.Context(), "b", id, "👍", 0); !errors.Is(err, models.ErrNotFound) {
			t.Errorf("in another thread: %v", err)
		}
		if _, err := s.SetReaction(t.Context(), "a", id, strings.Repeat("👍", models.MaxReaction+1), 0); err == nil {
			t.Error("a reaction that is too long is stored")
		}
	})
}
