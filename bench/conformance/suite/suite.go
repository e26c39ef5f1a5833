// Package suite makes the servers that conformance suites for Engine.IO revision 4 and Socket.IO revision 5 talk to.
package suite

import (
	"encoding/json"
	"net/http"
	"time"

	"sohbet/server/engine"
	"sohbet/server/realtime"
)

// The suites' timings.
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

// Engine serves Engine.IO at /engine.io/ and sends every message back, text as text and binary as binary.
func Engine() http.Handler { return EngineWith(options()) }

// EngineWith is Engine with other timings, for tests that heartbeats would only disturb.
func EngineWith(o engine.Options) http.Handler {
	s := engine.New(o)
	s.OnConnect(func(c *engine.Conn) {
		_ = c.On("data", func(args ...any) {
			m := args[0].(*engine.Message)
			if m.Binary {
				c.Queue(engine.AppendBinary(nil, m.Data), false)
			} else {
				c.Queue(engine.AppendText(nil, m.Data), false)
			}
		})
	})
	mux := http.NewServeMux()
	mux.Handle("/engine.io/", s)
	return mux
}

// Socket serves Socket.IO at /socket.io/. On "/" a new socket is sent "auth" with what it connected with, "message" comes
// back as "message-back", and "message-with-ack" in its ack; on "/custom" there is "auth" alone.
func Socket() http.Handler {
	return SocketWith(realtime.Options{Engine: options(), ConnectTimeout: ConnectTimeout})
}

// SocketWith is Socket with other timings.
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

// must stops on an error that can only be a mistake in this file: the arguments are JSON that was just decoded.
func must(_ bool, err error) {
	if err != nil {
		panic(err)
	}
}
