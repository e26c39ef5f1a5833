package realtime

import (
	"sync"

	"github.com/zishang520/engine.io/v2/events"
	"github.com/zishang520/socket.io-go-parser/v2/parser"

	"sohbet/server/engine"
)

// gate keeps one connection's packets in order. Events are handled by the connection's reader where they are decoded.
//
// The Socket.IO library handles the others. It does so in a goroutine for each packet (client.go:216 of v2.5.0) and answers a CONNECT before
// the server's handlers are attached (namespace.go:275), so packets read in quick succession could overtake each other or get lost. The
// gate blocks the reader until a CONNECT or DISCONNECT has been handled: when our connection handler has run, or when the socket is gone.
// When a connection ends its gate no longer blocks.
type gate struct {
	srv       *Server
	conn      *engine.Conn
	connected chan struct{}

	client     sync.Once
	identified any // result of Options.Identify

	mu      sync.Mutex
	sockets []*Socket // one per joined namespace
}

func gateOf(c *engine.Conn) *gate { return c.User().(*gate) }

// hand handles a packet, or passes it to the library through emit, and returns when it has been handled.
func (g *gate) hand(p *parser.Packet, emit events.Listener) {
	s := g.socket(p.Nsp)
	switch p.Type {
	case parser.EVENT, parser.BINARY_EVENT:
		if s != nil {
			s.handle(p)
			return
		}
	case parser.ACK, parser.BINARY_ACK:
		if s != nil {
			return // this server requests none
		}
	}
	if (p.Type == parser.CONNECT || p.Type == parser.DISCONNECT) && g.srv.allow != nil && !g.srv.allow(g.conn) {
		g.conn.CloseWith(engine.ClosedFlood)
		return
	}
	emit(p)
	switch p.Type {
	case parser.CONNECT:
		if s == nil && g.srv.hasNamespace(p.Nsp) {
			select {
			case <-g.connected:
			case <-g.conn.Done():
			}
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

// pass lets the reader continue after a CONNECT.
func (g *gate) pass() {
	select {
	case g.connected <- struct{}{}:
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
