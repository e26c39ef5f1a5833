package models_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"sohbet/models"
)

func TestEditMessage(t *testing.T) {
	withBot(t, func(t *testing.T, s *models.Store) {
		id, other := thread(t, s, 1).ID, thread(t, s, 2).ID
		first := say(t, s, id, "frist").Message
		last := post(t, s, models.NewMessage{ThreadID: id, ContentText: "lsat", SenderType: "telegram"}).Message
		if _, _, err := s.Messages(t.Context(), id, models.MessageQuery{}); err != nil { // fills the cache
			t.Fatal(err)
		}
		when := time.Now()
		for m, text := range map[models.Message]string{first: "first", last: repeat("l", 300)} {
			got, err := s.EditMessage(t.Context(), id, m.ID, text, 0, when)
			if err != nil || got.ContentText != text || got.EditedAt == nil || got.ID != m.ID || got.SenderType != m.SenderType {
				t.Fatalf("%+v, %v", got, err)
			}
		}
		list, _, err := s.Messages(t.Context(), id, models.MessageQuery{})
		if err != nil || !slices.Equal(texts(list), []string{"first", repeat("l", 300)}) || list[0].EditedAt == nil ||
			!list[0].EditedAt.Equal(when.UTC().Truncate(time.Millisecond)) {
			t.Errorf("history %+v, %v", list, err)
		}
		if th := readThread(t, s, id); th.LastMessage != repeat("l", models.LastMessageRunes) {
			t.Errorf("the list shows %q", th.LastMessage)
		}
		if _, got := outbox(t, s); len(got) != 2 || got[1] != fmt.Sprintf("edit %s %d", id, first.ID) {
			t.Errorf("outbox %v", got)
		}
		if _, err := s.EditMessage(t.Context(), other, first.ID, "x", 0, when); err != models.ErrNotFound {
			t.Errorf("through another thread: %v", err)
		}
		if _, err := s.EditMessage(t.Context(), id, first.ID, repeat("x", models.MaxContentText+1), 0, when); !errors.Is(err, models.ErrInvalid) {
			t.Errorf("too long: %v", err)
		}
	})
}
