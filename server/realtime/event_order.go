package realtime

import (
	"sync"

	"github.com/zishang520/socket.io-go-parser/v2/parser"

	"sohbet/server/engine"
)

// gate keeps one connection's packets in order through the Socket.IO library.
//
// The library handles every packet in a goroutine of its own (client.go:216 of v2.5.0) and answers a CONNECT before the server's
// handlers are attached (namespace.go:275), so packets read in quick succession could overtake each other or get lost. The gate blocks
// the connection's reader until the current packet has been handled: a CONNECT when our connection handler has run, a DISCONNECT when
// the socket is gone. An event returns from the library's dispatch through the gate and is handled by the reader itself, whose stack
// has already grown. When a connection ends its gate no longer blocks.
type gate struct {
	srv  *Server
	conn *engine.Conn
	step chan step

	client     sync.Once
	identified any // result of Options.Identify

	mu      sync.Mutex
	sockets []*Socket // one per joined namespace
}

// step is what the reader waits for: an event to handle, or, without an event, the permission to continue.
type step struct {
	socket *Socket
	event  []any
}

func gateOf(c *engine.Conn) *gate { return c.User().(*gate) }

// hand passes a packet to the library through emit and returns when it has been handled.
func (g *gate) hand(p *parser.Packet, emit func()) {
	if (p.Type == parser.CONNECT || p.Type == parser.DISCONNECT) && g.srv.allow != nil && !g.srv.allow(g.conn) {
		g.conn.CloseWith(engine.ClosedFlood)
		return
	}
	s := g.socket(p.Nsp)
	emit()
	switch p.Type {
	case parser.CONNECT:
		if s == nil && g.srv.hasNamespace(p.Nsp) {
			g.await()
		}
	case parser.EVENT, parser.BINARY_EVENT:
		if s != nil {
			g.await()
		}
	case parser.DISCONNECT:
		if s != nil {
			select {
			case <-s.gone:
			case <-g.conn.Done():
			}
		}
	}
	// Any other packet was already refused by the library, which may have closed the connection.
}

func (g *gate) await() {
	select {
	case next := <-g.step:
		if next.socket != nil {
			next.socket.handle(next.event)
		}
	case <-g.conn.Done():
	}
}

// pass lets the reader continue, with an event to handle if there is one. It is called once for each packet that is waited for.
func (g *gate) pass(next step) {
	select {
	case g.step <- next:
	case <-g.conn.Done():
	}
}

func (g *gate) socket(namespace string) *Socket {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range g.sockets {
		if s.namespace == namespace {
			return s
		}
	}
	return nil
}

func (g *gate) add(s *Socket) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.sockets = append(g.sockets, s)
}

func (g *gate) remove(s *Socket) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, other := range g.sockets {
		if other == s {
			g.sockets = append(g.sockets[:i], g.sockets[i+1:]...)
			return
		}
	}
}
