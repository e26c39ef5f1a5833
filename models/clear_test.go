package models_test

import (
	"errors"
	"fmt"
	"testing"

	"sohbet/models"
	"sohbet/models/storetest"
)

func countRows(t testing.TB, s *models.Store, table string) (n int) {
	t.Helper()
	if err := models.Raw(t, s).QueryRow("SELECT count(*) FROM " + table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestClearThreadTakesEverythingOfIt(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		gone, kept := thread(t, s, 1), thread(t, s, 2)
		ids := fill(t, s, gone.ID, 4500) // more than one round of deleting
		say(t, s, kept.ID, "stays")
		for _, id := range []string{gone.ID, kept.ID} {
			if _, err := models.Raw(t, s).Exec("INSERT INTO telegram_links (thread_id, telegram_message_id) VALUES ('" + id + "', 7)"); err != nil {
				t.Fatal(err)
			}
		}
		readThread(t, s, gone.ID)
		if err := s.ClearThread(t.Context(), gone.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Thread(t.Context(), gone.ID); !errors.Is(err, models.ErrNotFound) {
			t.Errorf("the thread: %v", err)
		}
		if _, err := s.Message(t.Context(), ids[0]); !errors.Is(err, models.ErrNotFound) {
			t.Errorf("its first message: %v", err)
		}
		if list, _, err := s.Messages(t.Context(), gone.ID, models.MessageQuery{}); err != nil || len(list) != 0 {
			t.Errorf("its history: %d messages, %v", len(list), err)
		}
		for _, table := range []string{"users", "threads", "messages", "telegram_links"} {
			if n := countRows(t, s, table); n != 1 {
				t.Errorf("%s keeps %d rows, want the other thread's one", table, n)
			}
		}
		if err := s.ClearThread(t.Context(), gone.ID); !errors.Is(err, models.ErrNotFound) {
			t.Errorf("clearing it again gave %v", err)
		}
		// A client that still has the id may open the thread again; ids are not used twice.
		again := post(t, s, models.NewMessage{ThreadID: gone.ID, SenderType: models.Visitor, OpenThread: &models.NewThread{}})
		if !again.Opened || again.Message.ID <= ids[len(ids)-1] {
			t.Errorf("opened again: %v with id %d", again.Opened, again.Message.ID)
		}
	})
}

func TestMessageIDsAreNeverUsedTwice(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		th := thread(t, s, 1)
		last := say(t, s, th.ID, "newest of all").Message.ID
		if err := s.ClearThread(t.Context(), th.ID); err != nil {
			t.Fatal(err)
		}
		if next := say(t, s, thread(t, s, 2).ID, "x").Message.ID; next <= last {
			t.Fatalf("id %d after %d", next, last)
		}
	})
}

func TestClearAll(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		const n = 230
		for i := range n {
			m := models.NewMessage{ThreadID: threadID(i), SenderType: models.Visitor, OpenThread: &models.NewThread{}}
			if err := s.Append(t.Context(), m, nil); err != nil {
				t.Fatal(err)
			}
		}
		say(t, s, threadID(n-1), "last")
		if got, err := s.ClearAll(t.Context()); err != nil || got != n {
			t.Fatalf("cleared %d, %v", got, err)
		}
		for _, table := range []string{"users", "threads", "messages"} {
			if left := countRows(t, s, table); left != 0 {
				t.Errorf("%s keeps %d rows", table, left)
			}
		}
		if got, err := s.ClearAll(t.Context()); err != nil || got != 0 {
			t.Fatalf("a second time: %d, %v", got, err)
		}
	})
}

func TestClearWhileWriting(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		inParallel(t, 6, func(w int) error {
			for n := range 30 {
				if w == 0 {
					if _, err := s.ClearAll(t.Context()); err != nil {
						return err
					}
					continue
				}
				_, err := s.AppendWait(t.Context(), models.NewMessage{ThreadID: threadID(n % 4), SenderType: models.Visitor, OpenThread: &models.NewThread{}})
				if err != nil {
					return fmt.Errorf("writer %d: %w", w, err)
				}
			}
			return nil
		})
		if _, err := s.ClearAll(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, table := range []string{"users", "threads", "messages"} {
			if left := countRows(t, s, table); left != 0 {
				t.Errorf("%s keeps %d rows", table, left)
			}
		}
	})
}
