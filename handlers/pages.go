package handlers

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"sohbet/assets"
	"sohbet/models"
	"sohbet/server/audit"
)

// policies are the Content-Security-Policies of the pages. They allow no inline scripts, so injected markup cannot run code.
type policies struct{ visitor, widget, console, agent string }

// BarePolicy is the policy of responses that are not pages: they may not load or run anything.
const BarePolicy = "default-src 'none'; frame-ancestors 'none'"

func newPolicies(origins, media, uploads, pictures []string) policies {
	script := "'self'"
	if !assets.ClientEmbedded() {
		script += " " + assets.ClientCDN
	}
	files := strings.Join(append([]string{"'self'", "blob:"}, media...), " ")
	base := strings.Join([]string{
		"default-src 'none'", "script-src " + script, "style-src 'self'", "img-src data: " + strings.Join(append([]string{files}, pictures...), " "),
		"media-src " + files, "font-src 'self'", "connect-src " + strings.Join(append([]string{"'self'"}, uploads...), " "), "manifest-src 'self'", "worker-src 'self'",
		"base-uri 'none'", "form-action 'self'", "object-src 'none'",
		// Browsers that support Trusted Types refuse to assign plain strings to innerHTML and similar sinks.
		"require-trusted-types-for 'script'", "trusted-types ",
	}, "; ")
	// Pages that register the service worker may create the Trusted Types policy it needs.
	const none, worker, framed = "'none'", assets.WorkerTypes, "; frame-ancestors "
	sites := strings.Join(append([]string{"'self'"}, origins...), " ")
	return policies{
		visitor: base + worker + framed + sites, widget: base + none + framed + sites,
		console: base + worker + framed + none, agent: base + none + framed + none,
	}
}

// page writes a page with its policy. Only the visitor page and the widget may be framed.
func (a *API) page(c echo.Context, status int, name string, data any) error {
	r, h := c.Request(), c.Response().Header()
	now := a.look.Load()
	policy := now.policy.agent
	switch name {
	case "visitor":
		policy = now.policy.visitor
	case "widget":
		policy = now.policy.widget
	case "console":
		policy = now.policy.console
	}
	if name != "visitor" && name != "widget" {
		h.Set("X-Frame-Options", "DENY") // for browsers without frame-ancestors
	}
	h.Set("Content-Security-Policy", policy)
	token := ""
	// The widget gets no CSRF token: browsers store no cookies for third-party frames, and its requests are checked by Sec-Fetch-Site
	// and Origin. The offline page is cached for any user.
	if name != "widget" && name != "offline" {
		token = a.CSRF.Token(c.Response(), r)
	}
	return assets.Page(c.Response(), r, status, name, assets.PageData{
		CSRFToken: token, Base: a.Base, Locale: now.Locale, Version: a.Version,
		Brand: now.Brand.Brand, Team: a.team(), Unnamed: a.unnamed(), Data: data,
	})
}

// unnamed returns the id of the owner made from the settings, if that agent has no name but the one to sign in with.
func (a *API) unnamed() int64 {
	if owner, found := a.Store.Agent(0); found && owner.Unnamed() {
		return owner.ID
	}
	return 0
}

// team returns the team's availability for the initial render of a page.
func (a *API) team() assets.Team {
	now := a.Chat.Team()
	t := assets.Team{Away: now.Away, UsualSeconds: now.UsualSeconds, Hours: now.Hours}
	if now.Until != nil {
		until := stamp(time.Time(*now.Until))
		t.Until = &until
	}
	return t
}

// Offline serves the page that the service worker caches for when there is no connection. It has no CSRF token, because it is cached
// for any user.
func (a *API) Offline(c echo.Context) error { return a.page(c, http.StatusOK, "offline", nil) }

// Home serves the chat page.
func (a *API) Home(c echo.Context) error { return a.page(c, http.StatusOK, "visitor", nil) }

// Widget serves the chat page for a frame on another site.
func (a *API) Widget(c echo.Context) error {
	return a.page(c, http.StatusOK, "widget", assets.WidgetData{Sites: a.look.Load().Sites})
}

// LoginPage serves the agents' sign-in page.
func (a *API) LoginPage(c echo.Context) error {
	d := assets.LoginData{PasswordRequired: a.passwords(), CodeAllowed: a.codeAllowed(), Passkeys: a.passkeys(), CodeVia: a.CodeVia}
	if a.OIDC != nil {
		d.OIDC = a.OIDC.Name()
	}
	d.NoForm = (d.Passkeys || d.OIDC != "") && !d.PasswordRequired && !d.CodeAllowed
	if problem := c.QueryParam("problem"); oidcProblems[problem] {
		d.Problem = "login." + problem
	}
	return a.page(c, http.StatusOK, "login", d)
}

// InvitePage serves the page on which someone accepts an invitation.
func (a *API) InvitePage(c echo.Context) error {
	i, err := a.Store.Invitation(c.Request().Context(), c.Param("token"))
	if errors.Is(err, models.ErrNotFound) {
		return a.page(c, http.StatusNotFound, "invite", assets.InviteData{})
	}
	if err != nil {
		return err
	}
	return a.page(c, http.StatusOK, "invite", assets.InviteData{Valid: true, Email: i.Email})
}

// PasswordPage serves the page on which an agent with a link sets a new password.
func (a *API) PasswordPage(c echo.Context) error {
	i, err := a.Store.PasswordLink(c.Request().Context(), c.Param("token"))
	if err != nil && !errors.Is(err, models.ErrNotFound) {
		return err
	}
	who, _ := a.Store.Agent(int64(i.AgentID))
	if err != nil || !who.Enabled() {
		return a.page(c, http.StatusNotFound, "password", assets.PasswordData{})
	}
	return a.page(c, http.StatusOK, "password", assets.PasswordData{Name: who.Name})
}

// Console serves the agents' page; others are redirected to /login.
func (a *API) Console(c echo.Context) error { return a.agentsPage(c, "console") }

// PeoplePage serves the page of the team and the own account to agents; others are redirected to /login.
func (a *API) PeoplePage(c echo.Context) error {
	return a.agentsPageWith(c, "people", assets.PeopleData{Telegram: a.Bridge != nil})
}

func (a *API) ownersPage(c echo.Context, name string, data any) error {
	if _, ok := a.agent(c); ok && !a.agentActor(c).Owner {
		return errForbidden
	}
	return a.agentsPageWith(c, name, data)
}

func (a *API) agentsPage(c echo.Context, name string) error { return a.agentsPageWith(c, name, nil) }

func (a *API) agentsPageWith(c echo.Context, name string, data any) error {
	if _, ok := a.agent(c); !ok {
		c.Response().Header().Set("Cache-Control", "no-store")
		return c.Redirect(http.StatusFound, a.Base+"/login")
	}
	return a.page(c, http.StatusOK, name, data)
}

// Logout ends the session of this browser on all processes. A request that the browser marks as coming from another site
// (Sec-Fetch-Site) is redirected to the console instead; browsers send that header over HTTPS and to localhost.
func (a *API) Logout(c echo.Context) error {
	c.Response().Header().Set("Cache-Control", "no-store")
	if site := c.Request().Header.Get("Sec-Fetch-Site"); site == "cross-site" || site == "same-site" {
		return c.Redirect(http.StatusFound, a.Base+"/admin")
	}
	s, signedIn := a.agent(c)
	if err := a.Sessions.End(c.Response(), c.Request()); err != nil {
		return err
	}
	if signedIn {
		a.security(c, audit.SignOut, s.Subject, audit.OK)
	}
	return c.Redirect(http.StatusFound, a.Base+"/login")
}

// ClientScript serves the Socket.IO client embedded in the binary, or redirects to the same version on its CDN if the binary was built
// without Node.
func (a *API) ClientScript(c echo.Context) error {
	name := strings.TrimPrefix(c.Request().URL.Path, "/socket.io/")
	// Sites that embed the chat load this script too.
	c.Response().Header().Set("Cross-Origin-Resource-Policy", "cross-origin")
	if h, ok := assets.Client(name); ok {
		h.ServeHTTP(c.Response(), c.Request())
		return nil
	}
	return c.Redirect(http.StatusFound, assets.ClientURL(name))
}

// Static serves /static/*.
func (a *API) Static() echo.HandlerFunc {
	files := assets.Static()
	return func(c echo.Context) error {
		c.Response().Header().Set("Cross-Origin-Resource-Policy", "cross-origin")
		files.ServeHTTP(c.Response(), c.Request())
		return nil
	}
}
