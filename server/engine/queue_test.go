package engine_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"sohbet/bench/conformance/raw"
	"sohbet/server/engine"
)

// listener handles a connection with functions.
type listener struct {
	message func(data []byte, binary bool)
	closed  func(reason string)
}

func (l listener) Message(data []byte, binary bool) {
	if l.message != nil {
		l.message(data, binary)
	}
}

func (l listener) Closed(reason string) {
	if l.closed != nil {
		l.closed(reason)
	}
}

type message struct {
	Conn   *engine.Conn
	Data   []byte
	Binary bool
}

// serve runs an engine with production timings unless o sets others. onData is called for every message.
func serve(t *testing.T, o engine.Options, onData func(*message)) (*engine.Server, *raw.Host) {
	t.Helper()
	s := engine.New(o)
	if onData != nil {
		s.OnConnect(func(c *engine.Conn) {
			c.Handle(listener{message: func(data []byte, binary bool) { onData(&message{c, data, binary}) }})
		})
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = s.Close(ctx, engine.ClosedByServer) // a test may leave clients that do not read
	})
	return s, raw.Serve(t, s, "/")
}

func echo(m *message) {
	if m.Binary {
		m.Conn.Queue(engine.AppendBinary(nil, m.Data), false)
	} else {
		m.Conn.Queue(engine.AppendText(nil, m.Data), false)
	}
}

// A connection may be closed from another goroutine while its own handler is running: by the heartbeat, or by a publisher that finds it
// too slow. Neither may deadlock.
func TestCutWhileHandlerRuns(t *testing.T) {
	inside, goOn, done := make(chan *engine.Conn), make(chan struct{}), make(chan struct{})
	s, host := serve(t, engine.Options{}, func(m *message) {
		inside <- m.Conn
		<-goOn
		m.Conn.Queue(engine.AppendText(nil, []byte("late")), false)
		close(done)
	})
	w := host.Websocket()
	w.Send("4x")
	c := raw.Take(t, inside, "the message")
	cut := make(chan struct{})
	go func() {
		c.Abort(engine.ClosedByServer)
		close(cut)
	}()
	raw.Take(t, c.Done(), "the end of the connection")
	time.Sleep(20 * time.Millisecond) // lets the close reach the socket
	close(goOn)
	raw.Take(t, done, "the handler's return")
	raw.Take(t, cut, "the cut's return")
	raw.Until(t, "the connection is forgotten", func() bool { return s.Stats().Open == 0 })
}

// The handler may close its own connection.
func TestHandlerCutsItself(t *testing.T) {
	done := make(chan struct{})
	_, host := serve(t, engine.Options{}, func(m *message) {
		m.Conn.Abort(engine.ClosedByServer)
		close(done)
	})
	w := host.Websocket()
	w.Send("4x")
	raw.Take(t, done, "the handler's return")
	w.Closed()
}

// A client that sends but never reads is disconnected while its handler is queueing echoes; its queue stays bounded, and another client
// is not affected.
func TestSlowClientIsCut(t *testing.T) {
	s, host := serve(t, engine.Options{QueueBytes: 256 << 10}, echo)
	bystander, slow := host.Websocket(), host.Websocket()
	frame := raw.Text("4" + strings.Repeat("x", 32<<10))
	for range 4000 { // 128 MiB: more than any socket buffer
		if _, err := slow.Write(frame); err != nil {
			break
		}
	}
	raw.Until(t, "the slow client is cut", func() bool { return s.Stats().Cut == 1 })
	bystander.Send("4still here")
	bystander.Expect("4still here")
	raw.Until(t, "only the bystander is left", func() bool { return s.Stats().Open == 1 })
}

// flood queues frames to every connection that sends something until it accepts no more, and reports how many it accepted and why it
// ended.
func flood(s *engine.Server, payload string) (took <-chan int, reason <-chan string) {
	n, why := make(chan int, 1), make(chan string, 1)
	s.OnConnect(func(c *engine.Conn) {
		c.Handle(listener{closed: func(reason string) { why <- reason }, message: func([]byte, bool) {
			frame := engine.AppendText(nil, []byte(payload))
			for i := 0; ; i++ {
				if !c.Queue(frame, false) {
					n <- i
					return
				}
			}
		}})
	})
	return n, why
}

// A websocket that does not read is closed once its limits are reached. If it reads again immediately, it receives the frames in
// transit completely, and close code 1013, which asks it to reconnect.
func TestSlowWebsocketIsReported(t *testing.T) {
	for name, o := range map[string]engine.Options{"bytes": {QueueBytes: 1 << 20}, "frames": {QueueFrames: 100}} {
		s, _ := serve(t, o, nil)
		payload := strings.Repeat("x", 10_000)
		took, reason := flood(s, payload)
		host := raw.Serve(t, s, "/")
		w := host.Websocket()
		w.Send("4go")
		n := raw.Take(t, took, "the bound")
		if why := raw.Take(t, reason, "the reason"); why != "slow client" {
			t.Errorf("%s: reason %q", name, why)
		}
		if s.Stats().Cut != 1 {
			t.Errorf("%s: %d cut", name, s.Stats().Cut)
		}
		for i := 0; ; i++ {
			_, got, err := w.Frame()
			if closed, ok := err.(*raw.ErrClosed); ok && closed.Code == 1013 {
				break
			}
			if err != nil || got != "4"+payload || i >= n {
				t.Fatalf("%s: frame %d of %d: %d bytes, %v", name, i, n, len(got), err)
			}
		}
	}
}

func TestSlowPollingIsReported(t *testing.T) {
	s, host := serve(t, engine.Options{QueueFrames: 100}, nil)
	took, reason := flood(s, "x")
	p := host.Polling()
	p.Post("4go")
	if n := raw.Take(t, took, "the bound"); n != 100 {
		t.Errorf("took %d", n)
	}
	if why := raw.Take(t, reason, "the reason"); why != "slow client" {
		t.Errorf("reason %q", why)
	}
	if a := p.Get(); !a.Is("1") {
		t.Errorf("GET: %.60v", a)
	}
	isOver(t, p)
}

// Volatile frames are dropped for a slow client, and for no other.
func TestVolatile(t *testing.T) {
	conns := make(chan *engine.Conn, 1)
	s, host := serve(t, engine.Options{}, nil)
	s.OnConnect(func(c *engine.Conn) { conns <- c })
	p := host.Polling()
	c := raw.Take(t, conns, "the connection")
	frame := func(i int) []byte { return engine.AppendText(nil, []byte{'a' + byte(i)}) }
	dropped := 0
	for i := range 26 {
		if !c.Queue(frame(i), true) {
			dropped++
		}
	}
	if dropped == 0 || dropped == 26 {
		t.Errorf("%d of 26 dropped", dropped)
	}
	if !c.Queue(frame(25), false) {
		t.Error("a frame that is not volatile was dropped")
	}
	var want []string
	for i := range 26 - dropped {
		want = append(want, "4"+string(rune('a'+i)))
	}
	want = append(want, "4z")
	if a := p.Get(); !a.Is(strings.Join(want, "\x1e")) {
		t.Errorf("got %v, want %q", a, want)
	}
	if !c.Queue(frame(0), true) {
		t.Error("dropped for one who has caught up")
	}
	if s.Stats().Cut != 0 {
		t.Error("cut for volatile frames")
	}
}

// Frames queued by one goroutine arrive in order, also while others queue frames.
func TestConcurrentQueueing(t *testing.T) {
	const writers, each = 8, 500
	s, host := serve(t, engine.Options{}, nil)
	s.OnConnect(func(c *engine.Conn) {
		for g := range writers {
			go func() {
				for i := range each {
					c.Queue(engine.AppendText(nil, fmt.Appendf(nil, "%d %d", g, i)), false)
				}
			}()
		}
	})
	check := func(next func() string) {
		t.Helper()
		var seen [writers]int
		for range writers * each {
			var g, i int
			packet := next()
			if _, err := fmt.Sscanf(packet, "4%d %d", &g, &i); err != nil || seen[g] != i {
				t.Fatalf("got %q when writer %d was at %d", packet, g, seen[g])
			}
			seen[g]++
		}
	}
	check(host.Websocket().Message)
	p := host.Polling()
	var packets []string
	check(func() string {
		if len(packets) == 0 {
			packets = strings.Split(p.Get().Body, "\x1e")
		}
		packet := packets[0]
		packets = packets[1:]
		return packet
	})
}
