package server

import (
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"regexp"
	"runtime/debug"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"

	"sohbet/handlers"
	"sohbet/server/auth"
	"sohbet/server/logging"
)

var plainID = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)

// observe is the outermost middleware: it sets the request id, renders errors, and logs and counts the outcome. It logs the route and
// never the path or query, which may contain a thread id.
func (s *Server) observe(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		start := time.Now()
		r, w := c.Request(), c.Response()
		id := r.Header.Get(echo.HeaderXRequestID)
		if !plainID.MatchString(id) {
			id = rand.Text()
		}
		w.Header().Set(echo.HeaderXRequestID, id)
		r = r.WithContext(logging.WithRequest(r.Context(), id))
		c.SetRequest(r)
		if err := next(c); err != nil {
			c.Error(err)
		}
		took := time.Since(start)
		s.warnOfProxy(r)
		s.api.Observe(c, w.Status, took)
		route := c.Path()
		if route == "" {
			route = "none"
		}
		s.log.LogAttrs(r.Context(), requestLevel(route, w.Status), "request", slog.String("method", r.Method),
			slog.String("route", route), slog.Int("status", w.Status), slog.Float64("ms", float64(took.Microseconds())/1000),
			slog.Int64("bytes", w.Size), slog.String("address", s.address(r)))
		return nil
	}
}

// warnOfProxy logs once that requests come through an untrusted proxy on a private network: then all visitors appear to have one
// address, and share its limits and blocks.
func (s *Server) warnOfProxy(r *http.Request) {
	if len(r.Header.Values(echo.HeaderXForwardedFor)) == 0 {
		return
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return
	}
	if ip := peer.Addr().Unmap(); (ip.IsPrivate() || ip.IsLoopback()) && s.address(r) == ip.String() {
		s.proxyWarning.Do(func() {
			s.log.Warn("requests come through a proxy that TRUSTED_PROXIES does not name, or that does not set CLIENT_ADDRESS_HEADER: all visitors count as one address", "proxy", ip.String())
		})
	}
}

// requestLevel returns the log level of a request: frequent, unimportant requests are below the default level.
func requestLevel(route string, status int) slog.Level {
	switch {
	case status >= 500 && !strings.HasPrefix(route, "/health"):
		return slog.LevelError
	case strings.HasPrefix(route, "/health"), strings.HasPrefix(route, "/static"), strings.HasPrefix(route, "/favicon"), strings.HasPrefix(route, "/icon-"),
		route == "/metrics", route == "none":
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

// recovered turns a panic into an error and logs its stack. It passes on http.ErrAbortHandler, which aborts the connection on purpose.
func (s *Server) recovered(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		defer func() {
			v := recover()
			if v == nil {
				return
			}
			if e, ok := v.(error); ok && errors.Is(e, http.ErrAbortHandler) {
				panic(v)
			}
			s.log.LogAttrs(c.Request().Context(), slog.LevelError, "panic in handler", slog.String("route", c.Path()),
				slog.String("stack", string(debug.Stack())))
			err = fmt.Errorf("panic: %v", v)
		}()
		return next(c)
	}
}

// headers sets the headers of every response, on routes and sockets. Pages replace the Content-Security-Policy.
func (s *Server) headers(h http.Header, r *http.Request) {
	h.Set("Content-Security-Policy", handlers.BarePolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(self), payment=(), usb=(), browsing-topics=()")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	if s.https(r) {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

// sameSite refuses state-changing requests that another site made a browser send, based on Sec-Fetch-Site or Origin. A valid CSRF token
// is accepted if the origin cannot be matched; it is never required. Without Sec-Fetch-Site, CrossOriginProtection only compares Origin
// with Host; this middleware also accepts the other configured origins, and refuses pages loaded over plain HTTP.
func (s *Server) sameSite(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		if err := s.crossOrigin.Check(r); err != nil && !s.pages.Listed(r) && !(r.Header.Get("Sec-Fetch-Site") == "" && s.pages.Own(r)) && !s.csrf.Valid(r) {
			s.refusals.Note(r)
			return handlers.CrossSite(err)
		}
		if s.pages.Downgraded(r) && r.Method != http.MethodGet && r.Method != http.MethodHead && r.Method != http.MethodOptions {
			return handlers.CrossSite(errors.New("the page came over plain HTTP"))
		}
		return next(c)
	}
}

// readable refuses URLs with bytes that databases cannot store as text: NUL and invalid UTF-8. Pages accept any query, because links on
// other sites add their own.
func readable(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if path := c.Request().URL.Path; !utf8.ValidString(path) || strings.IndexByte(path, 0) >= 0 {
			return echo.ErrNotFound
		}
		if !strings.HasPrefix(c.Request().URL.Path, "/api/") {
			return next(c)
		}
		if err := handlers.CheckQuery(c.QueryParams()); err != nil {
			return err
		}
		return next(c)
	}
}

// cors allows pages of CORS_ORIGINS to read API responses. Cookies are not accepted from them, so such a page cannot act as an agent.
func cors(pages auth.Origins) echo.MiddlewareFunc {
	return middleware.CORSWithConfig(middleware.CORSConfig{
		Skipper:         func(c echo.Context) bool { return !strings.HasPrefix(c.Request().URL.Path, "/api/") || !pages.Sites() },
		AllowOriginFunc: func(origin string) (bool, error) { return pages.Lists(origin), nil },
		AllowMethods:    []string{http.MethodGet, http.MethodHead, http.MethodPost},
		AllowHeaders:    []string{echo.HeaderAuthorization, echo.HeaderContentType, echo.HeaderXRequestedWith, "X-CSRF-Token", "X-CSRFToken"},
		ExposeHeaders:   []string{echo.HeaderRetryAfter, echo.HeaderXRequestID},
		MaxAge:          600,
	})
}
