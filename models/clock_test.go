package models_test

import (
	"sync/atomic"
	"testing"
	"time"

	"sohbet/models"
	"sohbet/models/storetest"
)

// machine is a machine's clock that is off, and can be set.
type machine struct{ off atomic.Int64 }

func (m *machine) set(off time.Duration) { m.off.Store(int64(off)) }

// now has no reading of the monotonic clock when the clock is off: a test cannot set the wall clock alone.
func (m *machine) now() time.Time { return time.Now().Add(time.Duration(m.off.Load())) }

func near(a, b time.Time) bool { return a.Sub(b).Abs() < 5*time.Second }

// The processes of a PostgreSQL database store times by its clock, whatever their own clocks say.
func TestTimesFollowTheDatabasesClock(t *testing.T) {
	for _, off := range []time.Duration{2 * time.Minute, -2 * time.Minute, 0} {
		var m machine
		m.set(off)
		o := storetest.Options(t, "postgres")
		o.Clock = m.now
		s := storetest.Reopen(t, o)
		th := thread(t, s, 1)
		said, err := s.AppendWait(t.Context(), models.NewMessage{ThreadID: th.ID, SenderType: models.Visitor})
		if err != nil || !near(said.Message.CreatedAt, time.Now()) || !near(s.Now(), time.Now()) {
			t.Errorf("%s off: stored %v, now %v, %v", off, said.Message.CreatedAt, s.Now(), err)
		}
		if d, err := s.ClockDifference(t.Context()); err != nil || (d-off).Abs() > 5*time.Second {
			t.Errorf("%s off: measured %s, %v", off, d, err)
		}
	}
	var m machine
	m.set(time.Hour)
	o := storetest.Options(t, "sqlite")
	o.Clock = m.now
	s := storetest.Reopen(t, o)
	if d, err := s.ClockDifference(t.Context()); err != nil || d != 0 || !near(s.Now(), time.Now().Add(time.Hour)) {
		t.Errorf("SQLite: %s, %v, %v", d, err, s.Now())
	}
}

// written stores a message with a time.
func written(t *testing.T, s *models.Store, thread, text string, at time.Time) models.Appended {
	t.Helper()
	a, err := s.AppendWait(t.Context(), models.NewMessage{ThreadID: thread, ContentText: text, SenderType: models.Visitor, CreatedAt: at})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// order lists the threads, newest message first.
func order(t *testing.T, s *models.Store) (ids []string) {
	t.Helper()
	list, err := s.Threads(t.Context(), models.ThreadQuery{})
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range list {
		if one.LastMessageAt.After(s.Now().Add(10*time.Second)) || one.LastActivity.After(s.Now().Add(10*time.Second)) ||
			one.WaitingSince.After(s.Now().Add(10*time.Second)) {
			t.Errorf("thread %s is listed with times in the future: %v, %v, %v", one.ID, one.LastMessageAt, one.LastActivity, one.WaitingSince)
		}
		ids = append(ids, one.ID)
	}
	return ids
}

func wantOrder(t *testing.T, when string, got []string, want ...models.Thread) {
	t.Helper()
	var ids []string
	for _, th := range want {
		ids = append(ids, th.ID)
	}
	if len(got) != len(ids) {
		t.Fatalf("%s: %v, want %v", when, got, ids)
	}
	for i := range got {
		if got[i] != ids[i] {
			t.Fatalf("%s: %v, want %v", when, got, ids)
		}
	}
}

// A thread that a wrong clock put into the future goes to its place in the list, which is that of its newest message's id.
func TestThreadsFromTheFuture(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		a, b, c, d := thread(t, s, 1), thread(t, s, 2), thread(t, s, 3), thread(t, s, 4)
		now := s.Now()
		written(t, s, a.ID, "fast", now.Add(2*time.Hour)) // no message before it has a right time
		written(t, s, b.ID, "right", now.Add(-2*time.Second))
		written(t, s, c.ID, "fast", now.Add(3*time.Hour))
		written(t, s, d.ID, "fast", now.Add(time.Hour))
		wantOrder(t, "in the order of ids", order(t, s), d, c, b, a)
		written(t, s, b.ID, "next", now)
		wantOrder(t, "after another message", order(t, s), b, d, c, a)
		list, _, err := s.Messages(t.Context(), c.ID, models.MessageQuery{})
		if err != nil || len(list) != 1 || !list[0].CreatedAt.Equal(now.UTC().Add(3*time.Hour).Truncate(time.Millisecond)) {
			t.Errorf("the message's own time: %+v, %v", list, err)
		}
		written(t, s, c.ID, "right", now)
		got := written(t, s, c.ID, "last", now)
		if !near(got.Thread.LastActivity, time.Now()) || !near(*got.Thread.LastMessageAt, time.Now()) {
			t.Errorf("the thread has %v and %v", got.Thread.LastActivity, got.Thread.LastMessageAt)
		}
		list, _, err = s.Messages(t.Context(), c.ID, models.MessageQuery{})
		if err != nil || len(list) != 3 || list[0].ContentText != "fast" || list[2].ContentText != "last" {
			t.Errorf("the messages: %+v, %v", list, err)
		}
	})
}

// A later message puts a thread from the future to its place before anybody lists the threads.
func TestALaterMessageRepairsItsThread(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		th := thread(t, s, 1)
		written(t, s, th.ID, "fast", s.Now().Add(time.Hour))
		if got := written(t, s, th.ID, "right", s.Now()).Thread; !near(got.LastActivity, time.Now()) || !near(*got.LastMessageAt, time.Now()) {
			t.Errorf("the thread has %v and %v", got.LastActivity, got.LastMessageAt)
		}
	})
}

func TestRepairTimes(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		old, future, quiet := thread(t, s, 1), thread(t, s, 2), thread(t, s, 3)
		written(t, s, old.ID, "old", s.Now().Add(-time.Hour))
		written(t, s, future.ID, "fast", s.Now().Add(time.Hour))
		if _, err := storetest.Raw(t, s).Exec("UPDATE threads SET last_activity = '" + time.Now().UTC().Add(time.Hour).Format(time.DateTime) + "' WHERE id = '" + quiet.ID + "'"); err != nil {
			t.Fatal(err)
		}
		if err := s.RepairTimes(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, th := range []models.Thread{future, quiet} {
			got, err := s.Thread(t.Context(), th.ID)
			if err != nil || got.LastActivity.After(s.Now()) || got.LastMessageAt != nil && !near(*got.LastMessageAt, time.Now().Add(-time.Hour)) {
				t.Errorf("%s: %v, %v, %v", th.ID, got.LastActivity, got.LastMessageAt, err)
			}
		}
	})
}

// A machine that lost its clock must not take all stored times for wrong.
func TestNothingIsRepairedByALostClock(t *testing.T) {
	var m machine
	o := storetest.Options(t, "sqlite")
	o.Clock = m.now
	s := storetest.Reopen(t, o)
	a, b := thread(t, s, 1), thread(t, s, 2)
	written(t, s, a.ID, "first", time.Now().Add(-time.Hour))
	written(t, s, b.ID, "second", time.Now())
	m.set(-30 * 365 * 24 * time.Hour)
	if err := s.RepairTimes(t.Context()); err != nil {
		t.Fatal(err)
	}
	list, err := s.Threads(t.Context(), models.ThreadQuery{})
	if err != nil || len(list) != 2 || list[0].ID != b.ID || !near(*list[0].LastMessageAt, time.Now()) {
		t.Errorf("%+v, %v", list, err)
	}
}

// Activity that a wrong clock stored in the future gives way to the next one.
func TestActivityFromTheFuture(t *testing.T) {
	for _, dialect := range storetest.Dialects {
		t.Run(dialect, func(t *testing.T) {
			o := storetest.Options(t, dialect)
			var id string
			for _, off := range []time.Duration{time.Hour, 0} {
				s, err := models.Open(t.Context(), o)
				if err != nil {
					t.Fatal(err)
				}
				if id == "" {
					id = thread(t, s, 1).ID
				}
				if err := s.RecordActivity(t.Context(), id, s.Now().Add(off)); err != nil {
					t.Fatal(err)
				}
				if err := s.Close(); err != nil { // writes the activity
					t.Fatal(err)
				}
			}
			s := storetest.Reopen(t, o)
			if got, err := s.Thread(t.Context(), id); err != nil || !near(got.LastActivity, time.Now()) {
				t.Errorf("last active %v, %v", got.LastActivity, err)
			}
		})
	}
}

// A step of the clock back leaves records in the future, which must not count for as long as the step.
func TestRecordsFromTheFutureDoNotBlock(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		now := s.Now()
		if err := s.RecordConsoles(t.Context(), "other", true, now.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if there, err := s.ConsolesElsewhere(t.Context(), "this", now); err != nil || there {
			t.Errorf("a console of the future is visible: %v", err)
		}
		for range 3 {
			if _, _, err := s.Spend(t.Context(), "guess", now.Add(24*time.Hour), time.Minute, 3); err != nil {
				t.Fatal(err)
			}
		}
		if ok, wait, err := s.Spend(t.Context(), "guess", now, time.Minute, 3); err != nil || !ok && wait > time.Minute {
			t.Errorf("a budget is spent for %s, %v", wait, err)
		}
	})
}
