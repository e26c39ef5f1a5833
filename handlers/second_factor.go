package handlers

import (
	"encoding/base64"
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"sohbet/models"
	"sohbet/server/apperr"
	"sohbet/server/audit"
	"sohbet/server/auth"
)

// ProposeTOTP responds with a new secret for the agent's authenticator app, which takes effect once ConfirmTOTP got a code of it.
func (a *API) ProposeTOTP(c echo.Context) error {
	me := a.account(c)
	switch {
	case me.TOTPSecret != "":
		return &apperr.Error{Status: http.StatusConflict, Code: apperr.CodeConflict, Message: "An authenticator app is set up already. Remove it first."}
	case me.PasswordHash == "":
		return &apperr.Error{Status: http.StatusConflict, Code: apperr.CodeConflict, Message: "Set a password first; the app's code is asked for after it."}
	}
	s, err := a.SecondFactor.Propose(c.Response(), c.Request(), accountOf(me))
	if err != nil {
		return err
	}
	return ok(c, struct {
		Secret string `json:"secret"`
		URI    string `json:"uri"`
		QR     string `json:"qr"` // data: URL of a picture of the URI
	}{s.Secret, s.URI, "data:image/png;base64," + base64.StdEncoding.EncodeToString(s.QR)})
}

// ConfirmTOTP makes signing in require the proposed secret, after the first code of it: {otp}. It responds with recovery codes, which are
// not shown again.
func (a *API) ConfirmTOTP(c echo.Context) error {
	var in struct {
		OTP otp `json:"otp" form:"otp"`
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	me := a.account(c)
	secret, step, recovery, err := a.SecondFactor.Confirm(c.Response(), c.Request(), accountOf(me), string(in.OTP))
	var limited auth.Limited
	switch {
	case errors.As(err, &limited):
		return tooMany(limited.RetryAfter)
	case errors.Is(err, auth.ErrNoCode):
		return &apperr.Error{Status: http.StatusConflict, Code: apperr.CodeConflict, Message: "Ask for a new secret; the last one has expired."}
	case errors.As(err, new(auth.WrongCode)):
		return apperr.Invalid("otp", "This is not the app's present code. Check the time of the phone.")
	case err != nil:
		return err
	}
	if _, err := a.Store.SetTOTP(c.Request().Context(), me.ID, secret, step, recovery); err != nil {
		return err
	}
	a.security(c, audit.SecondFactor, me.Name, audit.OK)
	return ok(c, struct {
		Success  bool     `json:"success"`
		Recovery []string `json:"recovery_codes"`
	}{true, recovery})
}

// RemoveTOTP makes signing in require only the password, which it takes: {password}.
func (a *API) RemoveTOTP(c echo.Context) error {
	var in struct {
		Password string `json:"password" form:"password"`
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	session, _ := a.agent(c)
	me := a.account(c)
	if err := a.checkOwnPassword(c, session, me, in.Password); err != nil {
		return err
	}
	if _, err := a.Store.SetTOTP(c.Request().Context(), me.ID, "", 0, nil); err != nil {
		return err
	}
	a.security(c, audit.SecondFactorOff, me.Name, audit.OK)
	return ok(c, cleared{Success: true, Message: "Signing in takes only the password again."})
}

// askTOTP asks an agent who did the first step of signing in for a code of the authenticator app.
func (a *API) askTOTP(c echo.Context, who models.Agent) error {
	if err := a.SecondFactor.Begin(c.Response(), c.Request(), accountOf(who)); err != nil {
		return err
	}
	sent := false
	return ok(c, loginAnswer{Success: true, Message: a.loginText(c, "ask_app"), OTPSent: &sent, TOTPRequired: true})
}

// halfway returns the agent who did the first step of signing in in this browser, if a code of the agent's app is still to be entered.
func (a *API) halfway(r *http.Request) (models.Agent, bool) {
	id, generation, ok := a.SecondFactor.Agent(r)
	if !ok {
		return models.Agent{}, false
	}
	who, found := a.Store.Agent(id)
	return who, found && id != 0 && who.Enabled() && who.SessionGeneration == generation && who.TOTPSecret != ""
}
