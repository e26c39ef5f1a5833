package handlers

import (
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"sohbet/models"
	"sohbet/server/audit"
	"sohbet/server/auth"
)

// oidcProblems are the texts of the sign-in page, section "login", for problems of signing in at a provider.
var oidcProblems = map[string]bool{"oidc_unreachable": true, "oidc_refused": true, "oidc_expired": true, "oidc_unverified": true, "oidc_unknown": true, "wait_some": true}

// loginProblem redirects to the sign-in page, which shows a problem.
func (a *API) loginProblem(c echo.Context, problem string) error {
	c.Response().Header().Set("Cache-Control", "no-store")
	return c.Redirect(http.StatusFound, a.Base+"/login?problem="+problem)
}

// BeginOIDC sends the browser to the OpenID Connect provider.
func (a *API) BeginOIDC(c echo.Context) error {
	if a.OIDC == nil {
		return echo.ErrNotFound
	}
	to, err := a.OIDC.Begin(c.Response(), c.Request())
	if errors.Is(err, auth.ErrOIDCUnreachable) {
		return a.loginProblem(c, "oidc_unreachable")
	}
	if err != nil {
		return err
	}
	c.Response().Header().Set("Cache-Control", "no-store")
	return c.Redirect(http.StatusFound, to)
}

// FinishOIDC signs in the agent with the verified e-mail address of who comes back from the provider, which takes the place of the
// password and the code.
func (a *API) FinishOIDC(c echo.Context) error {
	if a.OIDC == nil {
		return echo.ErrNotFound
	}
	if ok, _ := a.LoginLimit.Allow("oidc " + a.loginKey(c)); !ok {
		a.security(c, audit.OIDC, "", audit.Limited)
		return a.loginProblem(c, "wait_some")
	}
	email, err := a.OIDC.Finish(c.Response(), c.Request())
	who, found := models.Agent{}, false
	if err == nil {
		who, found = a.Store.FindAgent(email)
	}
	problem, outcome := "", audit.Wrong
	switch {
	case errors.Is(err, auth.ErrOIDCUnreachable):
		problem, outcome = "oidc_unreachable", audit.Failed
	case errors.Is(err, auth.ErrOIDCExpired):
		problem, outcome = "oidc_expired", audit.None
	case errors.Is(err, auth.ErrOIDCUnverified):
		problem = "oidc_unverified"
	case errors.Is(err, auth.ErrOIDCRefused):
		problem = "oidc_refused"
	case err != nil:
		return err
	case !found: // or disabled
		problem = "oidc_unknown"
	}
	if problem != "" {
		a.security(c, audit.OIDC, "", outcome)
		if err != nil && problem != "oidc_expired" {
			a.log.WarnContext(c.Request().Context(), "sign-in at the OpenID Connect provider failed", "error", err)
		}
		return a.loginProblem(c, problem)
	}
	if err := a.startSession(c, who); err != nil {
		return err
	}
	c.Response().Header().Set("Cache-Control", "no-store")
	return c.Redirect(http.StatusFound, a.Base+"/admin")
}
