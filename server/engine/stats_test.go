package engine_test

import (
	"context"
	"sync"
	"testing"

	"sohbet/bench/conformance/raw"
	"sohbet/server/engine"
)

// TestStatsWhileConnectionsEnd reads the statistics while connections open and close: neither may deadlock.
func TestStatsWhileConnectionsEnd(t *testing.T) {
	s, host := serve(t, engine.Options{}, nil)
	asking, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for asking.Err() == nil {
				s.Stats()
			}
		})
	}
	for range 100 {
		if a := host.Polling().Post("1"); !a.Is("ok") {
			t.Fatal(a)
		}
	}
	stop()
	wg.Wait()
	raw.Until(t, "nothing is open", func() bool { return s.Stats().Open == 0 })
}
