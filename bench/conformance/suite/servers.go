// Package suite implements the servers that conformance suites for Engine.IO revision 4 and Socket.IO revision 5 test.
package suite

import (
	"encoding/json"
	"net/http"
	"time"

	"sohbet/server/engine"
	"sohbet/server/realtime"
)

// The timeouts that the suites expect.
const (
	PingInterval   = 300 * time.Millisecond
	PingTimeout    = 200 * time.Millisecond
	ConnectTimeout = time.Second
	MaxPayload     = 1_000_000
)

func options() engine.Options {
	return engine.Options{
		PingInterval: PingInterval,
		PingTimeout:  PingTimeout,
		MaxPayload:   MaxPayload,
		AllowOrigin:  func(*http.Request) bool { return true },
	}
}

// Engine serves Engine.IO at /engine.io/ and echoes every message, text as text and binary as binary.
func Engine() http.Handler { return EngineWith(options()) }

// EngineWith is like Engine with other options, for tests that heartbeats would disturb.
func EngineWith(o engine.Options) http.Handler {
	s := engine.New(o)
	s.OnConnect(func(c *engine.Conn) { c.Handle(echo{c}) })
	mux := http.NewServeMux()
	mux.Handle("/engine.io/", s)
	return mux
}

type echo struct{ conn *engine.Conn }

func (e echo) Message(data []byte, binary bool) {
	if binary {
		e.conn.Queue(engine.AppendBinary(nil, data), false)
	} else {
		e.conn.Queue(engine.AppendText(nil, data), false)
	}
}

func (echo) Closed(string) {}

// Socket serves Socket.IO at /socket.io/. On "/" a new socket receives "auth" with its connect payload; the server answers "message"
// with "message-back", and "message-with-ack" with an ack. On "/custom" there is only "auth".
func Socket() http.Handler {
	return SocketWith(realtime.Options{Engine: options(), ConnectTimeout: ConnectTimeout})
}

// SocketWith is like Socket with other options.
func SocketWith(o realtime.Options) http.Handler {
	s := realtime.New(o)
	greet := func(so *realtime.Socket) {
		auth := so.Auth()
		if auth == nil {
			auth = json.RawMessage("{}")
		}
		must(so.Emit("auth", auth))
	}
	s.OnConnect(func(so *realtime.Socket) {
		greet(so)
		so.OnEvent(func(e realtime.Event) {
			switch {
			case e.Name == "message":
				must(so.Emit("message-back", e.Args...))
			case e.Name == "message-with-ack" && e.Ack != nil:
				e.Ack(e.Args...)
			}
		})
	})
	s.Namespace("/custom", greet)
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", s)
	return mux
}

// must panics on an error of an emit, which is only possible by a mistake in this file: the arguments are JSON that was just decoded.
func must(_ bool, err error) {
	if err != nil {
		panic(err)
	}
}
