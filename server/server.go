// Package server contains the HTTP server: Echo with its middleware and routes, start and graceful shutdown.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/labstack/echo/v4"

	"sohbet/handlers"
	"sohbet/server/auth"
	"sohbet/server/logging"
)

// Timeouts. Sockets have their own, because long polls and websockets are open-ended.
const (
	headerTimeout = 10 * time.Second
	readTimeout   = 30 * time.Second // for reading a whole request outside /socket.io/
	writeTimeout  = 60 * time.Second // for writing its response
	idleTimeout   = 2 * time.Minute
	maxHeaders    = 16 << 10
	stopTimeout   = 8 * time.Second // hosting platforms kill the process after ten seconds
)

// Sockets is the Socket.IO server.
type Sockets interface {
	http.Handler
	// Close ends all connections such that clients reconnect, and refuses new ones.
	Close(ctx context.Context) error
}

// Options are the dependencies and settings of a [Server].
type Options struct {
	Host    string // "" = all interfaces
	Port    int    // 0 = any free port
	API     *handlers.API
	Sockets Sockets
	CSRF    *auth.CSRF
	Address func(*http.Request) string
	HTTPS   func(*http.Request) bool
	// Connections is the maximum number of connections per address, not applied to TrustedProxies; 0 is unlimited.
	Connections    int
	TrustedProxies []netip.Prefix
	Pages          auth.Origins
	Refusals       *auth.Refusals
	Base           string // URL path prefix of all routes, without a trailing slash; "" = the root
	Log            *slog.Logger
}

// Server is the HTTP server.
type Server struct {
	api          *handlers.API
	sockets      Sockets
	csrf         *auth.CSRF
	address      func(*http.Request) string
	https        func(*http.Request) bool
	pages        auth.Origins
	refusals     *auth.Refusals
	base         string
	crossOrigin  *http.CrossOriginProtection
	proxyWarning sync.Once
	log          *slog.Logger

	host     string
	port     int
	echo     *echo.Echo
	http     *http.Server
	listener net.Listener
}

// New returns a server, which does not listen yet.
func New(o Options) (*Server, error) {
	s := &Server{
		api: o.API, sockets: o.Sockets, csrf: o.CSRF, address: o.Address, https: o.HTTPS, pages: o.Pages, refusals: o.Refusals, base: o.Base, log: o.Log, host: o.Host, port: o.Port,
		crossOrigin: http.NewCrossOriginProtection(), echo: echo.New(),
	}
	e := s.echo
	e.HideBanner, e.HidePort = true, true
	e.IPExtractor = o.Address
	e.HTTPErrorHandler = o.API.RenderError
	e.Use(s.observe, s.recovered, readable, cors(o.Pages), s.sameSite)
	routes(e, o.API)

	s.http = &http.Server{
		ConnState: newConnections(o.Connections, o.TrustedProxies).changed,
		Handler:   s, ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaders,
		ErrorLog: logging.Lines(o.Log, "HTTP server"),
	}
	return s, nil
}

// ServeHTTP passes socket traffic to the Socket.IO server and the rest to the routes. Deadlines are set per request, because a page and
// a long poll may share one connection, and a long poll must not inherit them.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.headers(w.Header(), r)
	if r.URL.Path == s.base && s.base != "" {
		to := url.URL{Path: s.base + "/", RawQuery: r.URL.RawQuery}
		http.Redirect(w, r, to.String(), http.StatusFound)
		return
	}
	r = below(s.base, r)
	deadlines := http.NewResponseController(w)
	if isSocket(r.URL.Path) {
		_ = deadlines.SetWriteDeadline(time.Time{}) // not supported by test recorders, which never block
		s.sockets.ServeHTTP(w, r)
		return
	}
	now := time.Now()
	_ = deadlines.SetReadDeadline(now.Add(readTimeout)) // not supported by test recorders
	_ = deadlines.SetWriteDeadline(now.Add(writeTimeout))
	s.echo.ServeHTTP(w, r)
}

// below removes the base path from a request. A request without it, from a proxy that strips it or a platform that probes /health, is
// returned unchanged.
func below(base string, r *http.Request) *http.Request {
	path, found := strings.CutPrefix(r.URL.Path, base+"/")
	if base == "" || !found {
		return r
	}
	inner := *r
	inner.URL = new(url.URL)
	*inner.URL = *r.URL
	inner.URL.Path = "/" + path
	if raw, ok := strings.CutPrefix(r.URL.RawPath, base+"/"); ok {
		inner.URL.RawPath = "/" + raw
	}
	return &inner
}

// Listen opens the port, and returns the URL for a browser on this machine.
func (s *Server) Listen(ctx context.Context) (address string, err error) {
	s.listener, err = listen(ctx, net.JoinHostPort(s.host, strconv.Itoa(s.port)))
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return "", fmt.Errorf("PORT holds \"%d\": another program listens there; stop it, or choose another port (PORT=%d)", s.port, s.port+1)
	case errors.Is(err, syscall.EACCES):
		return "", fmt.Errorf("PORT holds \"%d\": this user may not listen there; choose a port above 1023", s.port)
	case err != nil:
		return "", fmt.Errorf("HOST holds %q: cannot listen there: %w", s.host, err)
	}
	host, port := s.host, s.listener.Addr().(*net.TCPAddr).Port
	if ip, err := netip.ParseAddr(host); host == "" || (err == nil && ip.IsUnspecified()) {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, strconv.Itoa(port)), nil
}

// Serve serves until ctx ends and then shuts down: it stops accepting connections, closes the sockets so that their clients reconnect
// elsewhere, and waits for requests in progress. Closing the store is left to the caller.
func (s *Server) Serve(ctx context.Context) error {
	failed := make(chan error, 1)
	go func() { failed <- s.http.Serve(s.listener) }()
	s.api.SetReady(true)
	select {
	case err := <-failed:
		s.api.SetReady(false)
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	s.api.SetReady(false)
	s.log.Info("stopping")
	// ctx has ended, but the shutdown still needs time.
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	closed := s.listener.Close()
	if errors.Is(closed, net.ErrClosed) {
		closed = nil
	}
	<-failed // wait for the accept loop to end
	sockets := s.sockets.Close(stopping)
	rest := s.http.Shutdown(stopping)
	if errors.Is(rest, context.DeadlineExceeded) {
		rest = errors.Join(fmt.Errorf("requests were cut off after %s: %w", stopTimeout, rest), s.http.Close())
	}
	if err := errors.Join(closed, sockets, rest); err != nil {
		return fmt.Errorf("stop: %w", err)
	}
	return nil
}

// Routes lists the registered routes as "METHOD /path", without the sockets.
func (s *Server) Routes() []string {
	var list []string
	for _, r := range s.echo.Routes() {
		list = append(list, r.Method+" "+r.Path)
	}
	slices.Sort(list)
	return list
}
