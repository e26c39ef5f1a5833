package realtime

import (
	"io"
	"net/http"
	"sync"

	wire "github.com/zishang520/engine.io-go-parser/packet"
	eio "github.com/zishang520/engine.io/v2/engine"
	"github.com/zishang520/engine.io/v2/events"
	"github.com/zishang520/engine.io/v2/transports"
	"github.com/zishang520/engine.io/v2/types"
	"github.com/zishang520/socket.io-go-parser/v2/parser"
	"github.com/zishang520/socket.io/v2/socket"

	"sohbet/server/engine"
)

// This file lets github.com/zishang520/socket.io/v2 (v2.5.0) handle the CONNECT packets: it decides by its namespaces and their middleware, makes
// the socket's id, and calls the connection listeners. Then its objects are released, which take two thousand bytes for each connection.
//
// It implements the part of the library's engine interfaces that the library calls. The interfaces are embedded as nil, so a call to any
// other method panics in a test.

// library is the engine.BaseServer that the library is bound to.
type library struct {
	eio.BaseServer
	connection events.Listener // of the library
}

func (l *library) On(event events.EventName, fns ...events.Listener) error {
	if event == "connection" && len(fns) > 0 {
		l.connection = fns[0]
	}
	return nil
}

// handshake is a connection as the library sees it, from a CONNECT until that is answered.
type handshake struct {
	eio.Socket
	session *session
	joined  chan *socket.Socket // the library's socket, or nil if the client was refused

	data    events.Listener // of the library
	closing events.Listener // of the library

	mu       sync.Mutex
	released bool
}

// connect lets the library answer a CONNECT, and returns its socket, or nil if it refused the client or the connection has ended.
func (l *library) connect(s *session, p *packet) *socket.Socket {
	h := &handshake{session: s, joined: make(chan *socket.Socket, 1)}
	l.connection(h)
	defer h.release()
	connect := &parser.Packet{Type: parser.CONNECT, Nsp: p.nsp}
	if p.data != nil {
		connect.Data = p.data
	}
	h.data(connect)
	select {
	case so := <-h.joined:
		return so
	case <-s.conn.Done():
		return nil
	}
}

// connected is called by the library when it has answered the CONNECT.
func (h *handshake) connected(so *socket.Socket) {
	h.mu.Lock()
	released := h.released
	if !released {
		h.answer(so)
	}
	h.mu.Unlock()
	if released { // the connection ended before the library registered this socket, so release could not remove it
		so.Disconnect(false)
	}
}

// answer makes connect return.
func (h *handshake) answer(so *socket.Socket) {
	select {
	case h.joined <- so:
	default:
	}
}

// release makes the library forget the connection.
func (h *handshake) release() {
	h.mu.Lock()
	h.released = true
	h.mu.Unlock()
	h.closing("released")
}

// On sets the library's listeners of "data", which takes a decoded packet, and of "close".
func (h *handshake) On(event events.EventName, fns ...events.Listener) error {
	switch {
	case event == "data" && len(fns) > 0:
		h.data = fns[0]
	case event == "close" && len(fns) > 0:
		h.closing = fns[0]
	}
	return nil
}

// Once is like On: "close" is the only event that the library registers with Once, and it is emitted only once.
func (h *handshake) Once(event events.EventName, fns ...events.Listener) error {
	return h.On(event, fns...)
}

// RemoveListener does nothing: the listeners are not called again.
func (h *handshake) RemoveListener(events.EventName, events.Listener) bool { return true }

// Id is not used by the library, except for logs, because a socket has an id of its own.
func (h *handshake) Id() string { return "" }

// Protocol returns the Engine.IO revision.
func (h *handshake) Protocol() int { return 4 }

// ReadyState returns "open" or "closed".
func (h *handshake) ReadyState() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.released || !h.session.conn.Open() {
		return "closed"
	}
	return "open"
}

// RemoteAddress returns the client's address.
func (h *handshake) RemoteAddress() string { return h.session.conn.RemoteAddress() }

// Request returns one empty request shared by all connections. The library copies its headers into each socket's handshake, which is
// not used here: see [engine.Conn.HandshakeRequest].
func (h *handshake) Request() *types.HttpContext { return emptyContext() }

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

// Transport returns nothing that the library may call: it sends no volatile packets here.
func (h *handshake) Transport() transports.Transport { return nil }

// Write sends what the library answers.
func (h *handshake) Write(r io.Reader, _ *wire.Options, _ eio.SendCallback) eio.Socket {
	e, ok := r.(*encoded)
	if !ok || h.ReadyState() == "closed" {
		return h
	}
	h.session.conn.Answer(e.frames)
	if e.refusal {
		h.answer(nil)
	}
	return h
}

// Close closes the connection.
func (h *handshake) Close(bool) { h.session.conn.CloseWith(engine.ClosedByServer) }

// wireParser is the library's parser: the library gets packets that are decoded already.
type wireParser struct{}

var _ parser.Parser = wireParser{}

func (wireParser) NewEncoder() parser.Encoder { return encoder{} }
func (wireParser) NewDecoder() parser.Decoder { return &forwarder{} }

// forwarder passes decoded packets on.
type forwarder struct {
	events.EventEmitter // nil: the library only listens for "decoded"
	decoded             events.Listener
}

func (f *forwarder) On(event events.EventName, fns ...events.Listener) error {
	if event == "decoded" && len(fns) > 0 {
		f.decoded = fns[0]
	}
	return nil
}

// RemoveListener does nothing: nothing is added any more.
func (f *forwarder) RemoveListener(events.EventName, events.Listener) bool { return true }

// Destroy does nothing.
func (f *forwarder) Destroy() {}

// Add passes a *parser.Packet on.
func (f *forwarder) Add(data any) error {
	f.decoded(data)
	return nil
}

// encoder encodes the packets that the library sends: CONNECT, CONNECT_ERROR, DISCONNECT.
type encoder struct{}

func (encoder) Encode(p *parser.Packet) []types.BufferInterface {
	frames := mustEncode(&packet{typ: byte(p.Type), nsp: p.Nsp, value: p.Data})
	return []types.BufferInterface{&encoded{frames: frames, refusal: p.Type == parser.CONNECT_ERROR}}
}

// encoded is a packet that the encoder passes to the library in one piece.
type encoded struct {
	types.BufferInterface // nil: the library only passes it on
	frames                []byte
	refusal               bool
}

// Clone returns e itself: queued frames are never modified.
func (e *encoded) Clone() types.BufferInterface { return e }
