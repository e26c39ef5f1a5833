package models_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"sohbet/models"
	"sohbet/models/storetest"
)

func countRows(t testing.TB, s *models.Store, table string) (n int) {
	t.Helper()
	if err := storetest.Raw(t, s).QueryRow("SELECT count(*) FROM " + table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestDeleteThreadDeletesAllItsRows(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		gone, kept := thread(t, s, 1), thread(t, s, 2)
		ids := fill(t, s, gone.ID, 4500) // more than one batch
		say(t, s, kept.ID, "stays")
		for _, id := range []string{gone.ID, kept.ID} {
			if _, err := storetest.Raw(t, s).Exec("INSERT INTO telegram_links (thread_id, telegram_message_id) VALUES ('" + id + "', 7)"); err != nil {
				t.Fatal(err)
			}
		}
		readThread(t, s, gone.ID)
		if err := s.DeleteThread(t.Context(), gone.ID); err != nil {
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
		if err := s.DeleteThread(t.Context(), gone.ID); !errors.Is(err, models.ErrNotFound) {
			t.Errorf("clearing it again gave %v", err)
		}
		// A client that still has the id may open the thread again; message ids are not reused.
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
		if err := s.DeleteThread(t.Context(), th.ID); err != nil {
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

func TestClearThreadKeepsItInTheList(t *testing.T) {
	withFiles(t, func(t *testing.T, s *models.Store, files func() []string) {
		cleared, above := thread(t, s, 1), thread(t, s, 2)
		ids := fill(t, s, cleared.ID, 4500) // more than one batch
		m := models.NewMessage{ThreadID: cleared.ID, SenderType: models.Visitor, ContentType: "file", FileURL: "/uploads/x"}
		last := post(t, s, m).Message
		say(t, s, above.ID, "stays")
		if _, _, err := s.AddNote(t.Context(), models.Note{ThreadID: cleared.ID, ContentText: "vip"}); err != nil {
			t.Fatal(err)
		}
		for _, link := range []int64{ids[0], last.ID, 0} { // the last link belongs to the thread, not to a message
			if _, err := storetest.Raw(t, s).Exec(fmt.Sprintf("INSERT INTO telegram_links (thread_id, message_id) VALUES ('%s', %d)", cleared.ID, link)); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.ClearThread(t.Context(), cleared.ID); err != nil {
			t.Fatal(err)
		}
		check := func(when string) {
			t.Helper()
			th := readThread(t, s, cleared.ID)
			if th.MessageCount != 0 || th.UnreadCount != 0 || th.LastMessage != "" || th.LastSender != "" || th.WaitingSince != nil ||
				th.LastMessageAt == nil || !th.LastMessageAt.Equal(last.CreatedAt) {
				t.Errorf("%s: %+v", when, th)
			}
			list, err := s.Threads(t.Context(), models.ThreadQuery{})
			if err != nil || len(list) != 2 || list[0].ID != above.ID || list[1].ID != cleared.ID {
				t.Errorf("%s: listed %+v, %v", when, list, err)
			}
			if got, err := s.CountThreads(t.Context()); err != nil || got != (models.ThreadCounts{Active: 2, Waiting: 1, Unread: 1, Unassigned: 2}) {
				t.Errorf("%s: counted %+v, %v", when, got, err)
			}
		}
		check("cleared")
		for table, want := range map[string]int{"messages": 1, "notes": 0, "telegram_links": 1, "users": 2, "threads": 2} {
			if n := countRows(t, s, table); n != want {
				t.Errorf("%s has %d rows, want %d", table, n, want)
			}
		}
		if got := files(); len(got) != 1 || got[0] != "/uploads/x" {
			t.Errorf("files %v", got)
		}
		if gone := removeEmpty(t, s, time.Now().Add(48*time.Hour)); len(gone) != 0 {
			t.Errorf("the sweep of empty threads removed %v", gone)
		}
		if err := s.ClearThread(t.Context(), cleared.ID); err != nil {
			t.Errorf("a second time: %v", err)
		}
		check("cleared twice")
		if err := s.ClearThread(t.Context(), "none"); !errors.Is(err, models.ErrNotFound) {
			t.Errorf("a missing thread: %v", err)
		}
		// Counts start at zero again; ids are not reused.
		next := say(t, s, cleared.ID, "again")
		if next.Opened || next.Thread.MessageCount != 1 || next.Thread.UnreadCount != 1 || next.Message.ID <= last.ID {
			t.Errorf("the next message: %+v", next)
		}
		if list, err := s.Threads(t.Context(), models.ThreadQuery{}); err != nil || len(list) != 2 || list[0].ID != cleared.ID {
			t.Errorf("after it: %+v, %v", list, err)
		}
		// Emptied again, it is removed when its last message would have expired.
		if err := s.ClearThread(t.Context(), cleared.ID); err != nil {
			t.Fatal(err)
		}
		later := time.Now().Add(time.Hour)
		for written, want := range map[time.Time]int{next.Message.CreatedAt: 0, later: 1} {
			if gone, _, err := s.RemoveEmpty(t.Context(), later, written); err != nil || len(gone) != want {
				t.Errorf("written before %v: removed %v, %v", written, gone, err)
			}
			if want == 0 {
				continue
			}
			break
		}
	})
}

// A message written while a thread is being cleared is either deleted or counted.
func TestClearThreadWhileWriting(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		id := thread(t, s, 1).ID
		inParallel(t, 4, func(w int) error {
			for range 30 {
				if w == 0 {
					if err := s.ClearThread(t.Context(), id); err != nil {
						return err
					}
					continue
				}
				if _, err := s.AppendWait(t.Context(), models.NewMessage{ThreadID: id, SenderType: models.Visitor, ContentText: "x"}); err != nil {
					return fmt.Errorf("writer %d: %w", w, err)
				}
			}
			return nil
		})
		th := readThread(t, s, id)
		list, _, err := s.Messages(t.Context(), id, models.MessageQuery{Limit: 1000})
		if err != nil || int64(len(list)) != th.MessageCount || th.UnreadCount != th.MessageCount || int(th.MessageCount) != countRows(t, s, "messages") {
			t.Errorf("%d messages, counted %d, unread %d, %v", len(list), th.MessageCount, th.UnreadCount, err)
		}
	})
}

// A deletion that is interrupted hides all of the thread; its job deletes the rest later.
func TestInterruptedDeletionIsContinued(t *testing.T) {
	for _, dialect := range storetest.Dialects {
		t.Run(dialect, func(t *testing.T) {
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			o := storetest.Options(t, dialect)
			o.Removed = func([]string) { stop() } // interrupt after the first batch
			s := storetest.Reopen(t, o)
			id := thread(t, s, 1).ID
			post(t, s, models.NewMessage{ThreadID: id, SenderType: models.Visitor, ContentType: "file", FileURL: "/uploads/x"})
			fill(t, s, id, 2500)
			if err := s.DeleteThread(ctx, id); !errors.Is(err, context.Canceled) || countRows(t, s, "messages") == 0 {
				t.Fatalf("deleted: %v", err)
			}
			if list, err := s.Threads(t.Context(), models.ThreadQuery{}); err != nil || len(list) != 0 {
				t.Errorf("listed: %+v, %v", list, err)
			}
			if gone := removeEmpty(t, s, time.Now().Add(time.Hour)); len(gone) != 0 {
				t.Errorf("the sweep of empty threads removed %v", gone)
			}
			jobs, err := s.Jobs(t.Context())
			if err != nil || len(jobs) != 1 || jobs[0].Kind != models.JobDelete || jobs[0].Subject != id || jobs[0].Total != 2502 {
				t.Fatalf("jobs %+v, %v", jobs, err)
			}
			if err := s.Erase(t.Context(), jobs[0].Subject, func(int64) {}); err != nil || countRows(t, s, "messages") != 0 || countRows(t, s, "threads") != 0 {
				t.Errorf("%v, %d messages left", err, countRows(t, s, "messages"))
			}
		})
	}
}
