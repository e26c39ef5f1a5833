package models_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"sohbet/models"
	"sohbet/models/storetest"
)

// fill appends n numbered messages to a thread and returns their ids.
func fill(t testing.TB, s *models.Store, threadID string, n int) []int64 {
	t.Helper()
	ids := make([]int64, 0, n)
	for i := range n {
		err := s.Append(t.Context(), models.NewMessage{ThreadID: threadID, ContentText: fmt.Sprint(i), SenderType: models.Visitor}, func(res models.Appended, err error) {
			if err != nil {
				t.Error(err)
			}
			ids = append(ids, res.Message.ID)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	say(t, s, threadID, "last") // its callback runs after all the others
	return ids
}

func TestPaginationOverAThousandMessages(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		th, other := thread(t, s, 1), thread(t, s, 2)
		fill(t, s, other.ID, 3)
		fill(t, s, th.ID, 499)
		fill(t, s, other.ID, 10) // so that the thread's ids have gaps
		fill(t, s, th.ID, 499)
		want := make([]string, 0, 1000)
		for range 2 {
			for i := range 499 {
				want = append(want, fmt.Sprint(i))
			}
			want = append(want, "last")
		}

		var back []models.Message
		q := models.MessageQuery{Limit: 70}
		for {
			list, more, err := s.Messages(t.Context(), th.ID, q)
			if err != nil {
				t.Fatal(err)
			}
			back = append(slices.Clone(list), back...)
			if !more {
				break
			}
			if len(list) != 70 {
				t.Fatalf("a page of %d with more to come", len(list))
			}
			q.BeforeID = list[0].ID
		}
		if !slices.Equal(texts(back), want) {
			t.Fatalf("backwards: %d messages, not the ones written", len(back))
		}

		var on []models.Message
		q = models.MessageQuery{Limit: 64, AfterID: back[0].ID - 1}
		for {
			list, more, err := s.Messages(t.Context(), th.ID, q)
			if err != nil {
				t.Fatal(err)
			}
			on = append(on, list...)
			if !more {
				break
			}
			q.AfterID = list[len(list)-1].ID
		}
		if !slices.Equal(texts(on), want) {
			t.Fatalf("forwards: %d messages, not the ones written", len(on))
		}

		var paged []models.Message
		for page := 1; ; page++ {
			list, total, err := s.MessagePage(t.Context(), th.ID, page, 90)
			if err != nil || total != 1000 {
				t.Fatalf("page %d: total %d, %v", page, total, err)
			}
			if len(list) == 0 {
				break
			}
			paged = append(paged, list...)
		}
		if !slices.Equal(texts(paged), want) {
			t.Fatalf("by number: %d messages, not the ones written", len(paged))
		}

		between, more, err := s.Messages(t.Context(), th.ID, models.MessageQuery{AfterID: back[10].ID, BeforeID: back[15].ID})
		if err != nil || more || !slices.Equal(texts(between), want[11:15]) {
			t.Fatalf("between two ids: %v, more %v, %v", texts(between), more, err)
		}
	})
}

func TestMessagesOfAMissingThread(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		list, more, err := s.Messages(t.Context(), "none", models.MessageQuery{})
		if err != nil || more || list == nil || len(list) != 0 {
			t.Errorf("history: %v %v %v", list, more, err)
		}
		list, total, err := s.MessagePage(t.Context(), "none", 1, 10)
		if err != nil || total != 0 || list == nil || len(list) != 0 {
			t.Errorf("page: %v %v %v", list, total, err)
		}
	})
}

func TestNewestPageComesFromMemoryAndIsNeverStale(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		th := thread(t, s, 1)
		newest := func(limit int) []string {
			t.Helper()
			list, _, err := s.Messages(t.Context(), th.ID, models.MessageQuery{Limit: limit})
			if err != nil {
				t.Fatal(err)
			}
			got := texts(list)
			if len(list) > 0 {
				list[0].ContentText = "changed by the caller"
			}
			return got
		}
		for i := range 130 {
			say(t, s, th.ID, fmt.Sprint(i))
			if i%10 > 2 {
				continue
			}
			for _, limit := range []int{3, 100} {
				got := newest(limit)
				if want := min(i+1, limit); len(got) != want || got[len(got)-1] != fmt.Sprint(i) || got[0] != fmt.Sprint(i+1-want) {
					t.Fatalf("after message %d: %v", i, got)
				}
			}
		}
		before := s.Stats()
		for range 10 {
			newest(50)
			readThread(t, s, th.ID)
		}
		after := s.Stats()
		if hits, misses := after.CacheHits-before.CacheHits, after.CacheMisses-before.CacheMisses; hits < 18 || misses > 2 {
			t.Errorf("20 reads: %d hits, %d misses", hits, misses)
		}
		_, more, err := s.Messages(t.Context(), th.ID, models.MessageQuery{Limit: 100})
		if err != nil || !more {
			t.Errorf("100 of 130 said more %v, %v", more, err)
		}
	})
}

// Readers race writers; a message reported as durable must be in the next read.
func TestCacheShowsOwnWritesUnderLoad(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		th := thread(t, s, 1)
		inParallel(t, 8, func(w int) error {
			for range 60 {
				if w%2 == 0 {
					if _, _, err := s.Messages(t.Context(), th.ID, models.MessageQuery{}); err != nil {
						return err
					}
					continue
				}
				res, err := s.AppendWait(t.Context(), models.NewMessage{ThreadID: th.ID, SenderType: models.Visitor})
				if err != nil {
					return err
				}
				list, _, err := s.Messages(t.Context(), th.ID, models.MessageQuery{Limit: 100})
				if err != nil {
					return err
				}
				row, err := s.Thread(t.Context(), th.ID)
				if err != nil {
					return err
				}
				if newest := list[len(list)-1].ID; newest < res.Message.ID || row.LastMessageID < res.Message.ID {
					return fmt.Errorf("message %d is durable, yet the page ends at %d and the thread at %d", res.Message.ID, newest, row.LastMessageID)
				}
			}
			return nil
		})
	})
}

func TestForgetShowsWhatAnotherProcessWrote(t *testing.T) {
	for _, dialect := range storetest.Dialects {
		t.Run(dialect, func(t *testing.T) {
			o := storetest.Options(t, dialect)
			here, there := storetest.Reopen(t, o), storetest.Reopen(t, o)
			th := thread(t, here, 1)
			say(t, here, th.ID, "first")
			look := func() (int64, string) {
				t.Helper()
				list, _, err := here.Messages(t.Context(), th.ID, models.MessageQuery{})
				if err != nil {
					t.Fatal(err)
				}
				return readThread(t, here, th.ID).MessageCount, fmt.Sprint(texts(list))
			}
			look()
			say(t, there, th.ID, "second")
			here.Forget(th.ID)
			if count, list := look(); count != 2 || list != "[first second]" {
				t.Fatalf("counted %d, read %s", count, list)
			}
		})
	}
}

// A page of long messages ends before its limit, in both directions, and reports more; no message is skipped.
func TestPageIsBoundedByBytes(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		th := thread(t, s, 1)
		var ids []int64
		for range 40 {
			ids = append(ids, say(t, s, th.ID, strings.Repeat("ğ", models.MaxContentText)).Message.ID) // 20 kB, 27 kB encrypted
		}
		for name, tc := range map[string]struct {
			first models.MessageQuery
			next  func(page []models.Message) models.MessageQuery
			back  bool
		}{
			"oldest": {models.MessageQuery{Oldest: true, Limit: 100},
				func(page []models.Message) models.MessageQuery {
					return models.MessageQuery{AfterID: page[len(page)-1].ID, Limit: 100}
				}, false},
			"newest": {models.MessageQuery{Limit: 100},
				func(page []models.Message) models.MessageQuery {
					return models.MessageQuery{BeforeID: page[0].ID, Limit: 100}
				}, true},
		} {
			var got []int64
			q, more := tc.first, true
			for more {
				var page []models.Message
				var err error
				if page, more, err = s.Messages(t.Context(), th.ID, q); err != nil || len(page) == 0 || len(page) > 25 {
					t.Fatalf("%s: %d messages, %v", name, len(page), err)
				}
				var found []int64
				for _, m := range page {
					found = append(found, m.ID)
				}
				if tc.back {
					got = append(found, got...)
				} else {
					got = append(got, found...)
				}
				q = tc.next(page)
			}
			if !slices.Equal(got, ids) {
				t.Errorf("%s: %v, want %v", name, got, ids)
			}
		}
	})
}
