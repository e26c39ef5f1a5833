package engine

import (
	"context"
	"io"
	"net/http"
	"sync"

	wire "github.com/zishang520/engine.io-go-parser/packet"
	eio "github.com/zishang520/engine.io/v2/engine"
	"github.com/zishang520/engine.io/v2/events"
	"github.com/zishang520/engine.io/v2/transports"
	"github.com/zishang520/engine.io/v2/types"
	"github.com/zishang520/socket.io/v2/socket"
)

// This file adapts the engine to github.com/zishang520/socket.io/v2: it implements the part of the library's engine interfaces that its
// Socket.IO layer (v2.5.0) calls. The interfaces are embedded as nil, so a call to any other method panics in a test.

// Bind attaches the Socket.IO layer to this engine.
func (s *Server) Bind(io *socket.Server) { io.Bind(&s.library) }

// library is the engine.BaseServer used by the Socket.IO layer.
type library struct {
	eio.BaseServer
	srv *Server
}

var _ eio.BaseServer = (*library)(nil)

func (l *library) On(event events.EventName, fns ...events.Listener) error {
	if event == "connection" {
		for _, fn := range fns {
			l.srv.OnConnect(func(c *Conn) { fn(c) })
		}
	}
	return nil
}

func (l *library) Close() eio.BaseServer {
	_ = l.srv.Close(context.Background(), ClosedByServer)
	return l
}

// listeners is a connection's event emitter with the three events that are used, each with at most one listener.
type listeners struct {
	events.EventEmitter
	mu                 sync.Mutex
	data, err, closing events.Listener
}

func (l *listeners) slot(event events.EventName) *events.Listener {
	switch event {
	case "data":
		return &l.data
	case "error":
		return &l.err
	case "close":
		return &l.closing
	}
	return nil
}

// On sets the listener of "data" (*[Message]), "error" (error) or "close" (reason string).
func (l *listeners) On(event events.EventName, fns ...events.Listener) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if slot := l.slot(event); slot != nil && len(fns) > 0 {
		*slot = fns[0]
	}
	return nil
}

// Once is like On: "close" is the only event that the library registers with Once, and it is emitted only once.
func (l *listeners) Once(event events.EventName, fns ...events.Listener) error {
	return l.On(event, fns...)
}

// RemoveListener removes the listener of an event.
func (l *listeners) RemoveListener(event events.EventName, _ events.Listener) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	slot := l.slot(event)
	if slot == nil || *slot == nil {
		return false
	}
	*slot = nil
	return true
}

func (l *listeners) emit(event events.EventName, arg any) {
	l.mu.Lock()
	fn := *l.slot(event)
	l.mu.Unlock()
	if fn != nil {
		fn(arg)
	}
}

func (l *listeners) emitData(m *Message)     { l.emit("data", m) }
func (l *listeners) emitClose(reason string) { l.emit("close", reason) }

// Construct does nothing: the engine creates its connections itself.
func (c *Conn) Construct(string, eio.BaseServer, transports.Transport, *types.HttpContext, int) {}

var _ eio.Socket = (*Conn)(nil)

// Id returns ID, under the name used by the library.
func (c *Conn) Id() string { return c.id }

// Protocol returns the Engine.IO revision.
func (c *Conn) Protocol() int { return 4 }

// ReadyState returns "open" or "closed".
func (c *Conn) ReadyState() string {
	if c.isOpen() {
		return "open"
	}
	return "closed"
}

// SetReadyState does nothing: the engine manages the state.
func (c *Conn) SetReadyState(string) {}

// Upgraded reports whether the connection uses a websocket.
func (c *Conn) Upgraded() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ws != nil
}

// Upgrading reports whether an upgrade to a websocket is in progress.
func (c *Conn) Upgrading() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.probe != nil
}

// MaybeUpgrade does nothing: the engine handles upgrades.
func (c *Conn) MaybeUpgrade(transports.Transport) {}

// Request returns one empty request shared by all connections. The library copies its headers into each socket's handshake, which is
// not used here: see [Conn.HandshakeRequest].
func (c *Conn) Request() *types.HttpContext { return emptyContext() }

var emptyContext = sync.OnceValue(func() *types.HttpContext {
	r, err := http.NewRequest(http.MethodGet, "/", nil)
	if err != nil {
		panic(err)
	}
	ctx := types.NewHttpContext(discardResponse{}, r)
	ctx.Flush() // ends the goroutine that waits for the end of the request
	return ctx
})

type discardResponse struct{}

func (discardResponse) Header() http.Header         { return http.Header{} }
func (discardResponse) Write(p []byte) (int, error) { return len(p), nil }
func (discardResponse) WriteHeader(int)             {}

// Transport returns what the library checks before sending a volatile packet: whether the connection is writable.
func (c *Conn) Transport() transports.Transport { return transport{c: c} }

type transport struct {
	transports.Transport
	c *Conn
}

func (t transport) Writable() bool {
	t.c.mu.Lock()
	defer t.c.mu.Unlock()
	return t.c.state == stateOpen && len(t.c.queue) < volatileDepth
}

func (t transport) Name() string {
	if t.c.Upgraded() {
		return transports.WEBSOCKET
	}
	return transports.POLLING
}

// Send is Write, under another name used by the library.
func (c *Conn) Send(r io.Reader, o *wire.Options, fn eio.SendCallback) eio.Socket {
	return c.Write(r, o, fn)
}

// Encoded is a Socket.IO packet that a parser passes to the library in one piece, including attachments. Several pieces would be queued
// separately, and a frame published concurrently could be queued between them.
type Encoded struct {
	types.BufferInterface // nil: the library only passes it on
	Frames                []byte
}

// Clone returns e itself: queued frames are never modified.
func (e *Encoded) Clone() types.BufferInterface { return e }

// Write queues one encoded Socket.IO packet: an *[Encoded], or in the library's own encoding text from a *types.StringBuffer and binary
// from any other reader.
func (c *Conn) Write(r io.Reader, _ *wire.Options, _ eio.SendCallback) eio.Socket {
	if e, ok := r.(*Encoded); ok {
		c.Queue(e.Frames, false)
		return c
	}
	buffer, ok := r.(interface{ Bytes() []byte })
	if !ok {
		return c // the library uses no other type
	}
	payload := buffer.Bytes()
	if _, text := r.(*types.StringBuffer); text {
		c.Queue(AppendText(nil, payload), false)
	} else {
		c.Queue(AppendBinary(nil, payload), false)
	}
	return c
}

// Close closes the connection: immediately if discard is true, otherwise after queued frames were sent.
func (c *Conn) Close(discard bool) {
	if discard {
		c.abort(ClosedByServer)
		return
	}
	c.fail(ClosedByServer)
}
