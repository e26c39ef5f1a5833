// Package handlers contains the HTTP and socket handlers: each reads its input, calls chat or auth, writes the response, and returns
// errors instead of rendering them.
package handlers

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"

	"sohbet/models"
	"sohbet/server/agents"
	"sohbet/server/apperr"
	"sohbet/server/audit"
	"sohbet/server/auth"
	"sohbet/server/chat"
	"sohbet/server/disk"
	"sohbet/server/engine"
	"sohbet/server/liveconfig"
	"sohbet/server/media"
	"sohbet/server/metrics"
	"sohbet/server/push"
	"sohbet/server/telegram"
)

// Options are the dependencies and settings of the HTTP handlers.
type Options struct {
	Chat            *chat.Service
	Store           *models.Store
	Sessions        *auth.Sessions
	TrustedBrowsers *auth.TrustedBrowsers
	Codes           *auth.Codes
	SecondFactor    *auth.SecondFactor
	Passkeys        *auth.Passkeys
	OIDC            *auth.OIDC // nil without a provider
	CSRF            *auth.CSRF
	Agents          *agents.Service

	Media *media.Service

	LoginLimit  *auth.Limiter
	APILimit    auth.Tiers
	UploadLimit auth.Tiers
	UploadStall time.Duration              // how long an upload may make no progress; 0 = 30 s
	Address     func(*http.Request) string // the client's address
	Pages       auth.Origins               // the origins that requests may come from
	Refusals    *auth.Refusals             // records requests refused because of their origin
	PublicURL   string                     // this server's URL for browsers; "" = unknown
	Base        string                     // its path, without a trailing slash; "" = the root
	Sockets     func() engine.Stats
	Numbers     *metrics.Metrics
	Audit       *audit.Log

	Push          *push.Service
	Look          Look
	Settings      *liveconfig.Service
	CodeVia       string // where sign-in codes are sent: "log" or "telegram"
	Bridge        Bridge // nil without a Telegram bot
	Broker        Broker
	DoctorTokens  []string    // tokens with which `sohbet doctor` reads the endpoints for agents
	MediaOrigins  []string    // origins from which pages may load images and audio, besides this server
	UploadOrigins []string    // origins to which pages may upload files, besides this server
	Disk          *disk.Space // disk space of the data folder
	Version       string
	Environment   string // reported by /health: "production", "development" or the name of the hosting platform

	Log      *slog.Logger
	LogLevel *slog.LevelVar // level of Log, which agents may change
	Now      func() time.Time
}

// Bridge is the Telegram bridge. It handles updates at the webhook.
type Bridge interface {
	http.Handler
	Health(context.Context) telegram.Health
	Reconnect()
}

// API contains the handlers of all HTTP routes.
type API struct {
	Options
	log     *slog.Logger
	now     func() time.Time
	look    atomic.Pointer[look]
	health  *health
	history metrics.History
	uploads uploads

	repairing sync.Mutex // held while a repair is running
}

// New returns the handlers.
func New(o Options) *API {
	a := &API{Options: o, log: o.Log, now: o.Now}
	a.SetLook(o.Look)
	a.health = newHealth(a)
	a.register(o.Numbers)
	return a
}

// RequestID returns the id with which the request is logged; it is also in the response's X-Request-ID header.
func RequestID(c echo.Context) string { return c.Response().Header().Get(echo.HeaderXRequestID) }

// agent returns the session of a signed-in agent. Requests from pages of other origins are not accepted, unless they carry a valid CSRF
// token of this server, which means that a proxy changed the Host header.
func (a *API) agent(c echo.Context) (auth.Session, bool) {
	r := c.Request()
	if a.Pages.Downgraded(r) || a.Pages.Foreign(r) && !a.CSRF.Valid(r) {
		return auth.Session{}, false
	}
	return a.Sessions.FromRequest(r)
}

// ownOrigin returns the Origin of a request if it is certainly one of this server's pages, otherwise "".
func (a *API) ownOrigin(r *http.Request) string {
	if a.Pages.Foreign(r) && !a.CSRF.Valid(r) {
		return ""
	}
	return r.Header.Get("Origin")
}

// AgentsOnly is middleware that allows only signed-in agents.
func (a *API) AgentsOnly(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if _, ok := a.agent(c); !ok {
			return errUnauthorized
		}
		return next(c)
	}
}

// OwnersOnly is middleware that allows only signed-in owners.
func (a *API) OwnersOnly(next echo.HandlerFunc) echo.HandlerFunc {
	return a.AgentsOnly(func(c echo.Context) error {
		if !a.agentActor(c).Owner {
			return apperr.Unauthorized("Only an owner can do this.")
		}
		return next(c)
	})
}

// LimitAPI is middleware that applies RATE_LIMIT_API.
func (a *API) LimitAPI(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if ok, wait := a.APILimit.Allow("", auth.AddressKey(a.Address(c.Request()))); !ok {
			return tooMany(wait)
		}
		return next(c)
	}
}

// bearer returns the token of the Authorization header (RFC 6750 §2.1), or "".
func bearer(r *http.Request) string {
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// decode reads a JSON or form body into v. A body without Content-Type is parsed as JSON; an empty body leaves v unchanged.
func decode(c echo.Context, v any) error {
	r := c.Request()
	if r.ContentLength == 0 {
		return nil
	}
	if r.Header.Get(echo.HeaderContentType) == "" {
		r.Header.Set(echo.HeaderContentType, echo.MIMEApplicationJSON)
	}
	var faults []textFault
	if strings.HasPrefix(r.Header.Get(echo.HeaderContentType), echo.MIMEApplicationJSON) {
		raw, err := io.ReadAll(r.Body)
		if err != nil {
			return asError(err)
		}
		if json.Valid(raw) {
			faults, raw = jsonFaults(raw)
		}
		r.Body = io.NopCloser(bytes.NewReader(raw))
	}
	if err := (&echo.DefaultBinder{}).BindBody(c, v); err != nil {
		if e := asError(err); e.Status != http.StatusBadRequest || e.Field != "" {
			return e
		}
		return wrongType(err, "The body is not a valid JSON object of the expected form.")
	}
	if len(faults) > 0 {
		return faults[0].err()
	}
	return checkValues(r.PostForm) // filled by BindBody, also from a multipart form
}

// security writes an entry to the audit log: the event, the agent whose act it was, by name, "" = unknown, and the outcome.
func (a *API) security(c echo.Context, event, actor, outcome string) {
	who, _ := a.Store.FindAgent(actor) // names are unique
	a.record(c, audit.Event{Name: event, Actor: actor, AgentID: models.AgentID(who.ID), Outcome: outcome})
}

// record writes an entry to the audit log, with what is known of the client.
func (a *API) record(c echo.Context, e audit.Event) {
	r := c.Request()
	browser, platform := client(r.UserAgent())
	e.Address, e.Browser, e.Request = a.Address(r), strings.TrimSpace(browser+" "+platform), RequestID(c)
	a.Audit.Write(r.Context(), e)
}

// acted writes what a signed-in agent did to the audit log.
func (a *API) acted(c echo.Context, e audit.Event) {
	who := a.account(c)
	e.Actor, e.AgentID, e.Outcome = who.Name, models.AgentID(who.ID), audit.OK
	a.record(c, e)
}

// ok responds 200 with v, not cacheable.
func ok(c echo.Context, v any) error {
	c.Response().Header().Set("Cache-Control", "no-store")
	return c.JSON(http.StatusOK, v)
}

// stamp formats a time for the wire: RFC 3339, UTC, milliseconds.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
