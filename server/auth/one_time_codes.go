package auth

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net/http"
	"time"

	"github.com/gorilla/securecookie"

	"sohbet/server/logging"
)

const (
	loginCookie  = "sohbet_login"
	codeLifetime = 5 * time.Minute
	codeTries    = 5

	// clockTolerance is how far the clocks of processes may differ. The store decides when a code expires; this is for the cookie.
	clockTolerance = 5 * time.Minute
)

// ErrNoCode means that this browser has no valid code: none requested, expired, used, or tried too often.
var ErrNoCode = errors.New("auth: no valid code for this browser")

// WrongCode is returned for a code that does not match.
type WrongCode struct{ TriesLeft int }

// Error implements error.
func (e WrongCode) Error() string { return fmt.Sprintf("auth: wrong code, %d tries left", e.TriesLeft) }

// CodeStore stores the hashes of codes and the shared rate limits for guesses and requests. TryCode counts the attempt, and consumes
// the code if match returns true, atomically.
type CodeStore interface {
	SaveCode(ctx context.Context, hash []byte, binding string, expires time.Time) (int64, error)
	TryCode(ctx context.Context, binding string, now time.Time, maxTries int, match func(hash []byte) bool) (ok bool, triesLeft int, err error)
	PurgeCodes(ctx context.Context, now time.Time) (int64, error)
	BudgetStore
}

// Requester describes to the receiver of a code who requested it.
type Requester struct {
	Address   string
	UserAgent string
}

// CodeSender delivers a code to the agent. It must not reveal the code to the requesting browser.
type CodeSender interface {
	SendCode(ctx context.Context, code string, who Requester) error
}

// Alerter may be implemented by a [CodeSender] to be notified of wrong codes. tries is the number of wrong codes entered for the
// requested code, from 1 to 5. It must not block for long.
type Alerter interface {
	FailedGuess(ctx context.Context, who Requester, tries int)
}

// LogSender writes codes to the server's log, for installations without a bot. This is the only secret that is logged.
type LogSender struct{ Log *slog.Logger }

// SendCode logs the code.
func (s LogSender) SendCode(ctx context.Context, code string, who Requester) error {
	s.Log.LogAttrs(ctx, logging.LevelNotice, "SIGN-IN CODE", slog.String("code", code),
		slog.String("asked_from", who.Address), slog.String("note", "valid for 5 minutes in the browser that asked; logged because no Telegram bot is set up"))
	return nil
}

// Codes issues and checks one-time codes of six digits. A code is valid for five minutes, once, for five attempts, and only in the browser
// that requested it, which has a signed cookie. The store has an HMAC of the code, not the code. one_time_code_limits.go limits the total
// number of guesses and requests.
type Codes struct {
	store   CodeStore
	sender  CodeSender
	trusted *TrustedBrowsers
	codecs  []securecookie.Codec
	macs    [][]byte
	cookie  cookie
	now     func() time.Time
}

// binding ties a code to the browser that requested it.
type binding struct {
	ID         string    `json:"i"`
	Generation int64     `json:"g,omitempty"` // of the agent's sessions when the code was requested
	Password   bool      `json:"p,omitempty"` // the password was checked before
	Expires    time.Time `json:"e"`
}

// NewCodes returns Codes that store hashes in store and deliver codes with sender.
func NewCodes(keys *Keys, store CodeStore, sender CodeSender, browserID *TrustedBrowsers, cookies Cookies, now func() time.Time) *Codes {
	return &Codes{
		store: store, sender: sender, trusted: browserID, codecs: keys.codecs("login"), macs: keys.derive("one-time code"),
		cookie: cookie{loginCookie, cookies}, now: now,
	}
}

// Request generates a code for an agent in this browser and delivers it. password reports whether the correct password came with the
// request. The error is [Limited] if too many codes were requested.
func (c *Codes) Request(w http.ResponseWriter, r *http.Request, agent Account, password bool, who Requester) (err error) {
	ctx, now := r.Context(), c.now().UTC()
	budgets := requestBudgets(c.trusted.ID(r))
	if err := c.spend(ctx, budgets); err != nil {
		return fmt.Errorf("one-time code: %w", err)
	}
	defer func() {
		if err != nil { // no code was delivered
			err = errors.Join(err, c.refund(context.WithoutCancel(ctx), budgets, 1))
		}
	}()
	n, err := rand.Int(rand.Reader, big.NewInt(1_000_000))
	if err != nil {
		return fmt.Errorf("one-time code: %w", err)
	}
	code := fmt.Sprintf("%06d", n)
	b := binding{ID: rand.Text(), Generation: agent.Generation, Password: password, Expires: now.Add(codeLifetime)}
	value, err := securecookie.EncodeMulti(loginCookie, b, c.codecs...)
	if err != nil {
		return fmt.Errorf("one-time code: cookie: %w", err)
	}
	if _, err := c.store.PurgeCodes(ctx, now); err != nil {
		return fmt.Errorf("one-time code: purge: %w", err)
	}
	if _, err := c.store.SaveCode(ctx, mac(c.macs[0], b.ID, code), b.ID, b.Expires); err != nil {
		return fmt.Errorf("one-time code: save: %w", err)
	}
	if err := c.sender.SendCode(ctx, code, who); err != nil {
		return fmt.Errorf("one-time code: send: %w", err)
	}
	c.cookie.set(w, r, value, b.Expires, codeLifetime)
	return nil
}

// Verify checks a code for the agent in this browser and consumes it. Codes requested before the agent's sessions were ended are not
// valid, and with needPassword only those requested with the password. The errors are ErrNoCode, WrongCode, Limited, or the store's.
func (c *Codes) Verify(w http.ResponseWriter, r *http.Request, code string, agent Account, needPassword bool, who Requester) error {
	ctx, now := r.Context(), c.now().UTC()
	var b binding
	if err := securecookie.DecodeMulti(loginCookie, c.cookie.value(r), &b, c.codecs...); err != nil {
		return ErrNoCode
	}
	if b.ID == "" || !now.Before(b.Expires.Add(clockTolerance)) || (needPassword && !b.Password) || b.Generation != agent.Generation {
		return ErrNoCode
	}
	browserID := c.trusted.ID(r)
	if err := c.spend(ctx, guessBudgets(browserID)); err != nil {
		return fmt.Errorf("one-time code: %w", err)
	}
	compared := false
	ok, left, err := c.store.TryCode(ctx, b.ID, now, codeTries, func(hash []byte) bool {
		compared = true
		for _, key := range c.macs {
			if hmac.Equal(hash, mac(key, b.ID, code)) {
				return true
			}
		}
		return false
	})
	if err != nil {
		return fmt.Errorf("one-time code: %w", err) // the code may have been compared, so the guess is not refunded
	}
	if !compared {
		c.cookie.clear(w, r)
		return errors.Join(ErrNoCode, c.refund(ctx, guessBudgets(browserID), 1))
	}
	if !ok {
		return c.wrong(w, r, left, who)
	}
	c.cookie.clear(w, r)
	// A successful sign-in proves that requests and guesses were the agent's own.
	if err := errors.Join(c.refund(ctx, guessBudgets(browserID), codeTries-left), c.refund(ctx, requestBudgets(browserID), 1)); err != nil {
		return fmt.Errorf("one-time code: %w", err)
	}
	return nil
}

// wrong returns the error for a wrong code, and notifies the Alerter.
func (c *Codes) wrong(w http.ResponseWriter, r *http.Request, left int, who Requester) error {
	if alerter, ok := c.sender.(Alerter); ok {
		alerter.FailedGuess(r.Context(), who, codeTries-left)
	}
	if left > 0 {
		return WrongCode{TriesLeft: left}
	}
	c.cookie.clear(w, r)
	return ErrNoCode
}
