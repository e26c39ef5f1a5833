package realtime

import (
	"sync"

	"github.com/zishang520/socket.io-go-parser/v2/parser"

	"sohbet/server/engine"
)

// gate keeps one connection's packets in order through the Socket.IO library.
//
// The library hands every packet to a goroutine of its own (client.go:216 of v2.5.0) and answers a CONNECT before the
// server's handlers are attached (namespace.go:275), so packets read back to back would overtake each other or get
// lost. The gate stands in the connection's reader, which goes on to the next packet only when the one before has been
// dealt with: for CONNECT when our connection handler has run, for an event when its handler has returned, for
// DISCONNECT when the socket is gone. A connection that ends opens its gate for good.
type gate struct {
	srv  *Server
	conn *engine.Conn
	step chan struct{} // one token for each packet dealt with

	mu      sync.Mutex
	sockets []*Socket // one for each namespace joined
}

func gateOf(c *engine.Conn) *gate { return c.User().(*gate) }

// before tells what await has to wait for once p has been handed to the library; nil means nothing.
func (g *gate) before(p *parser.Packet) <-chan struct{} {
	s := g.socket(p.Nsp)
	switch p.Type {
	case parser.CONNECT:
		if s == nil && g.srv.hasNamespace(p.Nsp) {
			return g.step
		}
	case parser.EVENT, parser.BINARY_EVENT:
		if s != nil {
			return g.step
		}
	case parser.DISCONNECT:
		if s != nil {
			return s.gone
		}
	}
	return nil // refused or closed by the library on the spot
}

func (g *gate) await(settled <-chan struct{}) {
	if settled == nil {
		return
	}
	select {
	case <-settled:
	case <-g.conn.Done():
	}
}

// pass lets the reader go on. Each packet that is waited for passes once.
func (g *gate) pass() {
	select {
	case g.step <- struct{}{}:
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
