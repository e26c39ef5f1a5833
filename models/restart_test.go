package models_test

import (
	"errors"
	"fmt"
	"testing"

	"sohbet/models"
	"sohbet/models/storetest"
)

func TestCloseDrainsAndReopenFindsEverything(t *testing.T) {
	for _, dialect := range storetest.Dialects {
		t.Run(dialect, func(t *testing.T) {
			o := storetest.Options(t, dialect)
			s := storetest.Reopen(t, o)
			th := thread(t, s, 1)
			const n = 2000
			acked := 0
			for i := range n {
				m := models.NewMessage{ThreadID: th.ID, ClientID: fmt.Sprint(i), ContentText: fmt.Sprint(i), SenderType: models.Visitor}
				if err := s.Append(t.Context(), m, func(_ models.Appended, err error) {
					if err != nil {
						t.Error(err)
					}
					acked++ // written by one goroutine, and read after Close
				}); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if acked != n {
				t.Fatalf("%d of %d callbacks ran before Close returned", acked, n)
			}
			if _, err := s.AppendWait(t.Context(), models.NewMessage{ThreadID: th.ID, SenderType: models.Visitor}); !errors.Is(err, models.ErrClosed) {
				t.Fatalf("appending to a closed store gave %v", err)
			}
			if err := s.Close(); err != nil {
				t.Fatalf("closing twice: %v", err)
			}
			s = storetest.Reopen(t, o)
			list, more, err := s.Messages(t.Context(), th.ID, models.MessageQuery{Limit: 1000})
			if err != nil || !more || len(list) != 1000 || list[999].ContentText != "1999" {
				t.Fatalf("%d messages, more %v, %v", len(list), more, err)
			}
			if again := post(t, s, models.NewMessage{ThreadID: th.ID, ClientID: "0", SenderType: models.Visitor}); !again.Duplicate || again.Message.ContentText != "0" {
				t.Fatalf("a retry after the restart gave %+v", again.Message)
			}
			if got := readThread(t, s, th.ID); got.MessageCount != n {
				t.Fatalf("counted %d", got.MessageCount)
			}
		})
	}
}

// Two stores on one database act as two processes: ids must still increase in each thread, and no count may be lost.
func TestTwoProcessesWriteTheSameThreads(t *testing.T) {
	for _, dialect := range storetest.Dialects {
		t.Run(dialect, func(t *testing.T) {
			o := storetest.Options(t, dialect)
			stores := []*models.Store{storetest.Reopen(t, o), storetest.Reopen(t, o)}
			const writers, each = 10, 20
			inParallel(t, writers, func(w int) error {
				last := map[string]int64{}
				for n := range each {
					id := threadID((w + n) % 3)
					res, err := stores[w%2].AppendWait(t.Context(), models.NewMessage{
						ThreadID: id, SenderType: models.Visitor, ClientID: fmt.Sprintf("%d/%d", w, n), OpenThread: &models.NewThread{},
					})
					if err != nil {
						return err
					}
					if res.Message.ID <= last[id] || res.Duplicate {
						return fmt.Errorf("thread %s: id %d after %d, duplicate %v", id, res.Message.ID, last[id], res.Duplicate)
					}
					last[id] = res.Message.ID
				}
				return nil
			})
			fresh := storetest.Reopen(t, o)
			var total int64
			for i := range 3 {
				th := readThread(t, fresh, threadID(i))
				total += th.MessageCount
				if list, _, err := fresh.Messages(t.Context(), th.ID, models.MessageQuery{Limit: 1000}); err != nil || int64(len(list)) != th.MessageCount || list[len(list)-1].ID != th.LastMessageID {
					t.Errorf("thread %d: counted %d, stored %d, %v", i, th.MessageCount, len(list), err)
				}
			}
			if total != writers*each {
				t.Fatalf("counted %d of %d", total, writers*each)
			}
			var users, threads int
			if err := storetest.Raw(t, fresh).QueryRow("SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM threads)").Scan(&users, &threads); err != nil || users != 3 || threads != 3 {
				t.Fatalf("%d users, %d threads, %v", users, threads, err)
			}
		})
	}
}
