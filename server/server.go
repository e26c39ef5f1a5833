// Package server is the running process: Echo with its middleware and routes, start and graceful stop.
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

// Time limits. Sockets keep their own, since a long poll or a websocket has no natural end.
const (
	headerTimeout = 10 * time.Second
	readTimeout   = 30 * time.Second // a whole request outside /socket.io/
	writeTimeout  = 60 * time.Second // its answer
	idleTimeout   = 2 * time.Minute
	maxHeaders    = 16 << 10
	stopTimeout   = 8 * time.Second // platforms kill after ten
)

// Sockets is the Socket.IO server.
type Sockets interface {
	http.Handler
	// Close ends all connections in a way that makes clients come back, and refuses new ones.
	Close(ctx context.Context) error
}

// Options are the parts that the server puts together.
type Options struct {
	Host    string // "" = all addresses
	Port    int    // 0 = any free port
	API     *handlers.API
	Sockets Sockets
	CSRF    *auth.CSRF
	Address func(*http.Request) string
	HTTPS   func(*http.Request) bool
	// Connections is how many connections one address may have, except TrustedProxies; 0 is no bound.
	Connections    int
	TrustedProxies []netip.Prefix
	Origins        []string // other sites that may call this server from browsers
	Pages          auth.Origins
	Refusals       *auth.Refusals
	Base           string // the path that everything is served below, without the slash at its end; "" = the root
	Log            *slog.Logger
}

// Server answers HTTP.
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

// New puts the server together; it does not listen yet.
func New(o Options) (*Server, error) {
	s := &Server{
		api: o.API, sockets: o.Sockets, csrf: o.CSRF, address: o.Address, https: o.HTTPS, pages: o.Pages, refusals: o.Refusals, base: o.Base, log: o.Log, host: o.Host, port: o.Port,
		crossOrigin: http.NewCrossOriginProtection(), echo: echo.New(),
	}
	for _, origin := range o.Origins {
		if err := s.crossOrigin.AddTrustedOrigin(origin); err != nil {
			return nil, fmt.Errorf("CORS_ORIGINS: %w", err)
		}
	}
	e := s.echo
	e.HideBanner, e.HidePort = true, true
	e.IPExtractor = o.Address
	e.HTTPErrorHandler = o.API.RenderError
	e.Use(s.observe, s.recovered, readable)
	if len(o.Origins) > 0 {
		e.Use(cors(o.Origins))
	}
	e.Use(s.sameSite)
	routes(e, o.API)

	s.http = &http.Server{
		ConnState: newConnections(o.Connections, o.TrustedProxies).changed,
		Handler:   s, ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaders,
		ErrorLog: logging.Lines(o.Log, "HTTP server"),
	}
	return s, nil
}

// ServeHTTP sends socket traffic to the Socket.IO server and the rest to the routes. Deadlines are set for each request,
// because on one connection a page may be followed by a long poll, which must not inherit them.
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
		_ = deadlines.SetWriteDeadline(time.Time{}) // not supported under test recorders, which block nobody
		s.sockets.ServeHTTP(w, r)
		return
	}
	now := time.Now()
	_ = deadlines.SetReadDeadline(now.Add(readTimeout)) // likewise
	_ = deadlines.SetWriteDeadline(now.Add(writeTimeout))
	s.echo.ServeHTTP(w, r)
}

// below is the request without the path that everything is served below. One that comes without it, from a proxy that cuts it off
// or from a platform that asks for /health, stays as it is.
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

// Listen opens the port, or tells at once why it cannot. It returns the address for a browser on this machine.
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

// Serve answers until ctx ends, and then stops in the reverse order of the start: no more new traffic, sockets closed so that
// their clients reconnect elsewhere, requests that are being answered finished. The store is the caller's to close.
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
	// ctx has ended, but what is stopped still needs time.
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	closed := s.listener.Close()
	if errors.Is(closed, net.ErrClosed) {
		closed = nil
	}
	<-failed // the accept loop has ended
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

// Routes lists what is registered as "METHOD /path", without what goes to the sockets.
func (s *Server) Routes() []string {
	var list []string
	for _, r := range s.echo.Routes() {
		list = append(list, r.Method+" "+r.Path)
	}
	slices.Sort(list)
	return list
}
