package realtime

import (
	"encoding/json"
	"sync/atomic"

	"sohbet/server/engine"
)

// Socket is one client in one namespace. It is safe for concurrent use.
type Socket struct {
	session   *session
	next      *Socket // guarded by session.mu
	state     state   // guarded by session.mu
	namespace string
	id        string
	auth      json.RawMessage

	onEvent func(Event)
	onClose func(reason string)
	side    atomic.Uint32 // a Side

	joined []*room // guarded by the server's rooms.mu
	left   bool    // guarded by the server's rooms.mu
}

type state uint8

const (
	connecting state = iota // the connect handler has not returned
	connected
	gone
)

// Event is one event from the client.
type Event struct {
	Name string
	// Args are json.RawMessage, or for an event with attachments decoded values that contain the attachments as buffers. They are valid
	// only until the handler returns.
	Args []any
	// Ack acknowledges the event to the client's callback; nil if there is none. Only the first call has an effect.
	Ack func(args ...any)
}

// Arg returns argument i as JSON, or nil if there is none or the event has attachments.
func (e Event) Arg(i int) json.RawMessage {
	if i >= len(e.Args) {
		return nil
	}
	raw, _ := e.Args[i].(json.RawMessage)
	return raw
}

// ID returns the socket's public id.
func (s *Socket) ID() string { return s.id }

// RemoteAddress returns the client's address at the handshake.
func (s *Socket) RemoteAddress() string { return s.session.conn.RemoteAddress() }

// Client returns the result of Options.Identify for the connection.
func (s *Socket) Client() any { return s.session.identified }

// ConnectionID returns the id of the connection, which may have a socket in each namespace, and several in succession. It is secret.
func (s *Socket) ConnectionID() string { return s.session.conn.ID() }

// Close closes the connection with a reason. Unlike after [Socket.Disconnect], official clients reconnect.
func (s *Socket) Close(why engine.Closing) { s.session.conn.CloseWith(why) }

// Auth returns the object that the client sent with its CONNECT, or nil. It is valid only until the connect handler returns.
func (s *Socket) Auth() json.RawMessage { return s.auth }

// OnEvent sets the handler of the socket's events, which is called for one event at a time, in the order in which they were sent. While
// it runs the client's next packet is not read, which slows down a client that sends too fast. Call it only from the connect handler.
func (s *Socket) OnEvent(fn func(Event)) { s.onEvent = fn }

// OnClose sets a function that is called once when the socket has disconnected. Call it only from the connect handler.
func (s *Socket) OnClose(fn func(reason string)) { s.onClose = fn }

// SetSide sets the side of its conversations on which the socket is.
func (s *Socket) SetSide(side Side) { s.side.Store(uint32(side)) }

// Emit sends an event to this client. It reports whether it was queued.
func (s *Socket) Emit(name string, args ...any) (bool, error) {
	f, err := s.session.srv.EncodeFor(s.namespace, name, args...)
	if err != nil {
		return false, err
	}
	return s.session.conn.Queue(f, false), nil
}

// Join adds the socket to a room. It does nothing for a disconnected socket.
func (s *Socket) Join(name string) { s.session.srv.rooms.join(s, name) }

// Leave removes the socket from a room.
func (s *Socket) Leave(name string) { s.session.srv.rooms.leave(s, name) }

// Disconnect disconnects the client permanently: official clients do not reconnect after it.
func (s *Socket) Disconnect() {
	bye := func(so *Socket) {
		s.session.conn.Queue(mustEncode(&packet{typ: packetDisconnect, nsp: so.namespace}), false)
	}
	s.session.mu.Lock()
	state := s.state
	s.session.mu.Unlock()
	switch state {
	case gone:
		return
	case connecting:
		bye(s)
	}
	s.session.closeAll("server namespace disconnect", bye)
	s.session.conn.CloseWith(engine.ClosedByServer)
}

// handle calls the handler of events with an EVENT.
func (s *Socket) handle(p *packet) {
	if s.onEvent == nil {
		return
	}
	e := Event{Name: p.name, Args: p.args}
	var a *answer
	if p.hasID {
		a = &answer{socket: s, id: p.id}
		e.Ack = a.send
	}
	s.session.srv.protect(s.session.conn, "event", func() { s.onEvent(e) })
	if a != nil {
		a.later.Store(true)
	}
}

// answer is the acknowledgement of one event.
type answer struct {
	socket *Socket
	id     uint64
	sent   atomic.Bool
	later  atomic.Bool // the handler has returned
}

func (a *answer) send(args ...any) {
	if a.sent.Swap(true) {
		return
	}
	frames := mustEncode(&packet{typ: packetAck, nsp: a.socket.namespace, id: a.id, hasID: true, args: args})
	if conn := a.socket.session.conn; a.later.Load() {
		conn.Queue(frames, false)
	} else {
		conn.Answer(frames)
	}
}

func (s *Socket) closed(reason string) {
	s.session.srv.rooms.leaveAll(s)
	if s.onClose != nil {
		s.session.srv.protect(s.session.conn, "disconnect", func() { s.onClose(reason) })
	}
}

// Frame is an event encoded for the wire, which may be sent to any number of sockets. It must not be modified.
type Frame []byte

// Encode encodes an event of the default namespace.
func (s *Server) Encode(name string, args ...any) (Frame, error) {
	return s.EncodeFor("/", name, args...)
}

// EncodeFor encodes an event of a namespace.
func (s *Server) EncodeFor(namespace, name string, args ...any) (Frame, error) {
	return encodeFrames(&packet{typ: packetEvent, nsp: namespace, name: name, args: args})
}
