package handlers

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"sohbet/models"
	"sohbet/server/apperr"
	"sohbet/server/audit"
	"sohbet/server/auth"
)

// passkeyView is docs/protocol.md, "Passkey object".
type passkeyView struct {
	ID        int64   `json:"id"`
	Name      string  `json:"name"`
	CreatedAt string  `json:"created_at"`
	UsedAt    *string `json:"used_at"`
}

// ListPasskeys responds with an array of the agent's passkeys.
func (a *API) ListPasskeys(c echo.Context) error {
	passkeys, err := a.Store.PasskeysOf(c.Request().Context(), a.account(c).ID)
	if err != nil {
		return err
	}
	list := []passkeyView{}
	for _, p := range passkeys {
		view := passkeyView{ID: p.ID, Name: p.Name, CreatedAt: stamp(p.CreatedAt)}
		if p.UsedAt != nil {
			at := stamp(*p.UsedAt)
			view.UsedAt = &at
		}
		list = append(list, view)
	}
	return ok(c, list)
}

// passkeyFor names the account for which a browser makes a passkey, in its present state.
func passkeyFor(me models.Agent) string {
	return "agent " + strconv.FormatInt(me.ID, 10) + " " + strconv.FormatInt(me.SessionGeneration, 10)
}

// BeginPasskey responds with what the browser needs to make a passkey for the agent.
func (a *API) BeginPasskey(c echo.Context) error {
	me := a.account(c)
	existing, err := a.Store.PasskeysOf(c.Request().Context(), me.ID)
	if err != nil {
		return err
	}
	if len(existing) >= models.MaxPasskeys {
		return &apperr.Error{Status: http.StatusConflict, Code: apperr.CodeConflict, Message: "There are too many passkeys. Remove one first."}
	}
	return a.proposePasskey(c, passkeyFor(me), me.Name, existing)
}

func (a *API) proposePasskey(c echo.Context, who, name string, existing []models.Passkey) error {
	options, err := a.Passkeys.BeginRegistration(c.Response(), c.Request(), a.ownOrigin(c.Request()), who, name, existing)
	if err != nil {
		return passkeyError(err)
	}
	return ok(c, options)
}

// FinishPasskey stores the passkey that the browser made: {credential, name?}.
func (a *API) FinishPasskey(c echo.Context) error {
	var in struct {
		Credential json.RawMessage `json:"credential"`
		Name       string          `json:"name"`
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	me := a.account(c)
	made, err := a.madePasskey(c, passkeyFor(me), in.Name, in.Credential)
	if err != nil {
		return err
	}
	made.AgentID = me.ID
	if _, err := a.Store.AddPasskey(c.Request().Context(), made); err != nil {
		return err
	}
	a.acted(c, audit.Event{Name: audit.PasskeyAdd})
	return ok(c, cleared{Success: true, Message: "You can sign in with this passkey."})
}

// madePasskey checks what a browser made. Without a name the passkey is called after the browser.
func (a *API) madePasskey(c echo.Context, who, name string, credential []byte) (models.Passkey, error) {
	r := c.Request()
	made, err := a.Passkeys.FinishRegistration(c.Response(), r, a.ownOrigin(r), who, credential)
	if err != nil {
		return models.Passkey{}, passkeyError(err)
	}
	if made.Name = strings.TrimSpace(name); made.Name == "" {
		browser, platform := client(r.UserAgent())
		made.Name = strings.Trim(browser+", "+platform, ", ")
	}
	return made, nil
}

func passkeyError(err error) error {
	switch {
	case errors.Is(err, auth.ErrPasskeyOrigin):
		return &apperr.Error{Status: http.StatusConflict, Code: apperr.CodeConflict, Message: "Passkeys need a page of this server at a host name.", Err: err}
	case errors.Is(err, auth.ErrPasskey):
		return &apperr.Error{Status: http.StatusBadRequest, Code: apperr.CodeValidation, Field: "credential", Message: "The passkey could not be verified. Try again.", Err: err}
	}
	return err
}

// RemovePasskey deletes a passkey of the agent: {id}.
func (a *API) RemovePasskey(c echo.Context) error {
	var in struct {
		ID storedID `json:"id" form:"id"`
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	me := a.account(c)
	_, err := a.Store.RemovePasskey(c.Request().Context(), me.ID, int64(in.ID))
	switch {
	case errors.Is(err, models.ErrLastPasskey):
		return &apperr.Error{Status: http.StatusConflict, Code: apperr.CodeConflict, Message: "Set a password first; you could not sign in any more."}
	case errors.Is(err, models.ErrNotFound):
		return &apperr.Error{Status: http.StatusNotFound, Code: apperr.CodeNotFound, Message: "There is no such passkey."}
	case err != nil:
		return err
	}
	a.acted(c, audit.Event{Name: audit.PasskeyRemove})
	return ok(c, cleared{Success: true, Message: "This passkey signs you in no more."})
}

// BeginPasskeyLogin responds with what the browser needs to use a passkey.
func (a *API) BeginPasskeyLogin(c echo.Context) error {
	options, err := a.Passkeys.BeginLogin(c.Response(), c.Request(), a.ownOrigin(c.Request()))
	if err != nil {
		return passkeyError(err)
	}
	return ok(c, options)
}

// FinishPasskeyLogin signs in the agent whose passkey the browser used: {credential}. It takes the place of the password and the code.
func (a *API) FinishPasskeyLogin(c echo.Context) error {
	var in struct {
		Credential json.RawMessage `json:"credential"`
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	if err := a.limitLogin(c, "passkey"); err != nil {
		return err
	}
	r := c.Request()
	id, err := a.Passkeys.FinishLogin(c.Response(), r, a.ownOrigin(r), in.Credential)
	who, found := models.Agent{}, false
	if err == nil {
		who, found = a.Store.Agent(id)
	}
	switch {
	case errors.Is(err, auth.ErrPasskey), err == nil && (id == 0 || !found || !who.Enabled()):
		a.security(c, audit.Passkey, who.Name, audit.Wrong)
		return a.loginError(c, http.StatusUnauthorized, apperr.CodeSignIn, "wrong_passkey", err)
	case err != nil:
		return passkeyError(err)
	}
	if err := a.startSession(c, who); err != nil {
		return err
	}
	return ok(c, loginAnswer{Success: true, Redirect: a.Base + "/admin"})
}
