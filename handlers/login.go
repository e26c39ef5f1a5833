package handlers

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"sohbet/assets"
	"sohbet/assets/locales"
	"sohbet/models"
	"sohbet/server/apperr"
	"sohbet/server/audit"
	"sohbet/server/auth"
)

// loginText returns a message of the sign-in routes in the language of the request, because clients show "message" to the user unchanged.
func (a *API) loginText(c echo.Context, key string) string {
	return locales.Text(assets.Locale(c.Request(), a.look.Load().Locale), "sign_in."+key)
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

// limitLogin applies RATE_LIMIT_LOGIN, with separate buckets for requesting ("ask": code or password), for entering codes ("enter"), for
// passkeys ("passkey"), for coming back from a provider ("oidc") and for accepting invitations ("join"), so that requests do not use up the attempts to enter a code.
func (a *API) limitLogin(c echo.Context, bucket string) error {
	if ok, wait := a.LoginLimit.Allow(bucket + " " + a.loginKey(c)); !ok {
		return a.loginLimited(c, bucket, wait)
	}
	return nil
}

func (a *API) loginLimited(c echo.Context, bucket string, wait time.Duration) error {
	a.security(c, map[string]string{"ask": audit.CodeAsked, "enter": audit.Code, "join": audit.AgentJoin, "passkey": audit.Passkey}[bucket], "", audit.Limited)
	e := a.loginError(c, http.StatusTooManyRequests, apperr.CodeRateLimit, "limited", nil)
	e.RetryAfter = wait
	return e
}

func (a *API) requester(c echo.Context) auth.Requester {
	return auth.Requester{Address: a.Address(c.Request()), UserAgent: c.Request().UserAgent()}
}

// accountOf returns an agent for package auth.
func accountOf(who models.Agent) auth.Account {
	return auth.Account{ID: who.ID, Name: who.Name, Generation: who.SessionGeneration}
}

func (a *API) sendCode(c echo.Context, owner models.Agent, password bool) error {
	err := a.Codes.Request(c.Response(), c.Request(), accountOf(owner), password, a.requester(c))
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
	a.SecondFactor.End(c.Response(), c.Request())
	a.record(c, audit.Event{Name: audit.CodeAsked, Actor: owner.Name, AboutAgent: models.AgentID(owner.ID), Outcome: audit.OK})
	return nil
}

// loginAnswer is the successful response of the sign-in routes.
type loginAnswer struct {
	Success  bool   `json:"success"`
	Message  string `json:"message,omitempty"`
	OTPSent  *bool  `json:"otp_sent,omitempty"`
	Redirect string `json:"redirect,omitempty"`

	TOTPRequired bool `json:"totp_required,omitempty"` // a code of the authenticator app is next
}

// passwords reports whether any agent can sign in with a password.
func (a *API) passwords() bool {
	return slices.ContainsFunc(a.Store.Agents(), func(who models.Agent) bool { return who.Enabled() && who.PasswordHash != "" })
}

// passkeys reports whether any agent can sign in with a passkey.
func (a *API) passkeys() bool {
	return slices.ContainsFunc(a.Store.Agents(), func(who models.Agent) bool { return who.Enabled() && who.Passkeys > 0 })
}

// codeAllowed reports whether the owner signs in with only a code: not with a password or a passkey, because everyone in the Telegram chat
// could sign in as the owner.
func (a *API) codeAllowed() bool {
	owner, _ := a.Store.Agent(0)
	return owner.Enabled() && owner.PasswordHash == "" && owner.Passkeys == 0
}

// RequestOTP sends a one-time code for the owner, unless a password is required first. Other agents get none, because everyone in the
// Telegram chat could sign in as them. The code is never part of the response.
func (a *API) RequestOTP(c echo.Context) error {
	var in struct {
		Username string `json:"username" form:"username"`
	}
	_ = decode(c, &in) // earlier versions ignored the body, and older clients may send anything
	owner, _ := a.Store.Agent(0)
	other := false
	if in.Username != "" {
		who, _ := a.Store.FindAgent(in.Username)
		other = who.ID != owner.ID
	}
	if other || !a.codeAllowed() {
		need := "need_password"
		if !other && owner.Enabled() && owner.PasswordHash == "" {
			need = "need_passkey"
		}
		return a.loginError(c, http.StatusForbidden, apperr.CodeUnauthorized, need, nil)
	}
	if err := a.limitLogin(c, "ask"); err != nil {
		return err
	}
	if err := a.sendCode(c, owner, false); err != nil {
		return err
	}
	return ok(c, loginAnswer{Success: true, Message: a.loginText(c, "sent_"+a.CodeVia)})
}

// Login checks user name and password. Then an agent with an authenticator app enters a code of it; otherwise it sends the owner who is
// made from the settings a code, and signs other agents in.
func (a *API) Login(c echo.Context) error {
	var in struct {
		Username string `json:"username" form:"username"`
		Password string `json:"password" form:"password"`
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	if !a.passwords() {
		return a.loginError(c, http.StatusForbidden, apperr.CodeUnauthorized, "no_password", nil)
	}
	if err := a.limitLogin(c, "ask"); err != nil {
		return err
	}
	owner, _ := a.Store.Agent(0)
	who, found := a.Store.FindAgent(in.Username)
	second := found && who.ID == owner.ID
	attempt := auth.Attempt{
		Password: in.Password, Hash: who.PasswordHash, Browser: a.TrustedBrowsers.ID(c.Request()), Address: auth.AddressKey(a.Address(c.Request())),
	}
	switch {
	case second: // the limits of codes apply
	case found:
		attempt.Account = strconv.FormatInt(who.ID, 10)
	default: // like an account, so that the limit does not tell them apart
		attempt.Account = "name " + strings.ToLower(in.Username)
	}
	right, err := a.Agents.CheckPassword(c.Request().Context(), attempt)
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
	if who.TOTPSecret != "" {
		return a.askTOTP(c, who)
	}
	if !second {
		if err := a.startSession(c, who); err != nil {
			return err
		}
		return ok(c, loginAnswer{Success: true, Message: a.loginText(c, "done"), OTPSent: &second, Redirect: a.Base + "/admin"})
	}
	if err := a.sendCode(c, who, true); err != nil {
		return err
	}
	return ok(c, loginAnswer{Success: true, Message: a.loginText(c, "sent_"+a.CodeVia), OTPSent: &second})
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

// verify checks a code of the agent's authenticator app after the password, otherwise a one-time code of the owner, and starts the session.
// If a password is set, only one-time codes requested with it are accepted.
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
	who, ofApp := a.halfway(c.Request())
	if !ofApp {
		who, _ = a.Store.Agent(0)
	}
	err := auth.ErrNoCode
	switch {
	case ofApp:
		err = a.SecondFactor.Check(c.Request().Context(), accountOf(who), who.TOTPSecret, a.TrustedBrowsers.ID(c.Request()), string(in.OTP))
	case who.Enabled() && who.TOTPSecret == "" && (who.PasswordHash != "" || a.codeAllowed()):
		err = a.Codes.Verify(c.Response(), c.Request(), string(in.OTP), accountOf(who), who.PasswordHash != "", a.requester(c))
	}
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
	if ofApp {
		a.SecondFactor.End(c.Response(), c.Request())
	}
	return a.startSession(c, who)
}

// startSession signs an agent in.
func (a *API) startSession(c echo.Context, who models.Agent) error {
	if err := a.issueSession(c, who, a.ownOrigin(c.Request())); err != nil {
		return err
	}
	// A successful sign-in proves that the earlier attempts were the agent's own.
	key := a.loginKey(c)
	for _, bucket := range [...]string{"ask ", "enter ", "passkey ", "oidc "} {
		a.LoginLimit.Forget(bucket + key)
	}
	a.security(c, audit.SignIn, who.Name, audit.OK)
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
