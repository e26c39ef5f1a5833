package outbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"sohbet/models"
)

// Twenty visitors write twenty messages each; a new visitor writes one, and an agent requests a sign-in code.
func TestABacklogIsSharedFairly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, minute, nil)
		want := make(map[string][]int64)
		for range 20 {
			for v := range 20 {
				thread := fmt.Sprintf("visitor %d", v)
				want[thread] = append(want[thread], s.put(thread))
			}
		}
		time.Sleep(20 * time.Second)
		began := time.Now()
		slot, err := s.pace.Take(t.Context(), Urgent)
		if took := time.Since(began); err != nil || took > 5*time.Second {
			t.Errorf("room for a sign-in code came after %v, %v", took, err)
		}
		slot.Done()
		s.put("late")
		time.Sleep(4 * time.Minute)
		if _, at := s.arrived("late"); at == 0 || at > 35*time.Second {
			t.Errorf("the late visitor's line, written after 20 s, came after %v", at)
		}
		for thread, ids := range want {
			got, at := s.arrived(thread)
			if !slices.Equal(got, ids) || at > 4*time.Minute {
				t.Errorf("%s: %v until %v, want %v", thread, got, at, ids)
			}
		}
		s.perWindow(19)
	})
}

// A visitor who writes continuously delays another by one slot, not by the backlog.
func TestKeysTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one := func(_ context.Context, d Delivery) *Outcome { return &Outcome{Done: d.Rows[:1]} } // rows are not combined
		s := open(t, minute, one)
		for range 100 {
			s.put("loud")
		}
		time.Sleep(90 * time.Second)
		s.put("quiet")
		s.put("quiet")
		time.Sleep(30 * time.Second)
		if ids, at := s.arrived("quiet"); len(ids) != 2 || at > 110*time.Second {
			t.Errorf("the quiet one has %d lines after %v", len(ids), at)
		}
		// Many keys with occasional rows do not starve the one with a backlog.
		before, _ := s.arrived("loud")
		for i := range 100 {
			s.put(fmt.Sprintf("passer-by %d", i%10))
			time.Sleep(3 * time.Second)
		}
		if after, _ := s.arrived("loud"); len(after)-len(before) < 5 {
			t.Errorf("the loud one got %d slots in 5 minutes", len(after)-len(before))
		}
		s.perWindow(18)
	})
}

// A hanging call blocks only its key, however long it hangs.
func TestACallThatHangsHoldsItsKeyOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, Limit{}, func(ctx context.Context, d Delivery) *Outcome {
			if d.Rows[0].ThreadID != "stuck" {
				return nil
			}
			_ = Sleep(ctx, 45*time.Second)
			return &Outcome{Err: errors.New("no answer"), Reason: "no answer"}
		})
		s.put("stuck")
		synctest.Wait()
		s.put("other")
		time.Sleep(time.Second)
		if ids, _ := s.arrived("other"); len(ids) != 1 {
			t.Error("another key waits for it")
		}
	})
}

// A delivery that succeeds while the failure of another is being recorded ends the outage: only the failed key waits.
func TestASuccessDuringAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failed := false
		s := open(t, Limit{}, func(_ context.Context, d Delivery) *Outcome {
			if d.Rows[0].ThreadID == "fails once" && !failed {
				failed = true
				return &Outcome{Err: errors.New("no answer"), Reason: "no answer"}
			}
			return nil
		})
		s.mu.Lock()
		s.reported = func(err error) {
			if err != nil {
				s.put("good")
				time.Sleep(time.Second) // long enough for its delivery
			}
		}
		s.mu.Unlock()
		s.put("fails once")
		time.Sleep(3 * time.Second)
		for _, thread := range []string{"good", "fails once"} {
			if ids, _ := s.arrived(thread); len(ids) != 1 {
				t.Errorf("%s: delivered %v", thread, ids)
			}
		}
	})
}

// A row that fails alone is set aside after several attempts; rows behind it are delivered; none is dropped.
func TestARowThatAloneFailsIsSetAside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var bad int64
		s := open(t, Limit{}, func(_ context.Context, d Delivery) *Outcome {
			if d.Rows[0].ID == bad {
				return &Outcome{Err: errors.New("no"), Reason: "no"}
			}
			return &Outcome{Done: d.Rows[:1]}
		})
		bad = s.last + 1
		s.put("one")
		behind := s.put("one")
		for i := range 200 {
			s.put(fmt.Sprintf("other %d", i))
			time.Sleep(time.Second)
		}
		synctest.Wait()
		if aside := s.aside(); !slices.Equal(aside, []int64{bad}) || s.rows[0].Reason != "no" || s.tries[bad] > 6 {
			t.Errorf("set aside %v after %d tries", aside, s.tries[bad])
		}
		if ids, _ := s.arrived("one"); !slices.Equal(ids, []int64{behind}) {
			t.Errorf("arrived %v", ids)
		}
		if s.trouble != nil {
			t.Errorf("error %v", s.trouble)
		}
	})
}

// While a destination accepts nothing, no row counts as the cause, however long that lasts; afterwards all are delivered immediately.
func TestAnOutageSetsNothingAside(t *testing.T) {
	for name, scope := range map[string]Scope{"unclear": Unclear, "whole": Whole} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				away := true
				s := open(t, Limit{}, nil)
				s.send = func(context.Context, Delivery) *Outcome {
					if s.mu.Lock(); away {
						defer s.mu.Unlock()
						return &Outcome{Err: errors.New("away"), Scope: scope}
					}
					s.mu.Unlock()
					return nil
				}
				for range 3 {
					for v := range 50 {
						s.put(fmt.Sprintf("visitor %d", v))
					}
				}
				time.Sleep(time.Hour)
				synctest.Wait()
				if s.trouble == nil || len(s.aside()) != 0 || s.waiting() != 150 {
					t.Errorf("error %v, %d set aside, %d pending", s.trouble, len(s.aside()), s.waiting())
				}
				tries := 0
				for _, n := range s.tries {
					tries += n
				}
				if tries > 1500 {
					t.Errorf("%d calls in an hour", tries)
				}
				s.put("fresh") // the first row of another key is tried immediately
				time.Sleep(2 * time.Second)
				synctest.Wait()
				if n := s.tries[s.last]; n == 0 {
					t.Error("a fresh key waits for the outage's next try")
				}
				s.mu.Lock()
				away = false
				s.mu.Unlock()
				time.Sleep(40 * time.Second)
				synctest.Wait()
				if s.trouble != nil || s.waiting() != 0 {
					t.Errorf("error %v, %d pending", s.trouble, s.waiting())
				}
				for v := range 50 {
					if ids, _ := s.arrived(fmt.Sprintf("visitor %d", v)); !slices.IsSorted(ids) || len(ids) != 3 {
						t.Errorf("visitor %d: %v", v, ids)
					}
				}
			})
		})
	}
}

func TestADestinationThatAsksForSilenceGetsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := true
		s := open(t, Limit{}, nil)
		s.send = func(context.Context, Delivery) *Outcome {
			if first {
				first = false
				s.pace.Pause(time.Minute)
				return &Outcome{Err: errors.New("later"), Scope: Pause}
			}
			return nil
		}
		s.put("one")
		time.Sleep(59 * time.Second)
		if calls, _ := s.seen(); len(calls) != 0 {
			t.Error("it was called meanwhile")
		}
		time.Sleep(2 * time.Second)
		if calls, _ := s.seen(); len(calls) != 1 || s.tries[1] != 2 {
			t.Errorf("%d calls", len(calls))
		}
	})
}

// Sent rows are recorded even if the database is unavailable for a while, and are not sent again.
func TestWhatWasSentIsRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, Limit{}, nil)
		s.lost = 5
		id := s.put("one")
		time.Sleep(time.Minute)
		if s.waiting() != 0 || s.tries[id] != 1 {
			t.Errorf("%d wait, sent %d times", s.waiting(), s.tries[id])
		}
	})
}

// Rows queued by other processes are found, and rows queued by this one cause no query for keys.
func TestRowsAreFoundWithoutLookingAtAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, Limit{}, nil)
		reads := s.looks()
		for i := range 100 {
			s.put(fmt.Sprint(i))
		}
		synctest.Wait()
		if s.waiting() != 0 || s.looks() != reads {
			t.Errorf("%d wait after %d looks", s.waiting(), s.looks()-reads)
		}
		s.table.mu.Lock()
		listen := s.listen
		s.listen = nil
		s.table.mu.Unlock()
		s.put("of another process")
		time.Sleep(2 * scanEvery)
		if s.waiting() != 0 {
			t.Error("a row of another process is not found")
		}
		// A row whose transaction committed after that of a higher id.
		s.table.mu.Lock()
		s.rows = append(s.rows, models.OutboxRow{ID: 1, ThreadID: "late"})
		s.table.mu.Unlock()
		listen(nil, false)
		time.Sleep(2 * scanAllEvery)
		if s.waiting() != 0 {
			t.Error("a row with an earlier id is not found")
		}
	})
}

// A row that waits without a failure is tried again when a newer row of its key is queued.
func TestWaitIsNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, Limit{}, func(_ context.Context, d Delivery) *Outcome {
			if len(d.Rows) == 1 {
				return &Outcome{Wait: time.Hour}
			}
			return nil
		})
		s.put("one")
		time.Sleep(time.Minute)
		if calls, trouble := s.seen(); trouble != nil || len(calls) > 2 {
			t.Errorf("error %v, calls %v", trouble, calls)
		}
		s.put("one")
		synctest.Wait()
		if s.waiting() != 0 {
			t.Error("the second row did not end the wait")
		}
	})
}

func TestPaceNeverExceedsItsWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPace(minute, time.Now)
		var taken []time.Time
		for range 200 {
			slot, err := p.Take(t.Context(), Next)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(300 * time.Millisecond) // duration of the call
			slot.Done()
			taken = append(taken, time.Now())
		}
		gap := time.Duration(0)
		for i := range taken {
			if i >= 18 && taken[i].Sub(taken[i-18]) < time.Minute {
				t.Fatalf("19 within %v", taken[i].Sub(taken[i-18]))
			}
			if i > 0 {
				gap = max(gap, taken[i].Sub(taken[i-1]))
			}
		}
		if gap > 6*time.Second {
			t.Errorf("the longest wait is %v", gap)
		}
		if rate := taken[199].Sub(taken[0]); rate > 12*time.Minute {
			t.Errorf("200 took %v", rate)
		}
	})
}

func TestBackoff(t *testing.T) {
	for try, want := range []time.Duration{500, 1000, 2000, 4000, 5000, 5000} {
		want *= time.Millisecond
		for range 100 {
			if d := Backoff(try, 5*time.Second); d < want*3/4 || d > want*5/4+1 {
				t.Fatalf("try %d waits %v", try, d)
			}
		}
	}
	if d := Backoff(1000, time.Minute); d > 75*time.Second || d < 45*time.Second {
		t.Errorf("after many tries %v", d)
	}
}

// A row that was postponed before the clock was set back does not wait until the clock has caught up.
func TestTheClockIsSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, minute, nil)
		due := time.Now().Add(24 * time.Hour)
		id := s.put("a")
		if err := s.change(id, func(r *models.OutboxRow) { r.DueAt = &due }); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * backoffRow)
		if ids, at := s.arrived("a"); len(ids) != 1 || at > backoffRow+time.Second {
			t.Errorf("sent %v after %s", ids, at)
		}
	})
}
