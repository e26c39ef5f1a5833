// Package handlers holds the edges of the server: each handler reads its input, calls chat or auth, writes the answer, and
// returns an error instead of rendering one.
package handlers

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"sohbet/models"
	"sohbet/server/audit"
	"sohbet/server/auth"
	"sohbet/server/chat"
	"sohbet/server/cluster"
	"sohbet/server/disk"
	"sohbet/server/engine"
	"sohbet/server/media"
	"sohbet/server/metrics"
	"sohbet/server/push"
	"sohbet/server/telegram"
)

// Options are the parts that the HTTP handlers use.
type Options struct {
	Chat     *chat.Service
	Store    *models.Store
	Sessions *auth.Sessions
	Known    *auth.Known
	Codes    *auth.Codes
	CSRF     *auth.CSRF
	Password *auth.Password

	Media *media.Service

	LoginLimit  *auth.Limiter
	APILimit    auth.Tiers
	UploadLimit auth.Tiers
	UploadStall time.Duration              // how long an upload may bring nothing; 0 = half a minute
	Address     func(*http.Request) string // the caller's address
	Pages       auth.Origins               // which pages a request may come from
	Refusals    *auth.Refusals             // those that were refused
	PublicURL   string                     // this server's address for browsers; "" = not known
	Base        string                     // its path, without the slash at its end; "" = the root
	Sockets     func() engine.Stats
	Numbers     *metrics.Metrics
	Audit       *audit.Log

	Push          *push.Service
	Brand         Brand
	Zone          *time.Location   // where the shop is
	AgentName     string           // subject of sessions that need no password
	CodeVia       string           // "log" or "telegram": where codes arrive
	Bridge        Bridge           // to Telegram; nil without a bot
	Cluster       *cluster.Cluster // nil without REDIS_URL
	MetricsToken  string           // "" = agents alone
	DoctorTokens  []string         // with which the doctor's command reads what agents do
	Locale        string           // language of pages for browsers that ask for none
	Origins       []string         // other sites that may embed the chat page
	MediaOrigins  []string         // where pictures and sound may come from besides this server
	UploadOrigins []string         // where pages may send files besides this server
	Disk          *disk.Space      // of the data folder
	Version       string
	Environment   string // what /health reports: "production", "development" or the platform's word

	Log      *slog.Logger
	LogLevel *slog.LevelVar // Log's, which agents may change
	Now      func() time.Time
}

// Bridge is the bridge to Telegram, which takes updates at the webhook.
type Bridge interface {
	http.Handler
	Health(context.Context) telegram.Health
	Reconnect()
}

// API has the handlers of all HTTP routes.
type API struct {
	Options
	log     *slog.Logger
	now     func() time.Time
	policy  policies
	health  *health
	history metrics.History
	uploads uploads

	repairing sync.Mutex // held by the repair that runs
}

// New makes the handlers.
func New(o Options) *API {
	a := &API{Options: o, log: o.Log, now: o.Now, policy: newPolicies(o.Origins, o.MediaOrigins, o.UploadOrigins, o.Brand.origins())}
	a.health = newHealth(a)
	a.register(o.Numbers)
	return a
}

// RequestID gives the identifier under which the request is logged; it is also in the answer's X-Request-ID.
func RequestID(c echo.Context) string { return c.Response().Header().Get(echo.HeaderXRequestID) }

// agent reports who is signed in. A page of another site is nobody's agent, unless it shows the token of one of our pages,
// which means that a proxy changed the request's host.
func (a *API) agent(c echo.Context) (auth.Session, bool) {
	r := c.Request()
	if a.Pages.Downgraded(r) || a.Pages.Foreign(r) && !a.CSRF.Valid(r) {
		return auth.Session{}, false
	}
	return a.Sessions.FromRequest(r)
}

// ownOrigin is the origin of a request's page where that is certainly one of ours, else "".
func (a *API) ownOrigin(r *http.Request) string {
	if a.Pages.Foreign(r) && !a.CSRF.Valid(r) {
		return ""
	}
	return r.Header.Get("Origin")
}

// AgentsOnly lets signed-in agents through.
func (a *API) AgentsOnly(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if _, ok := a.agent(c); !ok {
			return errUnauthorized
		}
		return next(c)
	}
}

// LimitAPI applies RATE_LIMIT_API.
func (a *API) LimitAPI(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if ok, wait := a.APILimit.Allow("", auth.AddressKey(a.Address(c.Request()))); !ok {
			return tooMany(wait)
		}
		return next(c)
	}
}

// bearer gives the token of the Authorization header (RFC 6750 §2.1), "" for none.
func bearer(r *http.Request) string {
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// decode reads a JSON or form body into v. A body without Content-Type is taken for JSON; no body at all leaves v as it is.
func decode(c echo.Context, v any) error {
	r := c.Request()
	if r.ContentLength == 0 {
		return nil
	}
	if r.Header.Get(echo.HeaderContentType) == "" {
		r.Header.Set(echo.HeaderContentType, echo.MIMEApplicationJSON)
	}
	if err := (&echo.DefaultBinder{}).BindBody(c, v); err != nil {
		if e := asError(err); e.Status != http.StatusBadRequest {
			return e
		}
		return invalid("The body is not a valid JSON object of the expected form.")
	}
	return nil
}
