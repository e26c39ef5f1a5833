// Package realtime is a Socket.IO v4 server: sockets with ordered events, rooms, and publishing to rooms.
//
// github.com/zishang520/socket.io/v2 answers clients that connect; package engine is the transport. This package does what follows: a
// socket's events are handled one at a time in the order in which they were sent, and an event published to rooms is encoded once and
// queued to all members in the same order.
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
	engine  *engine.Server
	io      *socket.Server
	library library
	log     *slog.Logger
	rooms   rooms

	allow          func(*engine.Conn) bool
	identify       func(*http.Request) any
	connectTimeout time.Duration

	mu         sync.RWMutex
	namespaces map[string]namespace
}

type namespace struct {
	name    string
	handler Handler
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
	s := &Server{
		engine: engine.New(o.Engine), log: o.Logger, allow: o.Allow, identify: o.Identify, connectTimeout: o.ConnectTimeout,
		namespaces: make(map[string]namespace),
	}
	s.rooms.byName = make(map[string]*room)

	settings := socket.DefaultServerOptions()
	settings.SetParser(wireParser{})
	settings.SetAdapter(adapterBuilder{})
	settings.SetConnectTimeout(o.ConnectTimeout)
	settings.SetServeClient(false)
	s.io = socket.NewServer(nil, settings)
	s.io.Bind(&s.library)
	s.Namespace("/", nil) // the library always has it

	s.engine.OnConnect(s.accept)
	return s
}

// OnConnect sets the handler of the default namespace.
func (s *Server) OnConnect(fn Handler) { s.Namespace("/", fn) }

// Namespace sets the handler of a namespace, which begins with "/". Call it before serving.
func (s *Server) Namespace(name string, fn Handler) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.namespaces[name]; !ok {
		_ = s.io.Of(name, nil).On("connection", func(args ...any) {
			so := args[0].(*socket.Socket)
			so.Conn().(*handshake).connected(so)
		})
	}
	s.namespaces[name] = namespace{name, fn}
}

func (s *Server) namespace(name string) (string, Handler) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	n := s.namespaces[name]
	return n.name, n.handler // its own name, because the argument may be part of a larger message
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
