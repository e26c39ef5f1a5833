package engine_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"sohbet/bench/conformance/raw"
	"sohbet/bench/conformance/suite"
	"sohbet/server/engine"
)

func TestWebsocketMessages(t *testing.T) {
	_, host := serve(t, engine.Options{}, echo)
	w := host.Websocket()
	// The lengths at which the frame header changes its format (RFC 6455 §5.2), and the maximum.
	for _, n := range []int{0, 1, 124, 125, 126, 65534, 65535, 65536, engine.DefaultMaxPayload - 1} {
		text := "4" + strings.Repeat("ğ", n/2) + strings.Repeat("x", n%2)
		w.Send(text)
		w.Expect(text)
		w.SendRaw(raw.Binary(text))
		op, got, err := w.Frame()
		if err != nil || op != ws.OpBinary || got != text {
			t.Fatalf("binary of %d bytes: %v, %d bytes, %v", n, op, len(got), err)
		}
	}
	w.SendRaw(raw.Binary(""))
	if op, got, err := w.Frame(); op != ws.OpBinary || got != "" || err != nil {
		t.Errorf("empty binary: %v %q %v", op, got, err)
	}
}

// The messages are the same however TCP segments a stream of frames.
func TestWebsocketSegments(t *testing.T) {
	_, host := serve(t, engine.Options{}, echo)
	w := host.Websocket()
	long := "4" + strings.Repeat("y", 300)
	stream := raw.Texts("4a", "4b", long, "4c", long)
	w.SendRaw(stream)
	w.Expect("4a", "4b", long, "4c", long)
	for i := range stream {
		w.SendRaw(stream[i : i+1])
	}
	w.Expect("4a", "4b", long, "4c", long)
}

func TestWebsocketHeartbeat(t *testing.T) {
	w := ticking(t).Websocket()
	w.Pings = true
	for range 3 {
		w.Expect("2")
		w.Send("3")
	}
}

func TestWebsocketWithoutPong(t *testing.T) {
	w := brisk(t).Websocket()
	w.Pings = true
	start := time.Now()
	w.Expect("2")
	w.Closed()
	if took := time.Since(start); took < suite.PingInterval+suite.PingTimeout-50*time.Millisecond {
		t.Errorf("closed after %v", took)
	}
}

func TestWebsocketClose(t *testing.T) {
	s, host := serve(t, engine.Options{}, echo)
	for name, bytes := range map[string][]byte{
		"close packet":        raw.Text("1"),
		"close frame":         raw.Frame(ws.NewCloseFrame(ws.NewCloseFrameBody(1000, "bye"))),
		"close without code":  raw.Frame(ws.NewCloseFrame(nil)),
		"close, going away":   raw.Frame(ws.NewCloseFrame(ws.NewCloseFrameBody(1001, ""))),
		"data before closing": append(raw.Text("4x"), raw.Text("1")...),
	} {
		w := host.Websocket()
		w.SendRaw(bytes)
		if got := w.Closed(); got.Code != 1000 {
			t.Errorf("%s: %v", name, got)
		}
	}
	raw.Until(t, "nothing is open", func() bool { return s.Stats().Open == 0 })

	w := host.Websocket()
	w.Close() // without a close frame
	raw.Until(t, "nothing is open", func() bool { return s.Stats().Open == 0 })
}

// Data sent by a client after its close frame is ignored.
func TestNothingBehindClose(t *testing.T) {
	got := make(chan string, 10)
	_, host := serve(t, engine.Options{}, func(m *message) { got <- string(m.Data) })
	w := host.Websocket()
	w.Send("4before", "1", "4behind")
	w.ClosedWith(1000)
	p := host.Polling()
	p.Post("4before\x1e1\x1e4behind")
	for range 2 {
		if m := raw.Take(t, got, "the message before"); m != "before" {
			t.Errorf("got %q", m)
		}
	}
	if len(got) > 0 {
		t.Errorf("got %q", <-got)
	}
}

func frame(op ws.OpCode, fin bool, payload string) []byte {
	return raw.Frame(ws.NewFrame(op, fin, []byte(payload)))
}

func join(parts ...[]byte) []byte {
	var out []byte
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

// A fragmented message is one message, and control frames may be sent between its fragments (RFC 6455 §5.4).
func TestFragments(t *testing.T) {
	_, host := serve(t, engine.Options{}, echo)
	w := host.Websocket()
	w.SendRaw(join(
		frame(ws.OpText, false, "4gün"),
		frame(ws.OpPing, true, "are you there?"),
		frame(ws.OpContinuation, false, ""),
		frame(ws.OpContinuation, false, "ay\xc4"), // "ı" is split
		frame(ws.OpPong, true, "unasked"),
		frame(ws.OpContinuation, true, "\xb1n"),
		frame(ws.OpBinary, false, "\x00"),
		frame(ws.OpContinuation, true, "\xff"),
		raw.Text("4whole"),
	))
	if op, got, err := w.Frame(); op != ws.OpPong || got != "are you there?" || err != nil {
		t.Errorf("pong: %v %q %v", op, got, err)
	}
	w.Expect("4günayın", "\x00\xff", "4whole")
}

func TestWebsocketViolations(t *testing.T) {
	_, host := serve(t, engine.Options{MaxPayload: 100_000}, echo)
	bystander := host.Websocket()
	rsv := func(bits byte, f []byte) []byte {
		f[0] |= bits << 4
		return f
	}
	big := strings.Repeat("x", 100_000)
	hugeHeader := []byte{0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4}
	negative := []byte{0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4}
	for _, c := range []struct {
		name  string
		bytes []byte
		code  ws.StatusCode
	}{
		{"unknown packet type", raw.Text("abc"), 1002},
		{"packet type 7", raw.Text("7"), 1002},
		{"polling's binary", raw.Text("bAQID"), 1002},
		{"empty text", raw.Text(""), 1002},
		{"open packet", raw.Text("0{}"), 1002},
		{"ping packet", raw.Text("2"), 1002},
		{"unmasked", ws.MustCompileFrame(ws.NewTextFrame([]byte("4x"))), 1002},
		{"RSV1 without extension", rsv(4, raw.Text("4x")), 1002},
		{"RSV2", rsv(2, raw.Text("4x")), 1002},
		{"RSV3", rsv(1, raw.Text("4x")), 1002},
		{"reserved opcode 3", frame(3, true, "4x"), 1002},
		{"reserved control opcode 11", frame(11, true, ""), 1002},
		{"fragmented ping", frame(ws.OpPing, false, ""), 1002},
		{"ping of 126 bytes", frame(ws.OpPing, true, big[:126]), 1002},
		{"continuation of nothing", frame(ws.OpContinuation, true, "x"), 1002},
		{"new message inside another", join(frame(ws.OpText, false, "4x"), raw.Text("4y")), 1002},
		{"length with the top bit set", negative, 1002},
		{"invalid UTF-8", raw.Text("4a\xffb"), 1007},
		{"invalid UTF-8 over fragments", join(frame(ws.OpText, false, "4\xc4"), frame(ws.OpContinuation, true, "x")), 1007},
		{"one byte too many", raw.Text("4" + big), 1009},
		{"one byte too many, binary", raw.Binary("4" + big), 1009},
		{"one byte too many over fragments", join(frame(ws.OpText, false, "4"+big[:60_000]), frame(ws.OpContinuation, true, big[:40_000])), 1009},
		{"2^63-1 bytes announced", hugeHeader, 1009},
	} {
		w := host.Websocket()
		// The server may close the connection before it has received everything.
		_, _ = w.Write(c.bytes)
		if got := w.Closed(); got.Code != c.code {
			t.Errorf("%s: %v, want %d", c.name, got, c.code)
		}
		bystander.Send("4" + c.name)
		bystander.Expect("4" + c.name)
	}
}

// Messages before a protocol error are handled, and their answers arrive.
func TestAnswersBeforeViolation(t *testing.T) {
	_, host := serve(t, engine.Options{}, echo)
	w := host.Websocket()
	w.SendRaw(join(raw.Texts("4a", "4b"), raw.Text("abc"), raw.Text("4c")))
	w.Expect("4a", "4b")
	w.ClosedWith(1002)
}

// A client's pings are answered, but not so many that they fill the queue of a client that does not read.
func TestPingFlood(t *testing.T) {
	s, host := serve(t, engine.Options{QueueBytes: 64 << 10}, echo)
	w := host.Websocket()
	flood := make([]byte, 0, 1<<20)
	for range 8000 {
		flood = append(flood, frame(ws.OpPing, true, strings.Repeat("p", 100))...)
	}
	w.SendRaw(flood)
	w.Send("4done")
	pongs := 0
	for {
		op, payload, err := w.Frame()
		if err != nil {
			t.Fatal(err)
		}
		if op == ws.OpPong {
			pongs++
			continue
		}
		if payload != "4done" {
			t.Fatalf("got %q", payload)
		}
		break
	}
	if pongs == 0 || s.Stats().Cut != 0 {
		t.Errorf("%d pongs, %d cut", pongs, s.Stats().Cut)
	}
}

// A websocket whose client never completes anything is dropped once its heartbeat is due.
func TestSilentWebsocketIsDropped(t *testing.T) {
	s, host := serve(t, engine.Options{PingInterval: 50 * time.Millisecond, PingTimeout: 50 * time.Millisecond}, echo)
	w := host.Websocket()
	_, _ = w.Write(raw.Text("4half")[:3])
	raw.Until(t, "nothing is open", func() bool { return s.Stats().Open == 0 })
	w.Closed()
}

func TestCloseReasonsAreReported(t *testing.T) {
	start := func(o engine.Options) (*engine.Server, *raw.Host, <-chan string) {
		reasons := make(chan string, 1)
		s, host := serve(t, o, echo)
		s.OnConnect(func(c *engine.Conn) {
			c.Handle(listener{closed: func(reason string) { reasons <- reason }})
		})
		return s, host, reasons
	}
	_, host, reasons := start(engine.Options{PingInterval: 60 * time.Millisecond, PingTimeout: 60 * time.Millisecond})
	host.Websocket()
	if got := raw.Take(t, reasons, "the heartbeat's end"); got != "ping timeout" {
		t.Errorf("reason %q", got)
	}
	s, host, reasons := start(engine.Options{})
	for want, act := range map[string]func(w *raw.Websocket){
		"transport close": func(w *raw.Websocket) { w.Send("1") },
		"parse error":     func(w *raw.Websocket) { w.Send("abc") },
		"payload too big": func(w *raw.Websocket) { _, _ = w.Write(raw.Text("4" + strings.Repeat("x", engine.DefaultMaxPayload))) },
	} {
		act(host.Websocket())
		if got := raw.Take(t, reasons, want); got != want {
			t.Errorf("reason %q, want %q", got, want)
		}
	}
	w := host.Websocket()
	ctx, cancel := context.WithTimeout(context.Background(), raw.Patience)
	defer cancel()
	if err := s.Close(ctx, engine.ClosedRestart); err != nil {
		t.Error(err)
	}
	if got := raw.Take(t, reasons, "restart"); got != engine.ClosedRestart.Reason {
		t.Errorf("reason %q", got)
	}
	w.ClosedWith(1012)
}
