package chat_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"sohbet/models"
	"sohbet/models/storetest"
	"sohbet/server/broker"
	"sohbet/server/chat"
	"sohbet/server/chat/chattest"
	"sohbet/server/jobs"
)

func TestSweepReportsWhatItDeleted(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		now := time.Now()
		h := &chattest.Recorder{}
		room := chat.New(chat.Options{Store: s, Publisher: h, Presence: &broker.Memory{}, Topics: &broker.Memory{}, Now: func() time.Time { return now }})
		put := func(thread string, days int) models.Message {
			t.Helper()
			r, err := s.AppendWait(t.Context(), models.NewMessage{ThreadID: thread, SenderType: models.Visitor, ContentText: "x",
				CreatedAt: now.AddDate(0, 0, -days), OpenThread: &models.NewThread{}})
			if err != nil {
				t.Fatal(err)
			}
			return r.Message
		}
		old := put("partly", 8)
		put("partly", 2)
		gone := put("wholly", 8)
		if _, err := s.CreateThread(t.Context(), models.NewThread{ID: "silent"}); err != nil {
			t.Fatal(err)
		}
		sweep := func(keep time.Duration) map[string]string {
			t.Helper()
			if _, err := room.Sweep(t.Context(), keep); err != nil {
				t.Fatal(err)
			}
			published := make(map[string]string)
			for _, p := range h.Take() {
				if p.State {
					published[p.ThreadID] += pick(t, p.Agents[0].Payload, "message_count", "unread_count")
					continue
				}
				if len(p.Thread) != 1 || len(p.Agents) != 1 || p.Thread[0] != p.Agents[0] {
					t.Errorf("published %+v", p)
					continue
				}
				published[p.ThreadID] += p.Thread[0].Name + pick(t, p.Thread[0].Payload, "ids", "kept", "last_id")
			}
			return published
		}
		if got := sweep(0); len(got) != 0 {
			t.Errorf("with nothing to delete it published %v", got)
		}
		got := sweep(7 * 24 * time.Hour)
		if want := fmt.Sprintf(`messages_deleted{"ids":[%d],"kept":null,"last_id":null}{"message_count":1,"unread_count":1}`, old.ID); len(got) != 2 || got["partly"] != want ||
			got["wholly"] != fmt.Sprintf(`thread_cleared{"ids":null,"kept":null,"last_id":%d}`, gone.ID) {
			t.Errorf("published %v", got)
		}
		now = now.Add(25 * time.Hour)
		if got := sweep(0); len(got) != 1 || got["silent"] != `thread_cleared{"ids":null,"kept":null,"last_id":null}` {
			t.Errorf("a day later it published %v", got)
		}
		if list, err := s.Threads(t.Context(), models.ThreadQuery{IncludeEmpty: true}); err != nil || len(list) != 1 || list[0].MessageCount != 1 {
			t.Errorf("left %+v, %v", list, err)
		}
	})
}

func TestRunRetentionSweepsImmediatelyAndStops(t *testing.T) {
	s := storetest.Open(t, "sqlite")
	_, err := s.AppendWait(t.Context(), models.NewMessage{ThreadID: "old", SenderType: models.Visitor, CreatedAt: time.Now().Add(-time.Hour), OpenThread: &models.NewThread{}})
	if err != nil {
		t.Fatal(err)
	}
	room := chat.New(chat.Options{Store: s, Publisher: &chattest.Recorder{}, Presence: &broker.Memory{}, Topics: &broker.Memory{}})
	ctx, stop := context.WithCancel(t.Context())
	work := jobs.New(jobs.Options{Store: s, Lanes: jobs.Lanes, Work: map[string]jobs.Work{models.JobPrune: room.Prune(func() time.Duration { return time.Minute })}, Log: slog.New(slog.DiscardHandler)})
	s.OnJob(work.Wake)
	ended := make(chan struct{})
	go func() {
		var running sync.WaitGroup
		running.Go(func() { work.Run(ctx) })
		room.RunRetention(ctx)
		running.Wait()
		close(ended)
	}()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		list, err := s.Threads(t.Context(), models.ThreadQuery{})
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("%d threads left, %v", len(list), err)
		}
		if len(list) == 0 {
			break
		}
	}
	stop()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("it does not stop")
	}
}

func TestSweepDeletesOldAuditEntries(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		now := time.Now()
		var list []models.AuditEntry
		for i := range 1200 { // more than one batch
			at := now.AddDate(0, 0, -40)
			if i < 3 {
				at = now.AddDate(0, 0, -20)
			}
			list = append(list, models.AuditEntry{Event: "sign_in", Outcome: "ok", CreatedAt: at, LastAt: at})
		}
		if err := s.AddAudit(t.Context(), list); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			days, left int
		}{{0, 1200}, {30, 3}} {
			service := chat.New(chat.Options{Store: s, Publisher: &chattest.Recorder{}, Presence: &broker.Memory{}, Topics: &broker.Memory{}, AuditRetention: time.Duration(c.days) * 24 * time.Hour})
			if _, err := service.Sweep(t.Context(), 0); err != nil {
				t.Fatal(err)
			}
			left, err := s.AuditEntries(t.Context(), models.AuditQuery{Limit: 2000})
			if err != nil || len(left) != c.left {
				t.Errorf("with %d days %d entries are left, %v", c.days, len(left), err)
			}
		}
	})
}
