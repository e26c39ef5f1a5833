package engine_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"sohbet/bench/conformance/raw"
	"sohbet/server/engine"
)

// serve runs an engine of production's timings unless o says otherwise. onData runs for every message.
func serve(t *testing.T, o engine.Options, onData func(*engine.Message)) (*engine.Server, *raw.Host) {
	t.Helper()
	s := engine.New(o)
	if onData != nil {
		s.OnConnect(func(c *engine.Conn) {
			_ = c.On("data", func(args ...any) { onData(args[0].(*engine.Message)) })
		})
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = s.Close(ctx, engine.ClosedByServer) // a test may leave clients that take nothing
	})
	return s, raw.Serve(t, s, "/")
}

func echo(m *engine.Message) {
	if m.Binary {
		m.Conn.Queue(engine.AppendBinary(nil, m.Data), false)
	} else {
		m.Conn.Queue(engine.AppendText(nil, m.Data), false)
	}
}

// A connection may be cut off from another goroutine while its own handler is at work: by the heartbeat, by a publisher
// that finds it slow. Neither may wait for the other.
func TestCutWhileHandlerRuns(t *testing.T) {
	inside, goOn, done := make(chan *engine.Conn), make(chan struct{}), make(chan struct{})
	s, host := serve(t, engine.Options{}, func(m *engine.Message) {
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
		c.Close(true)
		close(cut)
	}()
	raw.Take(t, c.Done(), "the end of the connection")
	time.Sleep(20 * time.Millisecond) // let the cut reach the socket
	close(goOn)
	raw.Take(t, done, "the handler's return")
	raw.Take(t, cut, "the cut's return")
	raw.Until(t, "the connection is forgotten", func() bool { return s.Stats().Open == 0 })
}

// The handler may cut its own connection off.
func TestHandlerCutsItself(t *testing.T) {
	done := make(chan struct{})
	_, host := serve(t, engine.Options{}, func(m *engine.Message) {
		m.Conn.Close(true)
		close(done)
	})
	w := host.Websocket()
	w.Send("4x")
	raw.Take(t, done, "the handler's return")
	w.Closed()
}

// A client that sends but never reads is cut off while its handler is queueing echoes; what waits for it stays bounded,
// and a client beside it notices nothing.
func TestSlowClientIsCut(t *testing.T) {
	const bound = 256 << 10
	s, host := serve(t, engine.Options{QueueBytes: bound}, echo)
	bystander := host.Websocket()
	slow := host.Websocket()

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
