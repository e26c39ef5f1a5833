// Package realtime is a Socket.IO v4 server: sockets with ordered events, rooms, and publishing to rooms.
//
// github.com/zishang520/socket.io/v2 implements the protocol of connecting (namespaces, CONNECT, DISCONNECT); package engine is the
// transport. This package adds guarantees that the library does not give: a socket's events are handled one at a time in the order in
// which they were sent, and an event published to rooms is encoded once and queued to all members in the same order.
package realtime

import (
	"context"
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"github.com/zishang520/socket.io/v2/socket"

	"sohbet/server/engine"
)

// Options configure a [Server]. The zero value is valid.
type Options struct {
	// Engine configures the transport layer.
	Engine engine.Options
	// ConnectTimeout is the time within which a connection must join a namespace, or it is closed; 0 = 45 s.
	ConnectTimeout time.Duration
	// Allow is called before a client joins or leaves a namespace; if it returns false the connection is closed. Nil allows everything.
	Allow func(*engine.Conn) bool
	// Identify extracts from the request that opened a connection what its sockets need to know about the client ([Socket.Client]),
	// since the request itself is not kept. It is called once per connection, before its first socket.
	Identify func(*http.Request) any
	// Logger receives panics of event handlers. Nil disables logging.
	Logger *slog.Logger
}

// Server is a Socket.IO server. It is an [http.Handler] for its path.
type Server struct {
	engine *engine.Server
	io     *socket.Server
	log    *slog.Logger
	rooms  rooms

	allow    func(*engine.Conn) bool
	identify func(*http.Request) any

	mu         sync.RWMutex
	namespaces map[string]struct{}
}

// Handler is called with each new socket before the client's first event is read. It sets the socket's OnEvent and OnClose; events that
// it emits arrive directly after the CONNECT response.
type Handler func(*Socket)

// New returns a server.
func New(o Options) *Server {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.ConnectTimeout <= 0 {
		o.ConnectTimeout = 45 * time.Second
	}
	s := &Server{engine: engine.New(o.Engine), log: o.Logger, allow: o.Allow, identify: o.Identify, namespaces: make(map[string]struct{})}
	s.rooms.byName = make(map[string]*room)

	settings := socket.DefaultServerOptions()
	settings.SetParser(wireParser{})
	settings.SetAdapter(adapterBuilder{})
	settings.SetConnectTimeout(o.ConnectTimeout)
	settings.SetServeClient(false)
	s.io = socket.NewServer(nil, settings)

	s.engine.OnConnect(func(c *engine.Conn) {
		c.SetUser(&gate{srv: s, conn: c, connected: make(chan struct{})})
	})
	s.engine.Bind(s.io)
	return s
}

// OnConnect sets the handler of the default namespace.
func (s *Server) OnConnect(fn Handler) { s.Namespace("/", fn) }

// Namespace sets the handler of a namespace, which begins with "/". Call it once each, before serving.
func (s *Server) Namespace(name string, fn Handler) {
	s.mu.Lock()
	s.namespaces[name] = struct{}{}
	s.mu.Unlock()
	_ = s.io.Of(name, nil).On("connection", func(args ...any) { s.connected(args[0].(*socket.Socket), name, fn) })
}

func (s *Server) hasNamespace(name string) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	_, ok := s.namespaces[name]
	return ok
}

func (s *Server) connected(lib *socket.Socket, namespace string, fn Handler) {
	conn := lib.Conn().(*engine.Conn)
	g := gateOf(conn)
	defer g.pass()
	so := &Socket{srv: s, lib: lib, conn: conn, namespace: namespace, gone: make(chan struct{})}
	lib.SetData(so)
	lib.Handshake().Headers, lib.Handshake().Query = nil, nil // empty (engine.Conn.Request), but still allocated maps
	g.add(so)
	var once sync.Once
	_ = lib.On("disconnect", func(args ...any) {
		once.Do(func() {
			reason, _ := args[0].(string)
			g.remove(so)
			so.closed(reason)
		})
	})
	s.protect(conn, "connect", func() {
		g.client.Do(func() {
			if s.identify != nil {
				g.identified = s.identify(conn.HandshakeRequest())
			}
			conn.ForgetRequest()
			conn.Trust()
		})
		fn(so)
	})
	if conn.ReadyState() != "open" {
		// If the connection ended before the library registered this socket, the library never closes it.
		lib.Disconnect(false)
	}
	if !lib.Connected() {
		once.Do(func() {
			g.remove(so)
			so.closed("transport close")
		})
	}
}

// protect recovers from a panic of a handler. It closes the connection, so that a client that provokes the panic cannot go on doing so.
func (s *Server) protect(c *engine.Conn, what string, fn func()) {
	defer func() {
		if v := recover(); v != nil {
			c.CloseWith(engine.ClosedFailure)
			s.log.Error("panic in socket handler", "in", what, "panic", v, "stack", string(debug.Stack()))
		}
	}()
	fn()
}

// ServeHTTP serves the Engine.IO requests of the server's path.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.engine.ServeHTTP(w, r) }

// Stats returns the transport layer's counters.
func (s *Server) Stats() engine.Stats { return s.engine.Stats() }

// Count returns the number of open connections.
func (s *Server) Count() int { return s.engine.Stats().Open }

// Close closes all connections with a reason for which clients reconnect, and returns when queued data was sent or ctx ends. It sends
// no DISCONNECT packet: after one, official clients do not reconnect.
func (s *Server) Close(ctx context.Context) error { return s.engine.Close(ctx, engine.ClosedRestart) }
