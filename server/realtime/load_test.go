package realtime_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sohbet/bench/conformance/raw"
	"sohbet/server/engine"
	"sohbet/server/realtime"
)

// Many goroutines publish to overlapping rooms while sockets join, leave and disconnect. Sockets that stay receive everything once and
// in the publishers' order; others never receive a number twice or out of order.
func TestManyConnections(t *testing.T) {
	const roomCount, publishers, each = 6, 6, 400
	name := func(i int) string { return fmt.Sprint("room ", i%roomCount) }
	s, host := serve(t, realtime.Options{}, func(so *realtime.Socket) {
		so.OnEvent(func(e realtime.Event) {
			room := strings.Trim(string(e.Arg(0)), `"`)
			switch e.Name {
			case "join":
				so.Join(room)
			case "leave":
				so.Leave(room)
			}
			if e.Ack != nil {
				e.Ack()
			}
		})
	})
	var stable []*raw.Websocket
	for i := range roomCount { // each in two rooms
		w := host.Socket()
		w.Send(fmt.Sprintf(`42["join",%q]`, name(i)), fmt.Sprintf(`421["join",%q]`, name(i+1)))
		w.Expect("431[]")
		stable = append(stable, w)
	}

	var publishing, restless sync.WaitGroup
	over := make(chan struct{})
	for range 12 {
		restless.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
					if err := wander(host, name); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	quiet := make(chan struct{})
	var asides sync.WaitGroup
	asides.Go(func() { // also broadcasts through the library continuously, so that wandering sockets always have something to read
		for {
			select {
			case <-quiet:
				return
			default:
				_ = s.Library().To("room 0").Emit("aside", 1)
				_ = s.Library().Sockets().Emit("aside", 2)
				time.Sleep(5 * time.Millisecond)
			}
		}
	})
	for p := range publishers {
		publishing.Go(func() {
			for i := range each { // each number goes to two rooms, and a socket in both receives it once
				f, err := s.Encode("n", p, i)
				if err != nil {
					t.Error(err)
					return
				}
				frames := []realtime.Frame{f}
				s.Publish(realtime.Publication{
					First:  realtime.Group{Room: name(i + p), Frames: frames},
					Second: realtime.Group{Room: name(i + p + 1), Frames: frames},
				})
				if i%16 == 0 {
					time.Sleep(time.Millisecond)
				}
			}
		})
	}
	publishing.Wait()
	close(over)
	restless.Wait()
	close(quiet)
	asides.Wait()
	for i, w := range stable {
		w.Send(`429["leave",""]`) // its acknowledgement is the last packet
		var next [publishers]int
		for {
			m := w.Message()
			if m == "439[]" {
				break
			}
			var p, n int
			if strings.HasPrefix(m, `42["aside"`) {
				continue
			}
			if _, err := fmt.Sscanf(m, `42["n",%d,%d]`, &p, &n); err != nil {
				t.Fatalf("got %q", m)
			}
			for !concerns(i, p, next[p]) {
				next[p]++
			}
			if n != next[p] {
				t.Fatalf("member %d got %d of publisher %d instead of %d", i, n, p, next[p])
			}
			next[p]++
		}
		for p, n := range next {
			for ; n < each; n++ {
				if concerns(i, p, n) {
					t.Fatalf("member %d: number %d of publisher %d was lost", i, n, p)
				}
			}
		}
	}
	for i := range roomCount {
		raw.Until(t, "the restless have left", func() bool { return s.Members(name(i)) == 2 })
	}
}

// concerns reports whether number n of publisher p is sent to one of the rooms of stable member i.
func concerns(i, p, n int) bool {
	const roomCount = 6
	for _, a := range []int{i, i + 1} {
		for _, b := range []int{n + p, n + p + 1} {
			if a%roomCount == b%roomCount {
				return true
			}
		}
	}
	return false
}

// wander connects, joins and leaves rooms while reading, and disconnects in one way or another.
func wander(host *raw.Host, name func(int) string) error {
	w, err := host.DialSocket()
	if err != nil {
		return err
	}
	defer w.Close()
	var out []byte
	for i := range 6 {
		out = append(out, raw.Text(fmt.Sprintf(`42["join",%q]`, name(rand.IntN(6))))...)
		if i%2 == 1 {
			out = append(out, raw.Text(fmt.Sprintf(`42["leave",%q]`, name(rand.IntN(6))))...)
		}
	}
	if _, err := w.Write(out); err != nil {
		return err
	}
	last := map[int]int{}
	for range rand.IntN(30) {
		m, err := w.Next()
		if err != nil {
			return err
		}
		if strings.HasPrefix(m, `42["aside"`) {
			continue
		}
		var p, n int
		if _, err := fmt.Sscanf(m, `42["n",%d,%d]`, &p, &n); err != nil {
			return fmt.Errorf("got %q", m)
		}
		if before, ok := last[p]; ok && n <= before {
			return fmt.Errorf("got %d of publisher %d after %d", n, p, before)
		}
		last[p] = n
	}
	switch rand.IntN(3) {
	case 0:
		_, _ = w.Write(raw.Text("41"))
	case 1:
		_, _ = w.Write(raw.Text("1"))
	}
	return nil
}

// Clients that stop reading use a bounded amount of memory and are disconnected with a reason; the others receive everything.
func TestClientsThatStopReading(t *testing.T) {
	const bound, laggards, messages, size = 1 << 20, 8, 300, 100_000
	var reasons sync.Map
	var slow atomic.Int64
	s, host := serve(t, realtime.Options{Engine: engine.Options{QueueBytes: bound}}, func(so *realtime.Socket) {
		so.Join("a")
		talk(so)
		so.OnClose(func(reason string) {
			reasons.Store(so.ID(), reason)
			if reason == engine.ClosedSlow.Reason {
				slow.Add(1)
			}
		})
	})
	var readers []*raw.Websocket
	for range 3 {
		readers = append(readers, host.Socket())
	}
	for range laggards {
		host.Socket()
	}
	raw.Until(t, "all are in the room", func() bool { return s.Members("a") == len(readers)+laggards })
	_, before := settled()
	payload := strings.Repeat("x", size)
	var most uint64
	for i := range messages { // 30 MB for each of them
		f := encode(t, s, "m", i, payload)
		s.Publish(realtime.Publication{First: realtime.Group{Room: "a", Frames: []realtime.Frame{f}}})
		for _, w := range readers {
			if m := w.Message(); !strings.HasPrefix(m, fmt.Sprintf(`42["m",%d,"xxx`, i)) || len(m) < size {
				t.Fatalf("message %d: got %.60q", i, m)
			}
		}
		if i%10 == 0 {
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapAlloc)
		}
	}
	raw.Until(t, "the laggards are cut", func() bool { return slow.Load() == laggards })
	raw.Until(t, "and have left", func() bool { return s.Members("a") == len(readers) && s.Count() == len(readers) })
	if s.Stats().Cut != laggards {
		t.Errorf("%d cut", s.Stats().Cut)
	}
	// Frames are shared, so together they use little more memory than one.
	if most > before+laggards*2*bound {
		t.Errorf("the heap went from %d kB up to %d kB", before>>10, most>>10)
	}
	t.Logf("heap %d kB before, %d kB at most", before>>10, most>>10)
	for _, w := range readers {
		nothingMore(t, w)
	}
}
