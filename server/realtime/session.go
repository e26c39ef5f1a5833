package realtime

import (
	"sync"
	"time"

	"sohbet/server/engine"
)

// session is one connection with its sockets. The connection's reader decodes packets and handles them one after the other: events where they
// are decoded, and a CONNECT by the Socket.IO library (library.go).
type session struct {
	srv  *Server
	conn *engine.Conn
	decoder

	known      bool
	identified any // result of Options.Identify

	mu      sync.Mutex
	timeout *time.Timer // closes the connection; nil once it has joined a namespace, or ended
	sockets *Socket     // one per joined namespace, linked by next
	ended   bool
	reason  string // why it ended
}

func (s *Server) accept(c *engine.Conn) {
	session := &session{srv: s, conn: c}
	c.Handle(session)
	session.mu.Lock() // the timer's function may run before it is assigned
	defer session.mu.Unlock()
	session.timeout = time.AfterFunc(s.connectTimeout, session.timedOut)
}

func (s *session) timedOut() {
	s.mu.Lock()
	joined := s.timeout == nil
	s.mu.Unlock()
	if !joined {
		s.conn.CloseWith(engine.ClosedByServer)
	}
}

// Message handles one message. On an error it closes the connection.
func (s *session) Message(data []byte, binary bool) {
	if binary && !s.conn.Hold(len(data)) { // attachments are kept after this call
		return // closed already
	}
	var p packet
	complete, err := s.decode(&p, data, binary)
	if err != nil {
		s.conn.CloseWith(engine.ClosedParse)
		return
	}
	if !complete {
		return
	}
	s.handle(&p)
	if s.weight > 0 {
		s.conn.Release(s.weight)
		s.weight = 0
	}
}

func (s *session) handle(p *packet) {
	so := s.socket(p.nsp)
	switch p.typ {
	case packetEvent, packetBinaryEvent:
		if so != nil {
			so.handle(p)
			return
		}
	case packetAck, packetBinaryAck:
		if so != nil {
			return // this server requests none
		}
	case packetConnect:
		if so == nil {
			if s.allowed() {
				s.join(p)
			}
			return
		}
	case packetDisconnect:
		if so != nil {
			if s.allowed() && s.remove(so) {
				so.closed("client namespace disconnect")
			}
			return
		}
	}
	s.conn.CloseWith(engine.ClosedByServer) // a packet without a socket, or for one that exists
}

// allowed asks Options.Allow, and closes the connection if it refuses.
func (s *session) allowed() bool {
	if s.srv.allow == nil || s.srv.allow(s.conn) {
		return true
	}
	s.conn.CloseWith(engine.ClosedFlood)
	return false
}

// join handles a CONNECT.
func (s *session) join(p *packet) {
	lib := s.srv.library.connect(s, p)
	if lib == nil {
		return
	}
	name, handler := s.srv.namespace(p.nsp)
	so := &Socket{session: s, namespace: name, id: string(lib.Id()), auth: p.data}
	s.srv.protect(s.conn, "connect", func() {
		if !s.known {
			s.known = true
			if s.srv.identify != nil {
				s.identified = s.srv.identify(s.conn.HandshakeRequest())
			}
			s.conn.ForgetRequest()
			s.conn.Trust()
		}
		if handler != nil {
			handler(so)
		}
	})
	so.auth = nil

	s.mu.Lock()
	if s.timeout != nil {
		s.timeout.Stop()
		s.timeout = nil
	}
	ended, reason := s.ended, s.reason
	if ended {
		so.state = gone
	} else {
		so.state, so.next, s.sockets = connected, s.sockets, so
	}
	s.mu.Unlock()
	if ended {
		so.closed(reason)
	}
}

// Closed ends the sockets of a connection that has ended.
func (s *session) Closed(reason string) {
	s.mu.Lock()
	s.ended, s.reason = true, reason
	if s.timeout != nil {
		s.timeout.Stop()
		s.timeout = nil
	}
	s.mu.Unlock()
	s.closeAll(reason, nil)
}

// closeAll ends all sockets, each after a call of before.
func (s *session) closeAll(reason string, before func(*Socket)) {
	s.mu.Lock()
	so := s.sockets
	s.sockets = nil
	for each := so; each != nil; each = each.next {
		each.state = gone
	}
	s.mu.Unlock()
	for so != nil {
		next := so.next
		if before != nil {
			before(so)
		}
		so.closed(reason)
		so = next
	}
}

func (s *session) socket(namespace string) *Socket {
	s.mu.Lock()
	defer s.mu.Unlock()
	for so := s.sockets; so != nil; so = so.next {
		if so.namespace == namespace {
			return so
		}
	}
	return nil
}

// remove reports whether it removed so, which happens once.
func (s *session) remove(so *Socket) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for at := &s.sockets; *at != nil; at = &(*at).next {
		if *at == so {
			*at = so.next
			so.state = gone
			return true
		}
	}
	return false
}
