package realtime

import (
	"encoding/json"
	"sync/atomic"

	"github.com/zishang520/socket.io-go-parser/v2/parser"
	"github.com/zishang520/socket.io/v2/socket"

	"sohbet/server/engine"
)

// Socket is one client in one namespace. It is safe for concurrent use.
type Socket struct {
	srv       *Server
	lib       *socket.Socket
	conn      *engine.Conn
	namespace string
	gone      chan struct{} // closed when the socket has disconnected

	onEvent func(Event)
	onClose func(reason string)
	side    atomic.Uint32 // a Side

	joined []*room // guarded by srv.rooms.mu
	left   bool    // guarded by srv.rooms.mu
}

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
func (s *Socket) ID() string { return string(s.lib.Id()) }

// RemoteAddress returns the client's address at the handshake.
func (s *Socket) RemoteAddress() string { return s.conn.RemoteAddress() }

// Client returns the result of Options.Identify for the connection.
func (s *Socket) Client() any { return gateOf(s.conn).identified }

// ConnectionID returns the id of the connection, which may have a socket in each namespace, and several in succession. It is secret.
func (s *Socket) ConnectionID() string { return s.conn.ID() }

// Close closes the connection with a reason. Unlike after [Socket.Disconnect], official clients reconnect.
func (s *Socket) Close(why engine.Closing) { s.conn.CloseWith(why) }

// Auth returns the object that the client sent with its CONNECT, or nil.
func (s *Socket) Auth() json.RawMessage {
	auth, _ := s.lib.Handshake().Auth.(json.RawMessage)
	return auth
}

// OnEvent sets the handler of the socket's events, which is called for one event at a time, in the order in which they were sent. While
// it runs the client's next packet is not read, which slows down a client that sends too fast. Call it only from the connect handler.
func (s *Socket) OnEvent(fn func(Event)) { s.onEvent = fn }

// OnClose sets a function that is called once when the socket has disconnected. Call it only from the connect handler.
func (s *Socket) OnClose(fn func(reason string)) { s.onClose = fn }

// SetSide sets the side of its conversations on which the socket is.
func (s *Socket) SetSide(side Side) { s.side.Store(uint32(side)) }

// Emit sends an event to this client. It reports whether it was queued.
func (s *Socket) Emit(name string, args ...any) (bool, error) {
	f, err := s.srv.EncodeFor(s.namespace, name, args...)
	if err != nil {
		return false, err
	}
	return s.conn.Queue(f, false), nil
}

// Join adds the socket to a room. It does nothing for a disconnected socket.
func (s *Socket) Join(name string) { s.srv.rooms.join(s, name) }

// Leave removes the socket from a room.
func (s *Socket) Leave(name string) { s.srv.rooms.leave(s, name) }

// Disconnect disconnects the client permanently: official clients do not reconnect after it.
func (s *Socket) Disconnect() { s.lib.Disconnect(true) }

// handle calls the handler of events with an EVENT.
func (s *Socket) handle(p *parser.Packet) {
	if s.onEvent == nil {
		return
	}
	data := p.Data.([]any)
	e := Event{Name: data[0].(string), Args: data[1:]}
	if p.Id != nil {
		var sent atomic.Bool
		e.Ack = func(args ...any) {
			if !sent.Swap(true) {
				s.conn.Answer(mustEncode(&parser.Packet{Type: parser.ACK, Nsp: s.namespace, Id: p.Id, Data: args}))
			}
		}
	}
	s.srv.protect(s.conn, "event", func() { s.onEvent(e) })
}

func (s *Socket) closed(reason string) {
	s.srv.rooms.leaveAll(s)
	if s.onClose != nil {
		s.srv.protect(s.conn, "disconnect", func() { s.onClose(reason) })
	}
	close(s.gone)
}

// Frame is an event encoded for the wire, which may be sent to any number of sockets. It must not be modified.
type Frame []byte

// Encode encodes an event of the default namespace.
func (s *Server) Encode(name string, args ...any) (Frame, error) {
	return s.EncodeFor("/", name, args...)
}

// EncodeFor encodes an event of a namespace.
func (s *Server) EncodeFor(namespace, name string, args ...any) (Frame, error) {
	p := parser.Packet{Type: parser.EVENT, Nsp: namespace, Data: append([]any{name}, args...)}
	return encodeFrames(&p)
}
