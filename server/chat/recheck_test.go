package chat_test

import (
	"context"
	"testing"
	"time"

	"sohbet/models"
	"sohbet/models/storetest"
)

// After a change whose outcome was unknown, the state of the thread is published to agents and the visitor, also whether it is blocked.
func TestRecheck(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		w := newEnv(s, 100, 100)
		id := w.join(t, visitorAt("v"), "Ayşe")
		if _, err := s.Block(t.Context(), id, false, 0); err != nil {
			t.Fatal(err)
		}
		w.take(t)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); w.RunRechecks(ctx) }()
		w.Recheck(id)
		got := ""
		for deadline := time.Now().Add(10 * time.Second); got != "thread_status thread_updated thread_blocked error " && time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
			for _, p := range w.take(t) {
				if len(p.Thread) > 0 {
					got += names(p.Thread) + " "
				}
				if len(p.Agents) > 0 {
					got += names(p.Agents) + " "
				}
			}
		}
		cancel()
		<-done
		if got != "thread_status thread_updated thread_blocked error " {
			t.Errorf("published %q", got)
		}
	})
}
