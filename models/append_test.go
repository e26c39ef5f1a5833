package models_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"sohbet/models"
	"sohbet/models/storetest"
)

func TestAppendStoresMessageAndThread(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		th := thread(t, s, 1)
		at := time.Date(2030, 1, 2, 3, 4, 5, 678_900_000, time.FixedZone("", 3*3600))
		res := post(t, s, models.NewMessage{
			ThreadID: th.ID, ClientID: "c1", ContentText: "<b>şu</b> & 'bu' 🙂", ContentType: "image",
			FilePath: "/uploads/a.png", FileURL: "/uploads/a.png", SenderType: models.Visitor, CreatedAt: at,
		})
		want := models.Message{
			ID: res.Message.ID, ThreadID: th.ID, ClientID: "c1", ContentText: "<b>şu</b> & 'bu' 🙂", ContentType: "image",
			FilePath: "/uploads/a.png", FileURL: "/uploads/a.png", SenderType: models.Visitor,
			CreatedAt: time.Date(2030, 1, 2, 0, 4, 5, 678_000_000, time.UTC),
		}
		if res.Message != want || res.Duplicate || res.Opened || res.Message.ID == 0 {
			t.Fatalf("appended %+v, want %+v", res, want)
		}
		if got, err := s.Message(t.Context(), res.Message.ID); err != nil || got != want {
			t.Fatalf("stored %+v, %v", got, err)
		}
		got := readThread(t, s, th.ID)
		if got.LastMessageID != want.ID || got.LastMessage != want.ContentText || got.LastSender != models.Visitor ||
			got.LastType != "image" || !got.LastMessageAt.Equal(want.CreatedAt) || !got.LastActivity.Equal(want.CreatedAt) ||
			got.MessageCount != 1 || got.UnreadCount != 1 {
			t.Fatalf("the thread after it: %+v", got)
		}
		if _, err := s.Message(t.Context(), res.Message.ID+1); !errors.Is(err, models.ErrNotFound) {
			t.Fatalf("a missing message gave %v", err)
		}
		long := say(t, s, th.ID, repeat("ö", 10_000))
		if long.Thread.LastMessage != repeat("ö", models.LastMessageRunes) {
			t.Fatalf("the row repeats %d bytes", len(long.Thread.LastMessage))
		}
	})
}

func TestAppendRefusesBadValues(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		th := thread(t, s, 1)
		for field, m := range map[string]models.NewMessage{
			"thread_id":    {SenderType: "visitor"},
			"sender_type":  {ThreadID: th.ID},
			"client_id":    {ThreadID: th.ID, SenderType: "visitor", ClientID: repeat("x", 65)},
			"content_text": {ThreadID: th.ID, SenderType: "visitor", ContentText: repeat("x", 10_001)},
			"content_type": {ThreadID: th.ID, SenderType: "visitor", ContentType: repeat("x", 21)},
			"file_url":     {ThreadID: th.ID, SenderType: "visitor", FileURL: repeat("x", 256)},
			"file_path":    {ThreadID: th.ID, SenderType: "visitor", FilePath: "a\x00b"},
			"display_name": {ThreadID: "new", SenderType: "visitor", OpenThread: &models.NewThread{DisplayName: "\xc3"}},
		} {
			err := s.Append(t.Context(), m, func(models.Appended, error) { t.Errorf("%s: the callback ran", field) })
			var invalid *models.InvalidError
			if !errors.As(err, &invalid) || invalid.Field != field {
				t.Errorf("%s: got %v", field, err)
			}
		}
		if _, err := s.AppendWait(t.Context(), models.NewMessage{ThreadID: "none", SenderType: "visitor"}); !errors.Is(err, models.ErrNotFound) {
			t.Errorf("a missing thread gave %v", err)
		}
	})
}

func TestAppendOpensThread(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		m := models.NewMessage{ThreadID: "fresh", SenderType: models.Visitor, ContentText: "1", OpenThread: &models.NewThread{ID: "ignored", DisplayName: "Ali", PhoneNumber: "1"}}
		// Both are in one batch: the first opens the thread, the second finds it.
		res, errs := models.AppendBatch(s, []models.NewMessage{m, m})
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
		if !res[0].Opened || res[1].Opened || res[0].Thread.MessageCount != 1 || res[1].Thread.MessageCount != 2 {
			t.Fatalf("opened %v %v, counts %d %d", res[0].Opened, res[1].Opened, res[0].Thread.MessageCount, res[1].Thread.MessageCount)
		}
		if again := post(t, s, m); again.Opened || again.Thread.MessageCount != 3 || again.Thread.DisplayName != "Ali" {
			t.Fatalf("a third message: %+v", again)
		}
		if th := readThread(t, s, "fresh"); th.UserID == 0 || th.PhoneNumber != "1" {
			t.Fatalf("the thread: %+v", th)
		}
	})
}

func TestAppendKeepsUsersWithTheirThreads(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		var batch []models.NewMessage
		for i := range 9 {
			id := threadID(9 - i) // different from the order in which rows are locked
			batch = append(batch, models.NewMessage{ThreadID: id, SenderType: models.Visitor, OpenThread: &models.NewThread{PhoneNumber: id}})
		}
		if _, errs := models.AppendBatch(s, batch); errors.Join(errs...) != nil {
			t.Fatal(errs)
		}
		var strangers int
		err := storetest.Raw(t, s).QueryRow("SELECT count(*) FROM threads t JOIN users u ON u.id = t.user_id WHERE u.phone_number <> t.id").Scan(&strangers)
		if err != nil || strangers != 0 {
			t.Fatalf("%d threads have the wrong user, %v", strangers, err)
		}
	})
}

func TestClientIDIsStoredOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		a, b := thread(t, s, 1).ID, thread(t, s, 2).ID
		m := func(thread, client, text string) models.NewMessage {
			return models.NewMessage{ThreadID: thread, ClientID: client, ContentText: text, SenderType: models.Visitor}
		}
		first := post(t, s, m(a, "c", "first"))
		second := post(t, s, m(a, "c", "second"))
		if !second.Duplicate || second.Message != first.Message || second.Thread.MessageCount != 1 {
			t.Fatalf("the retry gave %+v", second)
		}
		if other := post(t, s, m(b, "c", "elsewhere")); other.Duplicate {
			t.Fatal("the same client id in another thread counted as a repetition")
		}
		res, errs := models.AppendBatch(s, []models.NewMessage{
			m(a, "", "x"), m(a, "c", "again"), m(a, "d", "new"), m(a, "d", "twice"), m(a, "", "y"), m(b, "d", "there"), m(a, "d", "thrice"), m(a, "", ""),
		})
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
		wantText := []string{"x", "first", "new", "new", "y", "there", "new", ""}
		wantDuplicate := []bool{false, true, false, true, false, false, true, false}
		for i, r := range res {
			if r.Message.ContentText != wantText[i] || r.Duplicate != wantDuplicate[i] {
				t.Errorf("row %d: %q duplicate %v", i, r.Message.ContentText, r.Duplicate)
			}
		}
		if got := readThread(t, s, a); got.MessageCount != 5 || got.UnreadCount != 5 || got.LastMessage != "" {
			t.Errorf("the thread counts %d messages, %d unread, last %q", got.MessageCount, got.UnreadCount, got.LastMessage)
		}
	})
}

func TestClientIDUnderConcurrentRetries(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		th := thread(t, s, 1)
		var mu sync.Mutex
		ids, fresh := map[int64]bool{}, 0
		inParallel(t, 40, func(int) error {
			res, err := s.AppendWait(t.Context(), models.NewMessage{ThreadID: th.ID, ClientID: "same", SenderType: models.Visitor, ContentText: "hi"})
			mu.Lock()
			defer mu.Unlock()
			ids[res.Message.ID] = true
			if !res.Duplicate {
				fresh++
			}
			return err
		})
		if got := readThread(t, s, th.ID); len(ids) != 1 || fresh != 1 || got.MessageCount != 1 {
			t.Fatalf("%d ids, %d stored, counted %d", len(ids), fresh, got.MessageCount)
		}
	})
}

// poison makes the database reject one content type, as a constraint would.
func poison(t *testing.T, s *models.Store) {
	t.Helper()
	statements := []string{`CREATE TRIGGER poison BEFORE INSERT ON messages WHEN NEW.content_type = 'poison'
		BEGIN SELECT RAISE(ABORT, 'refused'); END`}
	if s.Dialect() == "postgres" {
		statements = []string{`ALTER TABLE messages ADD CONSTRAINT poison CHECK (content_type <> 'poison')`}
	}
	for _, st := range statements {
		if _, err := storetest.Raw(t, s).Exec(st); err != nil {
			t.Fatal(err)
		}
	}
}

func TestBadRowFailsAlone(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		poison(t, s)
		a, b := thread(t, s, 1).ID, thread(t, s, 2).ID
		var batch []models.NewMessage
		for i := range 101 {
			m := models.NewMessage{ThreadID: a, SenderType: models.Visitor, ContentText: fmt.Sprint(i), ClientID: fmt.Sprint(i)}
			switch {
			case i == 17, i == 64, i == 65:
				m.ContentType = "poison"
			case i == 40:
				m.ThreadID = "missing"
			case i%2 == 1:
				m.ThreadID = b
			}
			batch = append(batch, m)
		}
		res, errs := models.AppendBatch(s, batch)
		var stored int64
		last := map[string]int64{}
		for i, err := range errs {
			switch {
			case i == 40:
				if !errors.Is(err, models.ErrNotFound) {
					t.Errorf("row %d: %v", i, err)
				}
			case batch[i].ContentType == "poison":
				if err == nil {
					t.Errorf("row %d was stored", i)
				}
			default:
				if err != nil {
					t.Errorf("row %d: %v", i, err)
					continue
				}
				m := res[i].Message
				if m.ID <= last[m.ThreadID] {
					t.Errorf("row %d has id %d after %d", i, m.ID, last[m.ThreadID])
				}
				last[m.ThreadID] = m.ID
				stored++
			}
		}
		if got := readThread(t, s, a).MessageCount + readThread(t, s, b).MessageCount; stored != 97 || got != stored {
			t.Fatalf("stored %d, counted %d, want 97", stored, got)
		}
		// The refused row also fails through the queue, and the writer continues.
		if _, err := s.AppendWait(t.Context(), models.NewMessage{ThreadID: a, SenderType: models.Visitor, ContentType: "poison"}); err == nil {
			t.Fatal("the refused text was stored")
		}
		say(t, s, a, "fine")
	})
}

func TestOrderUnderConcurrentWriters(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		const writers, each, threads = 50, 60, 7
		for i := range threads {
			thread(t, s, i)
		}
		type seen struct {
			writer, n int
			res       models.Appended
		}
		var mu sync.Mutex
		var log []seen // in the order in which the callbacks ran
		var pending sync.WaitGroup
		pending.Add(writers * each)
		inParallel(t, writers, func(w int) error {
			for n := range each {
				m := models.NewMessage{ThreadID: threadID((w + n) % threads), SenderType: models.Visitor, ContentText: fmt.Sprintf("%d/%d", w, n)}
				err := s.Append(t.Context(), m, func(res models.Appended, err error) {
					defer pending.Done()
					if err != nil {
						t.Error(err)
					}
					mu.Lock()
					log = append(log, seen{w, n, res})
					mu.Unlock()
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
		pending.Wait()
		lastID, lastN, counts := map[string]int64{}, map[int]int{}, map[string]int64{}
		for _, x := range log {
			id := x.res.Message.ThreadID
			counts[id]++
			if x.res.Message.ID <= lastID[id] {
				t.Fatalf("thread %s: id %d delivered after %d", id, x.res.Message.ID, lastID[id])
			}
			if want := lastN[x.writer]; x.n != want {
				t.Fatalf("writer %d: message %d delivered when %d was due", x.writer, x.n, want)
			}
			if x.res.Thread.MessageCount != counts[id] {
				t.Fatalf("thread %s: message %d came with a count of %d", id, counts[id], x.res.Thread.MessageCount)
			}
			lastID[id] = x.res.Message.ID
			lastN[x.writer]++
		}
		// The stored messages have the same order.
		for i := range threads {
			id := threadID(i)
			list, _, err := s.Messages(t.Context(), id, models.MessageQuery{Limit: 1000})
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			for _, x := range log {
				if x.res.Message.ThreadID == id {
					want = append(want, x.res.Message.ContentText)
				}
			}
			if got := texts(list); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Fatalf("thread %s reads differently from how it was delivered", id)
			}
		}
		if st := s.Stats(); st.Appended != writers*each || st.Batches >= writers*each/2 {
			t.Fatalf("%d messages in %d transactions", st.Appended, st.Batches)
		}
	})
}

func TestFullQueueWaitsUntilTheContextEnds(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		th := thread(t, s, 1)
		release := make(chan struct{})
		var done sync.WaitGroup
		queued, busy := 0, error(nil)
		for range 50_000 {
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			done.Add(1)
			busy = s.Append(ctx, models.NewMessage{ThreadID: th.ID, SenderType: models.Visitor}, func(_ models.Appended, err error) {
				<-release // a blocking callback blocks the writer, by design
				if err != nil {
					t.Error(err)
				}
				done.Done()
			})
			cancel()
			if busy != nil {
				done.Done()
				break
			}
			queued++
		}
		if !errors.Is(busy, models.ErrBusy) || !errors.Is(busy, context.DeadlineExceeded) {
			t.Fatalf("after %d messages: %v", queued, busy)
		}
		if n := s.Stats().Queued; n < 1000 || n > 10_000 {
			t.Errorf("the queue holds %d", n)
		}
		close(release)
		done.Wait()
		if got := readThread(t, s, th.ID); got.MessageCount != int64(queued) {
			t.Fatalf("stored %d of %d queued", got.MessageCount, queued)
		}
	})
}

func TestPanicInACallbackIsContained(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		th := thread(t, s, 1)
		err := s.Append(t.Context(), models.NewMessage{ThreadID: th.ID, SenderType: models.Visitor}, func(models.Appended, error) { panic("a bug") })
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Append(t.Context(), models.NewMessage{ThreadID: th.ID, SenderType: models.Visitor}, nil); err != nil {
			t.Fatal(err)
		}
		if res := say(t, s, th.ID, "after"); res.Thread.MessageCount != 3 {
			t.Fatalf("counted %d", res.Thread.MessageCount)
		}
	})
}
