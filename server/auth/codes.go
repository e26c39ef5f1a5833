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
)

// ErrNoCode means that this browser has no code that could still be entered: none asked for, expired, used, or tried too often.
var ErrNoCode = errors.New("auth: no valid code for this browser")

// WrongCode is the error of a code that does not match.
type WrongCode struct{ TriesLeft int }

// Error tells how many tries are left.
func (e WrongCode) Error() string { return fmt.Sprintf("auth: wrong code, %d tries left", e.TriesLeft) }

// CodeStore keeps the hashes of codes, and what is left to be guessed and asked for. TryCode counts the try and consumes the code when match says yes, atomically.
type CodeStore interface {
	SaveCode(ctx context.Context, hash []byte, binding string, expires time.Time) (int64, error)
	TryCode(ctx context.Context, binding string, now time.Time, maxTries int, match func(hash []byte) bool) (ok bool, triesLeft int, err error)
	PurgeCodes(ctx context.Context, now time.Time) (int64, error)
	BudgetStore
}

// Requester tells the receiver of a code who asked for it.
type Requester struct {
	Address   string
	UserAgent string
}

// CodeSender delivers a code to the agent. It must not let the code reach the asking browser.
type CodeSender interface {
	SendCode(ctx context.Context, code string, who Requester) error
}

// Alerter is told of wrong codes; a [CodeSender] that has this method is. tries is how many wrong codes have been entered for
// the code that was asked for, from 1 to 5. It must not block for long.
type Alerter interface {
	FailedGuess(ctx context.Context, who Requester, tries int)
}

// LogSender writes codes to the server's log, for set-ups without a bot. It is the one place where a secret is logged.
type LogSender struct{ Log *slog.Logger }

// SendCode logs the code.
func (s LogSender) SendCode(ctx context.Context, code string, who Requester) error {
	s.Log.LogAttrs(ctx, logging.LevelNotice, "SIGN-IN CODE", slog.String("code", code),
		slog.String("asked_from", who.Address), slog.String("note", "valid for 5 minutes in the browser that asked; logged because no Telegram bot is set up"))
	return nil
}

// Codes asks for and checks one-time codes of six digits. A code is good for five minutes, once, with five tries, and only in
// the browser that asked, which holds a signed cookie. The store has an HMAC of the code, not the code. How many can be guessed
// and asked for by everybody together is in guesses.go.
type Codes struct {
	store  CodeStore
	sender CodeSender
	known  *Known
	codecs []securecookie.Codec
	macs   [][]byte
	cookie cookie
	now    func() time.Time
}

// binding ties a code to the browser that asked for it.
type binding struct {
	ID       string    `json:"i"`
	Subject  string    `json:"s"`
	Password bool      `json:"p,omitempty"` // the password was given before
	Expires  time.Time `json:"e"`
}

// NewCodes keeps hashes in store and delivers through sender.
func NewCodes(keys *Keys, store CodeStore, sender CodeSender, known *Known, cookies Cookies, now func() time.Time) *Codes {
	return &Codes{
		store: store, sender: sender, known: known, codecs: keys.codecs("login"), macs: keys.derive("one-time code"),
		cookie: cookie{loginCookie, cookies}, now: now,
	}
}

// Request makes a code for this browser and delivers it. password tells that the right password has come with the request.
// The error is [Limited] when too many were asked for.
func (c *Codes) Request(w http.ResponseWriter, r *http.Request, subject string, password bool, who Requester) (err error) {
	ctx, now := r.Context(), c.now().UTC()
	budgets := asks(c.known.ID(r))
	if err := c.spend(ctx, budgets); err != nil {
		return fmt.Errorf("one-time code: %w", err)
	}
	defer func() {
		if err != nil { // nobody got a code
			err = errors.Join(err, c.refund(context.WithoutCancel(ctx), budgets, 1))
		}
	}()
	n, err := rand.Int(rand.Reader, big.NewInt(1_000_000))
	if err != nil {
		return fmt.Errorf("one-time code: %w", err)
	}
	code := fmt.Sprintf("%06d", n)
	b := binding{ID: rand.Text(), Subject: subject, Password: password, Expires: now.Add(codeLifetime)}
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

// Verify checks a code for this browser and consumes it. With needPassword only codes count that were asked for with the
// password. The errors are ErrNoCode, WrongCode, Limited, or the store's.
func (c *Codes) Verify(w http.ResponseWriter, r *http.Request, code string, needPassword bool, who Requester) (subject string, err error) {
	ctx, now := r.Context(), c.now().UTC()
	var b binding
	if err := securecookie.DecodeMulti(loginCookie, c.cookie.value(r), &b, c.codecs...); err != nil {
		return "", ErrNoCode
	}
	if b.ID == "" || !now.Before(b.Expires) || (needPassword && !b.Password) {
		return "", ErrNoCode
	}
	known := c.known.ID(r)
	if err := c.spend(ctx, guesses(known)); err != nil {
		return "", fmt.Errorf("one-time code: %w", err)
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
		return "", fmt.Errorf("one-time code: %w", err) // it may have been compared: the guess stays spent
	}
	if !compared {
		c.cookie.clear(w, r)
		return "", errors.Join(ErrNoCode, c.refund(ctx, guesses(known), 1))
	}
	if !ok {
		return "", c.wrong(w, r, left, who)
	}
	c.cookie.clear(w, r)
	// Whoever is in has shown that asking and guessing were theirs.
	if err := errors.Join(c.refund(ctx, guesses(known), codeTries-left), c.refund(ctx, asks(known), 1)); err != nil {
		return "", fmt.Errorf("one-time code: %w", err)
	}
	return b.Subject, nil
}

// wrong is what a wrong code is answered with.
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
