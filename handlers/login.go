package handlers

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"sohbet/assets"
	"sohbet/assets/locales"
	"sohbet/server/apperr"
	"sohbet/server/audit"
	"sohbet/server/auth"
)

// loginText returns a message of the sign-in routes in the language of the request, because clients show "message" to the user unchanged.
func (a *API) loginText(c echo.Context, key string) string {
	return locales.Text(assets.Locale(c.Request(), a.Locale), "sign_in."+key)
}

func (a *API) loginError(c echo.Context, status int, code, key string, cause error) *apperr.Error {
	c.Set(signInRefusal, true)
	return &apperr.Error{Status: status, Code: code, Message: a.loginText(c, key), Err: cause}
}

// loginKey returns the key under which the sign-in limits count a client: its address, or the id of a browser in which an agent has
// signed in before, so that attackers at the same address cannot lock that browser out.
func (a *API) loginKey(c echo.Context) string {
	if id := a.TrustedBrowsers.ID(c.Request()); id != "" {
		return id
	}
	return auth.AddressKey(a.Address(c.Request()))
}

// limitLogin applies RATE_LIMIT_LOGIN, with separate buckets for requesting ("ask": code or password) and for entering codes ("enter"),
// so that requests do not use up the attempts to enter a code.
func (a *API) limitLogin(c echo.Context, bucket string) error {
	if ok, wait := a.LoginLimit.Allow(bucket + " " + a.loginKey(c)); !ok {
		return a.loginLimited(c, bucket, wait)
	}
	return nil
}

func (a *API) loginLimited(c echo.Context, bucket string, wait time.Duration) error {
	a.security(c, map[string]string{"ask": audit.CodeAsked, "enter": audit.Code}[bucket], "", audit.Limited)
	e := a.loginError(c, http.StatusTooManyRequests, apperr.CodeRateLimit, "limited", nil)
	e.RetryAfter = wait
	return e
}

func (a *API) requester(c echo.Context) auth.Requester {
	return auth.Requester{Address: a.Address(c.Request()), UserAgent: c.Request().UserAgent()}
}

func (a *API) sendCode(c echo.Context, subject string, password bool) error {
	err := a.Codes.Request(c.Response(), c.Request(), subject, password, a.requester(c))
	var limited auth.Limited
	if errors.As(err, &limited) {
		return a.loginLimited(c, "ask", limited.RetryAfter)
	}
	if err != nil {
		if a.CodeVia == "telegram" {
			return a.loginError(c, http.StatusServiceUnavailable, apperr.CodeNotDelivered, "not_delivered", err)
		}
		return a.loginError(c, http.StatusServiceUnavailable, apperr.CodeInternal, "not_sent", err)
	}
	a.security(c, audit.CodeAsked, subject, audit.OK)
	return nil
}

// loginAnswer is the successful response of the sign-in routes.
type loginAnswer struct {
	Success  bool   `json:"success"`
	Message  string `json:"message,omitempty"`
	OTPSent  *bool  `json:"otp_sent,omitempty"`
	Redirect string `json:"redirect,omitempty"`
}

// RequestOTP sends a one-time code, unless a password is required first. The code is never part of the response.
func (a *API) RequestOTP(c echo.Context) error {
	if a.Password.Set() {
		return a.loginError(c, http.StatusForbidden, apperr.CodeUnauthorized, "need_password", nil)
	}
	if err := a.limitLogin(c, "ask"); err != nil {
		return err
	}
	if err := a.sendCode(c, a.AgentName, false); err != nil {
		return err
	}
	return ok(c, loginAnswer{Success: true, Message: a.loginText(c, "sent_"+a.CodeVia)})
}

// Login checks user name and password and sends a code: the first step of signing in if a password is set.
func (a *API) Login(c echo.Context) error {
	var in struct {
		Username string `json:"username" form:"username"`
		Password string `json:"password" form:"password"`
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	if !a.Password.Set() {
		return a.loginError(c, http.StatusForbidden, apperr.CodeUnauthorized, "no_password", nil)
	}
	if err := a.limitLogin(c, "ask"); err != nil {
		return err
	}
	right, err := a.Password.Check(c.Request().Context(), in.Username, in.Password, a.TrustedBrowsers.ID(c.Request()), auth.AddressKey(a.Address(c.Request())))
	var limited auth.Limited
	if errors.As(err, &limited) {
		a.LoginLimit.Return("ask " + a.loginKey(c)) // no password was compared
		return a.loginLimited(c, "ask", limited.RetryAfter)
	}
	if err != nil {
		return err
	}
	if !right {
		a.security(c, audit.Password, "", audit.Wrong)
		return a.loginError(c, http.StatusUnauthorized, apperr.CodeSignIn, "wrong_password", nil)
	}
	if err := a.sendCode(c, in.Username, true); err != nil {
		return err
	}
	sent := true
	return ok(c, loginAnswer{Success: true, Message: a.loginText(c, "sent_"+a.CodeVia), OTPSent: &sent})
}

// VerifyOTP completes signing in with only a code.
func (a *API) VerifyOTP(c echo.Context) error {
	if err := a.verify(c); err != nil {
		return err
	}
	return ok(c, loginAnswer{Success: true, Redirect: a.Base + "/admin"})
}

// AdminVerifyOTP completes signing in with password and code.
func (a *API) AdminVerifyOTP(c echo.Context) error {
	if err := a.verify(c); err != nil {
		return err
	}
	return ok(c, loginAnswer{Success: true, Message: a.loginText(c, "done")})
}

// verify checks a one-time code and starts the session. If a password is set, only codes requested with it are accepted.
func (a *API) verify(c echo.Context) error {
	var in struct {
		OTP  otp `json:"otp" form:"otp"`
		Code otp `json:"code" form:"code"`
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	if err := a.limitLogin(c, "enter"); err != nil {
		return err
	}
	if in.OTP == "" {
		in.OTP = in.Code
	}
	subject, err := a.Codes.Verify(c.Response(), c.Request(), string(in.OTP), a.Password.Set(), a.requester(c))
	var wrong auth.WrongCode
	var limited auth.Limited
	switch {
	case errors.As(err, &limited):
		return a.loginLimited(c, "enter", limited.RetryAfter)
	case errors.As(err, &wrong):
		a.security(c, audit.Code, "", audit.Wrong)
		return a.loginError(c, http.StatusUnauthorized, apperr.CodeSignIn, "wrong", err)
	case errors.Is(err, auth.ErrNoCode):
		a.security(c, audit.Code, "", audit.None)
		return a.loginError(c, http.StatusUnauthorized, apperr.CodeSignIn, "no_code", err)
	case err != nil:
		return err
	}
	if _, err := a.Sessions.IssueAt(c.Response(), c.Request(), subject, a.ownOrigin(c.Request())); err != nil {
		return err
	}
	// A successful sign-in proves that the earlier attempts were the agent's own.
	key := a.loginKey(c)
	a.LoginLimit.Forget("ask " + key)
	a.LoginLimit.Forget("enter " + key)
	a.security(c, audit.SignIn, subject, audit.OK)
	return a.TrustedBrowsers.Mark(c.Response(), c.Request())
}

// otp is a code as sent by clients: a string, possibly with spaces, or a number, which has lost its leading zeros.
type otp string

// UnmarshalJSON accepts a string or a number.
func (o *otp) UnmarshalJSON(text []byte) error {
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		return fmt.Errorf("otp: %w", err)
	}
	switch v := v.(type) {
	case string:
		return o.UnmarshalParam(v)
	case float64:
		if v >= 0 && v < 1_000_000 && v == float64(int(v)) {
			*o = otp(fmt.Sprintf("%06d", int(v)))
		}
		return nil
	case nil:
		return nil
	}
	return errors.New("otp: neither string nor number")
}

// UnmarshalParam accepts a form value.
func (o *otp) UnmarshalParam(s string) error {
	*o = otp(strings.Join(strings.Fields(s), ""))
	return nil
}
