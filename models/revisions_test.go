package models_test

import (
	"testing"
	"time"

	"sohbet/models"
	"sohbet/models/storetest"
)

// Each change of a thread increases its revision, which is the one in the result of the change.
func TestRevisions(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		ctx := t.Context()
		before := time.Now().UnixMilli()
		id, other := thread(t, s, 1).ID, thread(t, s, 2).ID
		last := readThread(t, s, id).Rev
		if last < before {
			t.Errorf("a thread begins at %d", last)
		}
		untouched := readThread(t, s, other).Rev
		first := say(t, s, id, "one").Message
		name, closed := "Veli", models.StatusClosed
		for _, change := range []struct {
			name string
			do   func() (int64, error) // returns the revision in its result, 0 if it has none
		}{
			{"a message", func() (int64, error) { return say(t, s, id, "two").Thread.Rev, nil }},
			{"an answer", func() (int64, error) {
				return post(t, s, models.NewMessage{ThreadID: id, ContentText: "three", SenderType: models.Admin}).Thread.Rev, nil
			}},
			{"received", func() (int64, error) {
				th, _, err := s.MarkReceived(ctx, id, models.Visitor, 1<<40)
				return th.Rev, err
			}},
			{"read", func() (int64, error) {
				th, _, err := s.MarkRead(ctx, id, models.Admin, 1<<40)
				return th.Rev, err
			}},
			{"the profile", func() (int64, error) {
				th, err := s.UpdateThread(ctx, id, models.ThreadPatch{DisplayName: &name})
				return th.Rev, err
			}},
			{"the status", func() (int64, error) {
				th, err := s.UpdateThread(ctx, id, models.ThreadPatch{Status: &closed})
				return th.Rev, err
			}},
			{"an edit", func() (int64, error) {
				m, err := s.EditMessage(ctx, id, first.ID, "uno", 0, time.Now())
				return m.Rev, err
			}},
			{"a reaction", func() (int64, error) {
				m, err := s.SetReaction(ctx, id, first.ID, "👍", 0)
				return m.Rev, err
			}},
			{"a block", func() (int64, error) {
				_, err := s.Block(ctx, id, false, 0)
				return 0, err
			}},
			{"no block", func() (int64, error) { return 0, s.Unblock(ctx, id) }},
			{"clearing", func() (int64, error) { return 0, s.ClearThread(ctx, id) }},
		} {
			got, err := change.do()
			if err != nil {
				t.Fatalf("%s: %v", change.name, err)
			}
			cached := readThread(t, s, id).Rev
			models.FlushCache(s)
			stored := readThread(t, s, id)
			if stored.Rev <= last || got != 0 && got != stored.Rev || cached != stored.Rev || stored.Blocked != (change.name == "a block") {
				t.Errorf("%s: %d in the result, %d cached, %d stored after %d; blocked: %t", change.name, got, cached, stored.Rev, last, stored.Blocked)
			}
			last = stored.Rev
		}
		if got := readThread(t, s, other).Rev; got != untouched {
			t.Errorf("another thread went from %d to %d", untouched, got)
		}
		revisions, err := s.Revisions(ctx, []string{id, "missing"})
		if err != nil || len(revisions) != 1 || revisions[id] != last {
			t.Errorf("revisions %v, %v", revisions, err)
		}
		list, _, err := s.Messages(ctx, other, models.MessageQuery{})
		if err != nil || len(list) != 0 {
			t.Errorf("%v, %v", list, err)
		}
		// A thread that is created again continues with a greater revision.
		if err := s.DeleteThread(ctx, id); err != nil {
			t.Fatal(err)
		}
		again, err := s.AppendWait(ctx, models.NewMessage{ThreadID: id, ContentText: "back", SenderType: models.Visitor, OpenThread: &models.NewThread{ID: id}})
		if err != nil || again.Thread.Rev <= last {
			t.Errorf("created again at %d after %d, %v", again.Thread.Rev, last, err)
		}
	})
}
