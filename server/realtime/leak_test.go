package realtime_test

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sohbet/bench/conformance/raw"
	"sohbet/server/realtime"
)

// settled returns the number of goroutines and the heap size once they are stable.
func settled() (goroutines int, heap uint64) {
	var m runtime.MemStats
	for range 20 {
		runtime.GC()
		runtime.ReadMemStats(&m)
		n := runtime.NumGoroutine()
		if n == goroutines && m.HeapAlloc >= heap-heap/50 {
			break
		}
		goroutines, heap = n, m.HeapAlloc
		time.Sleep(50 * time.Millisecond)
	}
	return goroutines, m.HeapAlloc
}

// 2,000 connections are opened 50 at a time, ten times: every handshake completes, and afterwards no goroutine or memory is leaked.
func TestChurn(t *testing.T) {
	const connections, parallel, rounds = 2000, 50, 10
	var closed atomic.Int64
	s, host := serve(t, realtime.Options{}, func(so *realtime.Socket) {
		talk(so)
		so.Join("everybody")
		so.Join("own " + so.ID())
		so.OnClose(func(string) { closed.Add(1) })
	})
	round := func() {
		open := make([]*raw.Websocket, connections)
		next := atomic.Int64{}
		var wg sync.WaitGroup
		for range parallel {
			wg.Go(func() {
				for i := next.Add(1) - 1; i < connections; i = next.Add(1) - 1 {
					w, err := host.DialSocket()
					if err != nil {
						t.Errorf("handshake %d: %v", i, err)
						return
					}
					open[i] = w
					if i%10 == 0 { // some send an event
						if _, err := w.Write(raw.Text(`42["echo",1]`)); err != nil {
							t.Error(err)
						}
						if m, err := w.Next(); err != nil || m != `42["echo",1]` {
							t.Errorf("echo %d: %q %v", i, m, err)
						}
					}
				}
			})
		}
		wg.Wait()
		if t.Failed() {
			return
		}
		raw.Until(t, "all are in the room", func() bool { return s.Members("everybody") == connections })
		for i, w := range open {
			switch i % 3 { // some close properly, some just disconnect
			case 0:
				_, _ = w.Write(raw.Text("1"))
			case 1:
				_, _ = w.Write(raw.Texts("41", "1"))
			}
			w.Close()
		}
		raw.Until(t, "all have left", func() bool { return s.Count() == 0 && s.Members("everybody") == 0 })
	}
	round() // warms up caches and pools
	if t.Failed() {
		return
	}
	goroutines, heap := settled()
	for range rounds {
		if round(); t.Failed() {
			return
		}
	}
	raw.Until(t, "OnClose has run for every socket", func() bool { return closed.Load() == (rounds+1)*connections })
	after, heapAfter := settled()
	t.Logf("goroutines %d, then %d; heap %d kB, then %d kB", goroutines, after, heap>>10, heapAfter>>10)
	// The engine keeps up to 64 idle workers.
	if after > goroutines+64 {
		t.Errorf("%d goroutines more", after-goroutines)
	}
	// Connections that have just ended may still be closing; a leak per connection would add up to more.
	if heapAfter > heap+150*rounds*connections {
		t.Errorf("heap grew by %d bytes", heapAfter-heap)
	}
}

// Polling sessions open and close at the same time as upgrades.
func TestPollingChurn(t *testing.T) {
	s, host := serve(t, realtime.Options{}, talk)
	var wg sync.WaitGroup
	for g := range 20 {
		wg.Go(func() {
			for i := range 25 {
				if err := pollAndUpgrade(host, (g+i)%2 == 0); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	raw.Until(t, "all have left", func() bool { return s.Count() == 0 })
}

func pollAndUpgrade(host *raw.Host, upgrade bool) error {
	p, err := host.DialPolling()
	if err != nil {
		return err
	}
	if a, err := p.Push("40\x1e" + `42["echo",1]`); err != nil || !a.Is("ok") {
		return fmt.Errorf("POST: %v %w", a, err)
	}
	if !upgrade {
		a, err := p.Push("1")
		if err != nil || !a.Is("ok") {
			return fmt.Errorf("POST: %v %w", a, err)
		}
		return nil
	}
	w, err := host.Try("EIO=4&transport=websocket&sid=" + p.Open.SID)
	if err != nil {
		return err
	}
	defer w.Close()
	if _, err := w.Write(raw.Text("2probe")); err != nil {
		return err
	}
	if m, err := w.Next(); err != nil || m != "3probe" {
		return fmt.Errorf("probe: %q %w", m, err)
	}
	if _, err := w.Write(raw.Text("5")); err != nil {
		return err
	}
	if m, err := w.Next(); err != nil || m[:2] != "40" {
		return fmt.Errorf("CONNECT: %q %w", m, err)
	}
	if m, err := w.Next(); err != nil || m != `42["echo",1]` {
		return fmt.Errorf("echo: %q %w", m, err)
	}
	return nil
}
