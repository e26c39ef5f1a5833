package handlers

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"sohbet/models"
	"sohbet/server/agents"
	"sohbet/server/apperr"
	"sohbet/server/audit"
	"sohbet/server/auth"
)

// Me responds with the account of the agent.
func (a *API) Me(c echo.Context) error { return ok(c, a.viewAgent(a.account(c))) }

func (a *API) viewAgent(who models.Agent) agents.View {
	return a.Agents.View(who)
}

// ChangeMe changes the account of the agent: {name?, email?, locale?, password?, current_password?}. A new password ends the agent's other
// sessions.
func (a *API) ChangeMe(c echo.Context) error {
	var in struct {
		Name     *string `json:"name" form:"name"`
		Email    *string `json:"email" form:"email"`
		Locale   *string `json:"locale" form:"locale"`
		Password *string `json:"password" form:"password"`
		Current  string  `json:"current_password" form:"current_password"`
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	session, _ := a.agent(c)
	me := a.account(c)
	if in.Password != nil && me.PasswordHash != "" {
		if err := a.checkOwnPassword(c, session, me, in.Current); err != nil {
			return err
		}
	}
	changed, err := a.Agents.Change(c.Request().Context(), me, agents.Change{Name: in.Name, Email: in.Email, Locale: in.Locale, Password: in.Password})
	if err != nil {
		return err
	}
	a.security(c, audit.AccountEdit, changed.Name, audit.OK)
	if in.Password != nil {
		if err := a.issueSession(c, changed, session.Origin); err != nil {
			return err
		}
	}
	return ok(c, a.viewAgent(changed))
}

// checkOwnPassword returns an error unless a signed-in agent entered the present password.
func (a *API) checkOwnPassword(c echo.Context, session auth.Session, me models.Agent, entered string) error {
	if ok, wait := a.LoginLimit.Allow("password " + session.ID); !ok {
		return tooMany(wait)
	}
	right, err := a.Agents.CheckPassword(c.Request().Context(), auth.Attempt{Password: entered, Hash: me.PasswordHash, Browser: session.ID})
	var limited auth.Limited
	switch {
	case errors.As(err, &limited):
		return tooMany(limited.RetryAfter)
	case err != nil:
		return err
	case !right:
		a.security(c, audit.Password, me.Name, audit.Wrong)
		return &apperr.Error{Status: http.StatusForbidden, Code: apperr.CodeWrongPassword, Message: "The current password is wrong."}
	}
	a.LoginLimit.Forget("password " + session.ID)
	return nil
}

// ListAgents responds with an array of all agents.
func (a *API) ListAgents(c echo.Context) error {
	list := []agents.View{}
	for _, who := range a.Store.Agents() {
		list = append(list, a.viewAgent(who))
	}
	return ok(c, list)
}

// UpdateAgent changes an agent: {id, role?, disabled?, name?}.
func (a *API) UpdateAgent(c echo.Context) error {
	var in struct {
		ID       storedID `json:"id" form:"id"`
		Role     *string  `json:"role" form:"role"`
		Disabled *bool    `json:"disabled" form:"disabled"`
		Name     *string  `json:"name" form:"name"`
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	if in.ID == 0 {
		return apperr.Invalid("id", "id is missing.")
	}
	changed, err := a.Agents.Update(c.Request().Context(), int64(in.ID), models.AgentPatch{Role: in.Role, Disabled: in.Disabled, Name: in.Name})
	if err != nil {
		return err
	}
	a.acted(c, audit.Event{Name: audit.AgentChange, AboutAgent: models.AgentID(changed.ID), Detail: changedFields(in.Role, in.Name, in.Disabled)})
	return ok(c, a.viewAgent(changed))
}

// changedFields names what an owner changed of an agent.
func changedFields(role, name *string, disabled *bool) string {
	var list []string
	if role != nil {
		list = append(list, "role")
	}
	if name != nil {
		list = append(list, "name")
	}
	if disabled != nil && *disabled {
		list = append(list, "disabled")
	} else if disabled != nil {
		list = append(list, "enabled")
	}
	return strings.Join(list, ", ")
}

// Invite makes a link with which someone becomes an agent: {role, email?}.
func (a *API) Invite(c echo.Context) error {
	var in struct {
		Role  string `json:"role" form:"role"`
		Email string `json:"email" form:"email"`
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	me := a.account(c)
	token, expires, err := a.Agents.Invite(c.Request().Context(), me, in.Role, in.Email)
	if err != nil {
		return err
	}
	a.security(c, audit.AgentInvite, me.Name, audit.OK)
	return ok(c, linkAnswer{true, a.site(c.Request()) + "/invite/" + token, stamp(expires)})
}

// linkAnswer is the successful response to making a link that works once.
type linkAnswer struct {
	Success   bool   `json:"success"`
	URL       string `json:"url"`
	ExpiresAt string `json:"expires_at"`
}

// LinkPassword makes a link with which an agent sets a new password: {id}.
func (a *API) LinkPassword(c echo.Context) error {
	var in struct {
		ID storedID `json:"id" form:"id"`
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	token, expires, err := a.Agents.LinkPassword(c.Request().Context(), a.account(c), int64(in.ID))
	if err != nil {
		return err
	}
	a.acted(c, audit.Event{Name: audit.PasswordLink, AboutAgent: models.AgentID(in.ID)})
	return ok(c, linkAnswer{true, a.site(c.Request()) + "/password/" + token, stamp(expires)})
}

// SetLinkedPassword sets the new password of the agent of a link, and signs the agent in: {token, password}. An agent with an authenticator
// app enters a code of it next.
func (a *API) SetLinkedPassword(c echo.Context) error {
	var in struct {
		Token    string `json:"token" form:"token"`
		Password string `json:"password" form:"password"`
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	if err := a.limitLogin(c, "join"); err != nil {
		return err
	}
	who, err := a.Agents.SetLinkedPassword(c.Request().Context(), in.Token, in.Password)
	if err != nil {
		return err
	}
	a.security(c, audit.PasswordNew, who.Name, audit.OK)
	if who.TOTPSecret != "" {
		return a.askTOTP(c, who)
	}
	if err := a.startSession(c, who); err != nil {
		return err
	}
	return ok(c, loginAnswer{Success: true, Redirect: a.Base + "/admin"})
}

// site returns the address of this server as the browser of a request knows it, without a trailing slash.
func (a *API) site(r *http.Request) string {
	if a.PublicURL != "" {
		return strings.TrimSuffix(a.PublicURL, "/")
	}
	if origin := a.ownOrigin(r); origin != "" {
		return origin + a.Base
	}
	return "http://" + r.Host + a.Base // a client that is not a browser, without PUBLIC_URL
}

// BeginInvitedPasskey responds with what the browser of someone with an invitation needs to make a passkey: {token, name}.
func (a *API) BeginInvitedPasskey(c echo.Context) error {
	var in struct{ Token, Name string }
	if err := decode(c, &in); err != nil {
		return err
	}
	if err := a.Agents.CheckInvitation(c.Request().Context(), in.Token); err != nil {
		return err
	}
	return a.proposePasskey(c, "invitation "+in.Token, in.Name, nil)
}

// AcceptInvitation makes an agent of someone with an invitation and signs them in: {token, name, email, password}, or with a passkey that
// the browser made instead of the password.
func (a *API) AcceptInvitation(c echo.Context) error {
	var in struct {
		Token    string `json:"token" form:"token"`
		Name     string `json:"name" form:"name"`
		Email    string `json:"email" form:"email"`
		Password string `json:"password" form:"password"`
		Locale   string `json:"locale" form:"locale"`

		Passkey json.RawMessage `json:"passkey"`
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	if err := a.limitLogin(c, "join"); err != nil {
		return err
	}
	guest := agents.Guest{Name: in.Name, Email: in.Email, Password: in.Password, Locale: in.Locale}
	if len(in.Passkey) > 0 {
		made, err := a.madePasskey(c, "invitation "+in.Token, "", in.Passkey)
		if err != nil {
			return err
		}
		guest.Passkey = &made
	}
	who, err := a.Agents.Join(c.Request().Context(), in.Token, guest)
	if err != nil {
		return err
	}
	a.security(c, audit.AgentJoin, who.Name, audit.OK)
	if err := a.startSession(c, who); err != nil {
		return err
	}
	return ok(c, loginAnswer{Success: true, Redirect: a.Base + "/admin"})
}
