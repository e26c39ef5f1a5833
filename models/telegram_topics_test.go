package models_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"sohbet/models"
)

const forum = -1002233445566

// topic records that a thread has a topic.
func topic(t *testing.T, s *models.Store, threadID string, id int64) {
	t.Helper()
	names, _, err := s.TelegramThread(t.Context(), threadID)
	if err == nil {
		names.ChatID, names.TopicID, names.TopicName, names.TopicStatus = forum, id, "x", models.StatusActive
		err = s.SetTopic(t.Context(), names)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestDeletingThreadsDeletesTheirTopics(t *testing.T) {
	withBot(t, func(t *testing.T, s *models.Store) {
		var first string
		for i := range 4 {
			id := thread(t, s, i).ID
			if i == 0 {
				first = id
			}
			say(t, s, id, "one")
			if i != 2 { // this one has no topic
				topic(t, s, id, int64(10+i))
			}
		}
		deletions := func(topics ...int) (want []string) {
			for _, n := range topics {
				want = append(want, fmt.Sprintf("%s %s %d", models.OutboxTopicDeletion, models.TopicsOfChat(forum), n))
			}
			return want
		}
		if err := s.DeleteThread(t.Context(), first); err != nil {
			t.Fatal(err)
		}
		if _, got := outbox(t, s); !slices.Equal(got[3:], deletions(10)) {
			t.Errorf("after one was deleted there waits %v", got)
		}
		// The topic of a thread deleted while the topic was being created is deleted too; a topic that was removed from the thread
		// leaves nothing behind.
		if err := s.SetTopic(t.Context(), models.TelegramThread{ThreadID: first, ChatID: forum, TopicID: 99}); !errors.Is(err, models.ErrNotFound) {
			t.Errorf("the topic of a deleted thread is noted: %v", err)
		}
		if err := s.SetTopic(t.Context(), models.TelegramThread{ThreadID: first}); !errors.Is(err, models.ErrNotFound) {
			t.Errorf("the topic of a deleted thread is noted: %v", err)
		}
		if _, err := s.ClearAll(t.Context()); err != nil {
			t.Fatal(err)
		}
		if rows, got := outbox(t, s); !slices.Equal(got, deletions(10, 99, 11, 13)) {
			t.Errorf("in the end there waits %v (%+v)", got, rows)
		}
	})
}
