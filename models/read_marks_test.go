package models_test

import (
	"errors"
	"testing"
	"time"

	"sohbet/models"
	"sohbet/models/storetest"
)

func TestReceivedMarks(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		th := thread(t, s, 1)
		var last int64
		for range 3 {
			last = say(t, s, th.ID, "x").Message.ID
		}
		for _, step := range []struct {
			who   string
			to    int64
			mark  int64
			moved bool
		}{
			{models.Visitor, last - 1, last - 1, true},
			{models.Visitor, last - 2, 0, false}, // the mark is already beyond it
			{models.Admin, last + 100, last, true},
			{models.Admin, last, 0, false},
			{models.Visitor, 0, 0, false},
		} {
			got, moved, err := s.MarkReceived(t.Context(), th.ID, step.who, step.to)
			mark := got.VisitorReceivedID
			if step.who == models.Admin {
				mark = got.AgentReceivedID
			}
			if err != nil || moved != step.moved || moved && mark != step.mark {
				t.Errorf("%s up to %d: %d, %v, %v", step.who, step.to-last, mark-last, moved, err)
			}
		}
		models.FlushCache(s)
		got := readThread(t, s, th.ID)
		if got.VisitorReceivedID != last-1 || got.AgentReceivedID != last || got.VisitorReadID != 0 || got.AgentReadID != 0 || got.UnreadCount != 3 {
			t.Errorf("%+v", got)
		}
		// A read message counts as received, but not the reverse.
		if _, moved, err := s.MarkRead(t.Context(), th.ID, models.Visitor, last+1); err != nil || !moved {
			t.Errorf("read: %v, %v", moved, err)
		}
		models.FlushCache(s)
		if got := readThread(t, s, th.ID); got.VisitorReceivedID != last || got.VisitorReadID != last {
			t.Errorf("after reading: %+v", got)
		}
		if _, _, err := s.MarkReceived(t.Context(), "missing", models.Admin, 1); err != models.ErrNotFound {
			t.Errorf("a thread that is none: %v", err)
		}
		if _, _, err := s.MarkReceived(t.Context(), th.ID, "telegram", 1); err == nil {
			t.Error("a reader that is none")
		}
	})
}

func TestWaitingSince(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		start := time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)
		n := 0
		say := func(id, sender string) models.Appended {
			n++
			return post(t, s, models.NewMessage{ThreadID: id, ContentText: "x", SenderType: sender, CreatedAt: start.Add(time.Duration(n) * time.Minute)})
		}
		waiting := func(what, id string, minute int, sessions, answered int64) {
			t.Helper()
			for _, fresh := range []bool{false, true} {
				if fresh {
					models.FlushCache(s)
				}
				got := readThread(t, s, id)
				switch {
				case minute == 0 && got.WaitingSince != nil, minute > 0 && (got.WaitingSince == nil || !got.WaitingSince.Equal(start.Add(time.Duration(minute)*time.Minute))):
					t.Errorf("%s: waits since %v", what, got.WaitingSince)
				case got.Sessions != sessions || got.AnsweredSession != answered:
					t.Errorf("%s: session %d, answered %d", what, got.Sessions, got.AnsweredSession)
				}
			}
		}
		id := thread(t, s, 1).ID
		waiting("no message", id, 0, 0, 0)
		if !say(id, models.Visitor).Waits || say(id, models.Visitor).Waits {
			t.Error("only the first message begins to wait")
		}
		waiting("two messages", id, 1, 1, 0)
		if say(id, "system").Waits {
			t.Error("a system's message is no answer")
		}
		if !say(id, models.Admin).Waits || say(id, "telegram").Waits {
			t.Error("only the first answer ends it")
		}
		waiting("answered", id, 0, 1, 1)
		say(id, models.Visitor)
		waiting("again", id, 6, 1, 1)
		closed := models.StatusClosed
		if _, err := s.UpdateThread(t.Context(), id, models.ThreadPatch{Status: &closed}); err != nil {
			t.Fatal(err)
		}
		waiting("closed", id, 0, 1, 1)
		say(id, models.Visitor)
		waiting("reopened", id, 7, 2, 1)

		other := thread(t, s, 2).ID
		say(other, models.Admin) // the team writes first
		waiting("written to", other, 0, 0, 0)
		list, err := s.Threads(t.Context(), models.ThreadQuery{Status: models.StatusWaiting})
		if err != nil || len(list) != 1 || list[0].ID != id {
			t.Errorf("waiting are %+v, %v", list, err)
		}
		say(id, "telegram")
		if list, err := s.Threads(t.Context(), models.ThreadQuery{Status: models.StatusWaiting}); err != nil || len(list) != 0 {
			t.Errorf("waiting are %+v, %v", list, err)
		}
	})
}

func TestWaitingSinceWhenMessagesExpire(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		old, young := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
		still, only := thread(t, s, 1).ID, thread(t, s, 2).ID
		for _, id := range []string{still, only} {
			post(t, s, models.NewMessage{ThreadID: id, ContentText: "x", SenderType: models.Visitor, CreatedAt: old})
		}
		post(t, s, models.NewMessage{ThreadID: still, ContentText: "x", SenderType: models.Visitor, CreatedAt: young})
		post(t, s, models.NewMessage{ThreadID: only, ContentText: "x", SenderType: "system", CreatedAt: young})
		for more := true; more; {
			var err error
			if _, more, err = s.Expire(t.Context(), young); err != nil {
				t.Fatal(err)
			}
		}
		if got := readThread(t, s, still).WaitingSince; got == nil || !got.Equal(young) {
			t.Errorf("waits since %v", got)
		}
		if got := readThread(t, s, only).WaitingSince; got != nil {
			t.Errorf("waits since %v for an answer to nothing", got)
		}
	})
}

func TestMedianFirstAnswer(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		at := time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)
		// answered stores conversations in threads numbered from first.
		answered := func(first, count int, after time.Duration) {
			var batch []models.NewMessage
			for n := range count {
				for i, sender := range []string{models.Visitor, models.Visitor, models.Admin, models.Visitor, models.Admin} {
					m := models.NewMessage{ThreadID: threadID(first + n), SenderType: sender, CreatedAt: at, OpenThread: &models.NewThread{}}
					if i >= 2 {
						m.CreatedAt = at.Add(after)
					}
					batch = append(batch, m)
				}
			}
			_, errs := models.AppendBatch(s, batch)
			if err := errors.Join(errs...); err != nil {
				t.Fatal(err)
			}
		}
		usual := func(want time.Duration, known bool) {
			t.Helper()
			if got, ok, err := s.MedianFirstAnswer(t.Context()); err != nil || ok != known || got != want {
				t.Errorf("usually %v, %v, %v; want %v, %v", got, ok, err, want, known)
			}
		}
		usual(0, false)
		answered(1, 1, time.Minute)
		answered(2, 1, time.Hour)
		usual(0, false)
		answered(3, 1, 2*time.Minute)
		usual(2*time.Minute, true)
		answered(4, 1, 4*time.Minute)
		usual(3*time.Minute, true)
		answered(100, 50, time.Second) // these push the first four out of the newest
		usual(time.Second, true)
		if got := countRows(t, s, "first_answers"); got != 54 {
			t.Errorf("%d first answers", got)
		}
		if err := s.TrimFirstAnswers(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := countRows(t, s, "first_answers"); got != 50 {
			t.Errorf("%d first answers are left", got)
		}
		usual(time.Second, true)
	})
}
