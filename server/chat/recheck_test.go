package chat_test

import (
	"context"
	"testing"
	"time"

	"sohbet/models"
	"sohbet/models/storetest"
)

// After a change whose outcome was unknown, the state of the thread is published to agents and the visitor: whether it was deleted,
// cleared or blocked, too.
func TestRecheck(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		w := newEnv(s, 100, 100)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); w.RunRechecks(ctx) }()
		defer func() { cancel(); <-done }()
		for _, c := range []struct {
			what   string
			change func(id string) error
			want   string
		}{
			{"blocked", func(id string) error { _, err := s.Block(ctx, id, false, 0); return err }, "thread_status thread_updated thread_blocked error "},
			{"cleared", func(id string) error { _, err := s.StartClear(ctx, id, 0); return err }, "thread_cleared thread_status thread_updated thread_blocked "},
			{"deleted", func(id string) error { _, err := s.StartDelete(ctx, id, 0); return err }, "thread_cleared "},
		} {
			v := visitorAt(c.what)
			id := w.join(t, v, "Ayşe")
			w.post(t, v, id, "hello")
			if err := c.change(id); err != nil {
				t.Fatal(err)
			}
			w.take(t)
			w.Recheck(id)
			got := ""
			for deadline := time.Now().Add(10 * time.Second); got != c.want && time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
				for _, p := range w.take(t) {
					if len(p.Thread) > 0 {
						got += names(p.Thread) + " "
					} else {
						got += names(p.Agents) + " "
					}
				}
			}
			if got != c.want {
				t.Errorf("%s: published %q", c.what, got)
			}
		}
	})
}
