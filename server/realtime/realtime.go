// Package realtime is the Socket.IO v4 server: sockets with ordered events, rooms, and publishing to them.
//
// github.com/zishang520/socket.io/v2 does the protocol work (namespaces, CONNECT, dispatch, acks); package engine
// carries the bytes. What this package adds is what the library does not promise: a socket's events are handled one
// after the other in the order in which they were sent, and an event published to rooms is encoded once and queued to
// every member in the same order.
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

// Options configure a [Server]. The zero value works.
type Options struct {
	// Engine configures the transport layer.
	Engine engine.Options
	// ConnectTimeout closes a connection that joins no namespace in time; 45 s when zero.
	ConnectTimeout time.Duration
	// Allow is asked before a client may join or leave a namespace; false closes its connection. Nil allows everything.
	Allow func(*engine.Conn) bool
	// Identify takes from the request that opened a connection what its sockets need to know of the client
	// ([Socket.Client]), since the request itself is not kept. It runs once for a connection, before its first socket.
	Identify func(*http.Request) any
	// Watch hears which rooms have members; nil for nobody.
	Watch Watch
	// Logger receives panics of event handlers. Nil logs nothing.
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

// Handler is called with each new socket before the first event of its client is read. It sets the socket's OnEvent and
// OnClose; what it emits arrives right behind the CONNECT answer.
type Handler func(*Socket)

// New makes a server.
func New(o Options) *Server {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.ConnectTimeout <= 0 {
		o.ConnectTimeout = 45 * time.Second
	}
	s := &Server{engine: engine.New(o.Engine), log: o.Logger, allow: o.Allow, identify: o.Identify, namespaces: make(map[string]struct{})}
	s.rooms.byName, s.rooms.watch = make(map[string]*room), o.Watch

	settings := socket.DefaultServerOptions()
	settings.SetParser(wireParser{})
	settings.SetAdapter(&adapterBuilder{srv: s})
	settings.SetConnectTimeout(o.ConnectTimeout)
	settings.SetServeClient(false)
	s.io = socket.NewServer(nil, settings)

	s.engine.OnConnect(func(c *engine.Conn) {
		c.SetUser(&gate{srv: s, conn: c, step: make(chan step)})
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
	defer g.pass(step{})
	so := &Socket{srv: s, lib: lib, conn: conn, namespace: namespace, gone: make(chan struct{})}
	lib.SetData(so)
	lib.Handshake().Headers, lib.Handshake().Query = nil, nil // empty for us (engine.Conn.Request), but still maps
	g.add(so)
	lib.Use(func(event []any, _ func(error)) {
		// This is where an event is taken. The library's own dispatch behind it would start another goroutine.
		g.pass(step{so, event})
	})
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
		// The connection may have ended before the library knew of this socket, and would then never tell it.
		lib.Disconnect(false)
	}
	if !lib.Connected() {
		once.Do(func() {
			g.remove(so)
			so.closed("transport close")
		})
	}
}

// protect keeps a panic of a handler from ending the process. The connection is closed, so that a client that provokes the
// panic cannot go on doing so.
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

// Count is the number of open connections.
func (s *Server) Count() int { return s.engine.Stats().Open }

// Close ends all connections with a reason that makes clients come back, and returns when what was queued has left or
// ctx ends. It sends no DISCONNECT packet: after one, official clients do not reconnect by themselves.
func (s *Server) Close(ctx context.Context) error { return s.engine.Close(ctx, engine.ClosedRestart) }
