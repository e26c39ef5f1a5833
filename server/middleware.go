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
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"

	"sohbet/handlers"
	"sohbet/server/logging"
)

var plainID = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)

// observe is the outermost middleware: it names the request, has errors rendered, logs and counts the outcome. The log has the
// route and never the path or the query, which may hold a thread id.
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

// warnOfProxy tells once that a proxy nearby forwards requests and is not trusted: then all visitors count as one address, and
// share its limits and blocks.
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

// requestLevel keeps what happens all the time out of the log's usual level.
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

// recovered turns a panic into an error with its stack in the log. http.ErrAbortHandler goes on: it cuts the connection on
// purpose.
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

// headers sets what every answer has, on routes and sockets. Pages replace the policy by their own.
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

// sameSite refuses requests that change something and that another site made a browser send, by Sec-Fetch-Site or Origin. A
// valid CSRF token speaks for a request whose origin cannot be matched; it is never demanded. Where a browser sends no
// Sec-Fetch-Site, CrossOriginProtection compares Origin with Host alone: what else makes a page our own, and that one which came
// over plain HTTP is none, is decided here.
func (s *Server) sameSite(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		if err := s.crossOrigin.Check(r); err != nil && !(r.Header.Get("Sec-Fetch-Site") == "" && s.pages.Own(r)) && !s.csrf.Valid(r) {
			s.refusals.Note(r)
			return handlers.CrossSite(err)
		}
		if s.pages.Downgraded(r) && r.Method != http.MethodGet && r.Method != http.MethodHead && r.Method != http.MethodOptions {
			return handlers.CrossSite(errors.New("the page came over plain HTTP"))
		}
		return next(c)
	}
}

// readable refuses addresses with bytes that no database stores as text: NUL, and what is no UTF-8. Pages take any query, for links
// of other sites bring their own.
func readable(next echo.HandlerFunc) echo.HandlerFunc {
	text := func(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }
	return func(c echo.Context) error {
		if !text(c.Request().URL.Path) {
			return echo.ErrNotFound
		}
		if !strings.HasPrefix(c.Request().URL.Path, "/api/") {
			return next(c)
		}
		for name, values := range c.QueryParams() {
			if !text(name) || slices.ContainsFunc(values, func(v string) bool { return !text(v) }) {
				return handlers.Unreadable()
			}
		}
		return next(c)
	}
}

// cors lets pages of CORS_ORIGINS read answers of the API. Cookies do not count there: such a page is nobody's agent.
func cors(origins []string) echo.MiddlewareFunc {
	return middleware.CORSWithConfig(middleware.CORSConfig{
		Skipper:       func(c echo.Context) bool { return !strings.HasPrefix(c.Request().URL.Path, "/api/") },
		AllowOrigins:  origins,
		AllowMethods:  []string{http.MethodGet, http.MethodHead, http.MethodPost},
		AllowHeaders:  []string{echo.HeaderAuthorization, echo.HeaderContentType, echo.HeaderXRequestedWith, "X-CSRF-Token", "X-CSRFToken"},
		ExposeHeaders: []string{echo.HeaderRetryAfter, echo.HeaderXRequestID},
		MaxAge:        600,
	})
}
