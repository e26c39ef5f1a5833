package models_test

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"sohbet/models"
	"sohbet/models/storetest"
)

// withFiles opens an empty store that collects the files of deleted messages.
func withFiles(t *testing.T, body func(t *testing.T, s *models.Store, files func() []string)) {
	t.Helper()
	for _, dialect := range storetest.Dialects {
		t.Run(dialect, func(t *testing.T) {
			var gone []string
			o := storetest.Options(t, dialect)
			o.Removed = func(files []string) { gone = append(gone, files...) }
			body(t, storetest.Reopen(t, o), func() []string { slices.Sort(gone); return gone })
		})
	}
}

// at posts a message that is daysAgo days old.
func at(t *testing.T, s *models.Store, threadID, text string, daysAgo int, file string) models.Message {
	t.Helper()
	return post(t, s, models.NewMessage{ThreadID: threadID, ContentText: text, SenderType: models.Visitor, FilePath: file, FileURL: file,
		CreatedAt: time.Now().AddDate(0, 0, -daysAgo)}).Message
}

// expire calls Expire until nothing is left.
func expire(t *testing.T, s *models.Store, days int) map[string]models.Expired {
	t.Helper()
	all := make(map[string]models.Expired)
	for {
		some, more, err := s.Expire(t.Context(), time.Now().AddDate(0, 0, -days))
		if err != nil {
			t.Fatal(err)
		}
		round := 0
		for _, e := range some {
			round += len(e.Messages)
			before := all[e.ThreadID]
			all[e.ThreadID] = models.Expired{ThreadID: e.ThreadID, Messages: append(before.Messages, e.Messages...), Cleared: e.Cleared}
		}
		if round > 500 {
			t.Errorf("%d messages in one transaction", round)
		}
		if !more {
			return all
		}
	}
}

func TestExpire(t *testing.T) {
	withFiles(t, func(t *testing.T, s *models.Store, files func() []string) {
		mixed, old, young := thread(t, s, 1).ID, thread(t, s, 2).ID, thread(t, s, 3).ID
		for _, id := range []string{mixed, old} {
			if _, err := storetest.Raw(t, s).Exec("INSERT INTO telegram_links (thread_id, telegram_message_id) VALUES ('" + id + "', 7)"); err != nil {
				t.Fatal(err)
			}
		}
		first := at(t, s, mixed, "read and old", 50, "/uploads/a")
		if _, _, err := s.MarkRead(t.Context(), mixed, models.Admin, first.ID); err != nil {
			t.Fatal(err)
		}
		second := at(t, s, mixed, "old", 40, "/uploads/b")
		kept := at(t, s, mixed, "young", 10, "/uploads/c")
		last := at(t, s, old, "all of it", 31, "/uploads/b")
		at(t, s, young, "x", 29, "")
		if _, _, err := s.Messages(t.Context(), mixed, models.MessageQuery{}); err != nil { // fills the cache
			t.Fatal(err)
		}
		got := expire(t, s, 30)
		slices.Sort(got[mixed].Messages)
		if len(got) != 2 || !slices.Equal(got[mixed].Messages, []int64{first.ID, second.ID}) || got[mixed].Cleared ||
			!slices.Equal(got[old].Messages, []int64{last.ID}) || !got[old].Cleared {
			t.Fatalf("expired %+v", got)
		}
		if want := []string{"/uploads/a", "/uploads/b"}; !slices.Equal(slices.Compact(files()), want) {
			t.Errorf("files %v", files())
		}
		if list, more, err := s.Messages(t.Context(), mixed, models.MessageQuery{}); err != nil || more || len(list) != 1 || list[0].ID != kept.ID {
			t.Errorf("left: %v, %v", texts(list), err)
		}
		if th := readThread(t, s, mixed); th.MessageCount != 1 || th.UnreadCount != 1 || th.LastMessage != "young" || th.LastMessageID != kept.ID {
			t.Errorf("the thread says %+v", th)
		}
		if _, err := s.Thread(t.Context(), old); !errors.Is(err, models.ErrNotFound) {
			t.Errorf("the emptied thread: %v", err)
		}
		for table, want := range map[string]int{"users": 2, "threads": 2, "messages": 2, "telegram_links": 1} {
			if n := countRows(t, s, table); n != want {
				t.Errorf("%s has %d rows, want %d", table, n, want)
			}
		}
		if again := expire(t, s, 30); len(again) != 0 {
			t.Errorf("a second time: %v", again)
		}
	})
}

// The message with the highest id can have an older time than one before it.
func TestExpireAfterTheClockWasSetBack(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		id := thread(t, s, 1).ID
		text := repeat("young ş ", 100)
		kept := at(t, s, id, text, 1, "")
		at(t, s, id, "stamped long ago", 40, "")
		expire(t, s, 30)
		th := readThread(t, s, id)
		if th.MessageCount != 1 || th.LastMessageID != kept.ID || th.LastMessage != string([]rune(text)[:models.LastMessageRunes]) ||
			th.LastMessageAt == nil || !th.LastMessageAt.Equal(kept.CreatedAt) {
			t.Errorf("the thread says %+v", th)
		}
	})
}

func TestExpireWhileWriting(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		const threads, each = 6, 250
		for n := range threads * each {
			m := models.NewMessage{ThreadID: threadID(n % threads), SenderType: models.Visitor, OpenThread: &models.NewThread{}, CreatedAt: time.Now().AddDate(0, 0, -40)}
			if err := s.Append(t.Context(), m, nil); err != nil {
				t.Fatal(err)
			}
		}
		var written atomic.Int64
		inParallel(t, 4, func(w int) error {
			if w == 0 {
				expire(t, s, 30)
				return nil
			}
			for range 40 {
				_, err := s.AppendWait(t.Context(), models.NewMessage{ThreadID: threadID(w), SenderType: models.Visitor, OpenThread: &models.NewThread{}})
				if err != nil {
					return err
				}
				written.Add(1)
			}
			return nil
		})
		expire(t, s, 30)
		if n := countRows(t, s, "messages"); int64(n) != written.Load() {
			t.Errorf("%d messages left of %d", n, written.Load())
		}
		for i := range 3 {
			th := readThread(t, s, threadID(i+1))
			if list, _, err := s.Messages(t.Context(), th.ID, models.MessageQuery{Limit: 1000}); err != nil || int64(len(list)) != th.MessageCount || th.MessageCount != th.UnreadCount {
				t.Errorf("%d messages, counted %d, unread %d, %v", len(list), th.MessageCount, th.UnreadCount, err)
			}
		}
		if n := countRows(t, s, "threads"); n != 3 {
			t.Errorf("%d threads, want those that are written in", n)
		}
	})
}

func removeEmpty(t *testing.T, s *models.Store, before time.Time) (all []string) {
	t.Helper()
	for {
		some, more, err := s.RemoveEmpty(t.Context(), before, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range some {
			all = append(all, e.ThreadID)
		}
		if !more {
			slices.Sort(all)
			return all
		}
	}
}

func TestRemoveEmpty(t *testing.T) {
	withFiles(t, func(t *testing.T, s *models.Store, files func() []string) {
		for i := range 250 {
			thread(t, s, i)
		}
		written, there, cut := threadID(10), threadID(11), threadID(12)
		say(t, s, written, "x")
		later := time.Now().Add(time.Hour)
		if err := s.RecordActivity(t.Context(), there, later.Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		// A deletion interrupted by a crash leaves this.
		_, err := storetest.Raw(t, s).Exec("INSERT INTO messages (thread_id, sender_type, file_url) " + numbers(2300) + "SELECT '" + cut + "', 'visitor', '/uploads/x' FROM n")
		if err != nil {
			t.Fatal(err)
		}
		if early := removeEmpty(t, s, time.Now().Add(-time.Hour)); len(early) != 0 {
			t.Fatalf("removed too early: %v", early)
		}
		gone := removeEmpty(t, s, later)
		if len(gone) != 248 || slices.Contains(gone, written) || slices.Contains(gone, there) || !slices.Contains(gone, cut) {
			t.Errorf("removed %d: %v", len(gone), gone)
		}
		for table, want := range map[string]int{"users": 2, "threads": 2, "messages": 1} {
			if n := countRows(t, s, table); n != want {
				t.Errorf("%s has %d rows, want %d", table, n, want)
			}
		}
		if got := slices.Compact(files()); !slices.Equal(got, []string{"/uploads/x"}) {
			t.Errorf("files %v", got)
		}
	})
}

// An acknowledged message must survive the removal of its thread, which was empty a moment before.
func TestRemoveEmptyLosesNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		var stored atomic.Int64
		inParallel(t, 5, func(w int) error {
			for n := range 60 {
				id := fmt.Sprintf("%d-%d", w, n)
				if w == 0 {
					if _, _, err := s.RemoveEmpty(t.Context(), time.Now().Add(time.Hour), time.Time{}); err != nil {
						return err
					}
					continue
				}
				if _, err := s.CreateThread(t.Context(), models.NewThread{ID: id}); err != nil {
					return err
				}
				_, err := s.AppendWait(t.Context(), models.NewMessage{ThreadID: id, SenderType: models.Visitor})
				if err == nil {
					stored.Add(1)
				} else if !errors.Is(err, models.ErrNotFound) {
					return err
				}
			}
			return nil
		})
		removeEmpty(t, s, time.Now().Add(time.Hour))
		if m, th := countRows(t, s, "messages"), countRows(t, s, "threads"); int64(m) != stored.Load() || m != th || m == 0 {
			t.Errorf("%d messages in %d threads, %d were acked", m, th, stored.Load())
		}
	})
}
