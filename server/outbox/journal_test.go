package outbox

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"sohbet/models"
)

// TestWhatCouldNotBeRecordedIsNotSentAgain loses the database after the destination's response, and with it the lease.
func TestWhatCouldNotBeRecordedIsNotSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, Limit{}, nil)
		s.mu.Lock()
		s.lost = 1 << 30
		s.mu.Unlock()
		first := s.put("a")
		time.Sleep(time.Minute)
		s.stop() // gives up recording
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{}, 2)
		for _, run := range []func(context.Context){s.sender.Run, s.sender.RunJournal} {
			go func() { run(ctx); done <- struct{}{} }()
		}
		second := s.put("a")
		time.Sleep(10 * time.Second)
		if ids, _ := s.arrived("a"); len(ids) != 1 || ids[0] != first {
			t.Errorf("with the database away %v arrived", ids)
		}
		s.table.mu.Lock()
		s.lost = 0
		s.table.mu.Unlock()
		time.Sleep(time.Minute)
		if ids, _ := s.arrived("a"); len(ids) != 2 || ids[1] != second || s.waiting() != 0 {
			t.Errorf("%v arrived, %d are left", ids, s.waiting())
		}
		cancel()
		<-done
		<-done
	})
}

// TestTheNextProcessWaitsForADeliveryInProgress has a row that another process is sending.
func TestTheNextProcessWaitsForADeliveryInProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, Limit{}, nil)
		s.stop()
		sending, unsure := s.put("a"), s.put("b")
		later := s.put("a")
		for _, id := range []int64{sending, unsure} {
			if err := s.OutboxBegin(t.Context(), id, time.Now().Add(inFlight)); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { defer close(done); s.sender.Run(ctx) }()
		time.Sleep(inFlight / 2)
		if calls, _ := s.seen(); len(calls) != 0 {
			t.Errorf("sent %v, which the other process is sending", calls)
		}
		_ = s.OutboxDone(t.Context(), sending) // the other process was successful
		time.Sleep(2 * markEvery)
		if ids, _ := s.arrived("a"); len(ids) != 1 || ids[0] != later {
			t.Errorf("%v arrived after the record", ids)
		}
		time.Sleep(inFlight)
		if ids, _ := s.arrived("b"); len(ids) != 1 || ids[0] != unsure {
			t.Errorf("%v arrived after the other process had its time", ids)
		}
		cancel()
		<-done
	})
}

// TestAFailedAttemptIsNotInProgress checks that the next process need not wait for a call that failed.
func TestAFailedAttemptIsNotInProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, Limit{}, func(context.Context, Delivery) *Outcome { return &Outcome{Err: errors.New("no answer"), Scope: Whole} })
		id := s.put("a")
		time.Sleep(time.Second)
		s.stop()
		_ = s.change(id, func(r *models.OutboxRow) {
			if r.DueAt != nil {
				t.Errorf("due at %v", r.DueAt)
			}
		})
	})
}
