package main

import (
	"context"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

func TestOnlyLoopbackAndBoundedLoads(t *testing.T) {
	sound := func() target {
		return target{addr: "127.0.0.1:3000", conns: 1, parallel: 1, events: 1, depth: 1, size: 1, measure: time.Second}
	}
	for _, addr := range []string{"127.0.0.1:1", "127.9.9.9:1", "localhost:1", "[::1]:1"} {
		tt := sound()
		tt.addr = addr
		if err := tt.check(); err != nil {
			t.Errorf("%s refused: %v", addr, err)
		}
	}
	for _, addr := range []string{"10.0.0.1:80", "192.168.1.1:80", "0.0.0.0:80", "example.com:80", "localhost.example.com:80", "[::]:80",
		"8.8.8.8:80", "127.0.0.1", ":80"} {
		tt := sound()
		tt.addr = addr
		if tt.check() == nil {
			t.Errorf("%s accepted", addr)
		}
	}
	for name, spoil := range map[string]func(*target){
		"no connection":   func(t *target) { t.conns = 0 },
		"too many events": func(t *target) { t.events = maxEvents + 1 },
		"too long":        func(t *target) { t.measure = maxRun },
	} {
		tt := sound()
		spoil(&tt)
		if tt.check() == nil {
			t.Errorf("%s accepted", name)
		}
	}
	tt := sound()
	if _, err := tt.hold(context.Background(), maxConnections+1); err == nil {
		t.Error("too many connections accepted")
	}
}

// TestFrames reads frames with every length encoding, split at every position.
func TestFrames(t *testing.T) {
	sizes := []int{0, 1, 125, 126, 65535, 65536, 70000}
	for _, chunk := range []int{1, 3, 1000, 1 << 20} {
		here, there := net.Pipe()
		go func() {
			defer there.Close()
			for _, n := range sizes {
				f := ws.MustCompileFrame(ws.NewTextFrame([]byte(strings.Repeat("4", n))))
				for len(f) > 0 {
					k := min(chunk, len(f))
					if _, err := there.Write(f[:k]); err != nil {
						return
					}
					f = f[k:]
				}
			}
		}()
		c := &conn{Conn: here, buf: make([]byte, 16)}
		for _, n := range sizes {
			op, p, err := c.frame()
			if err != nil || op != ws.OpText || len(p) != n {
				t.Fatalf("chunk %d, frame of %d: op %v, %d bytes, %v", chunk, n, op, len(p), err)
			}
		}
		if _, _, err := c.frame(); err != io.EOF {
			t.Fatalf("after the last frame: %v", err)
		}
	}
}

func TestPingsAreAnswered(t *testing.T) {
	here, there := net.Pipe()
	defer here.Close()
	answer := make(chan string, 1)
	go func() {
		for _, p := range []string{"2", `42["seq",7]`} {
			if err := ws.WriteFrame(there, ws.NewTextFrame([]byte(p))); err != nil {
				return
			}
			if p == "2" {
				h, err := ws.ReadHeader(there)
				b := make([]byte, h.Length)
				if _, err2 := io.ReadFull(there, b); err == nil && err2 == nil {
					ws.Cipher(b, h.Mask, 0)
					answer <- string(b)
				}
			}
		}
	}()
	c := &conn{Conn: here, buf: make([]byte, 16)}
	p, err := c.next()
	if err != nil || string(p) != `42["seq",7]` {
		t.Fatalf("got %q, %v", p, err)
	}
	if got := <-answer; got != "3" {
		t.Fatalf("ping answered with %q", got)
	}
}

func TestPackets(t *testing.T) {
	if id, rest, ok := ackID([]byte(`4312["a",1]`)); id != 12 || string(rest) != `["a",1]` || !ok {
		t.Errorf("ackID: %d %q %v", id, rest, ok)
	}
	if _, _, ok := ackID([]byte(`42["a"]`)); ok {
		t.Error("ackID took an event")
	}
	if n, ok := messageNumber([]byte(`42["message",{"content_text":"x","id":4711}]`)); n != 4711 || !ok {
		t.Errorf("messageNumber: %d %v", n, ok)
	}
	if _, ok := messageNumber([]byte(`42["message",{"id":"x"}]`)); ok {
		t.Error("messageNumber took text")
	}
}

func TestHistogram(t *testing.T) {
	var a, b histogram
	for i := range 1000 {
		h := &a
		if i%2 == 1 {
			h = &b
		}
		h.add(time.Duration(i+1) * time.Millisecond)
	}
	a.merge(&b)
	for q, want := range map[float64]time.Duration{0.5: 500 * time.Millisecond, 0.99: 990 * time.Millisecond, 1: time.Second} {
		if got := a.quantile(q); got < want || got > want*106/100 {
			t.Errorf("quantile %v: %v, want %v or up to 6 %% more", q, got, want)
		}
	}
	if a.max != time.Second || a.n != 1000 {
		t.Errorf("max %v, n %d", a.max, a.n)
	}
}

func TestProcessReadsItself(t *testing.T) {
	p := &process{[]int{os.Getpid()}}
	before, err := p.cpu()
	if err != nil {
		t.Fatal(err)
	}
	used := func() time.Duration { // an independent source: getrusage(2)
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			t.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	begun := used()
	for used() < begun+100*time.Millisecond { // of CPU time, however long that takes on a busy machine
	}
	after, err := p.cpu()
	if err != nil {
		t.Fatal(err)
	}
	worked := used() - begun
	if d := after - before; d < worked/2 || d > 2*worked {
		t.Errorf("%v of work measured as %v", worked, d)
	}
	m, err := p.memory()
	if err != nil || m.RSS < 1<<20 || m.PSS < 1<<20 || m.PSS > m.RSS {
		t.Errorf("memory %+v, %v", m, err)
	}
}
