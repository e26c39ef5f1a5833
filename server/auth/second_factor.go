package auth

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"image/png"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
	"github.com/pquerna/otp/totp"
)

const (
	stepCookie  = "sohbet_step"
	setupCookie = "sohbet_setup"

	stepLifetime  = 5 * time.Minute  // between the password and the app's code
	setupLifetime = 15 * time.Minute // between showing a secret and its first code

	totpPeriod    = 30 // seconds (RFC 6238 §4.1)
	recoveryCodes = 10
	qrSize        = 208 // px
)

// Attempts to enter a code for one agent: of all browsers that never signed in, and of one that did.
func factorBudget(agent int64, browserID string) budget {
	name := "totp " + strconv.FormatInt(agent, 10)
	if browserID != "" {
		name += " known " + browserID
	}
	return budget{name, 6 * time.Minute, 10}
}

// FactorStore stores what a second factor needs. UseTOTPStep and UseRecoveryCode report whether what they take had not been used before.
type FactorStore interface {
	BudgetStore
	UseTOTPStep(ctx context.Context, agent, step int64) (bool, error)
	UseRecoveryCode(ctx context.Context, agent int64, code string) (bool, error)
}

// SecondFactor signs agents in by an authenticator app (TOTP, RFC 6238) after their password.
type SecondFactor struct {
	store       FactorStore
	trusted     *TrustedBrowsers
	step, setup sealedCookie
	issuer      string
	now         func() time.Time
}

// NewSecondFactor returns a SecondFactor; apps show the issuer's name.
func NewSecondFactor(keys *Keys, store FactorStore, trusted *TrustedBrowsers, issuer string, cookies Cookies, now func() time.Time) *SecondFactor {
	return &SecondFactor{
		store: store, trusted: trusted, issuer: issuer, now: now,
		step:  sealedCookie{cookie{stepCookie, cookies}, keys.codecs("second step"), stepLifetime},
		setup: sealedCookie{cookie{setupCookie, cookies}, keys.codecs("totp setup"), setupLifetime},
	}
}

// halfway is the cookie of a browser in which the first step of signing in was done, or which shows a secret.
type halfway struct {
	Agent      int64     `json:"a"`
	Generation int64     `json:"g,omitempty"` // of the agent's sessions
	Secret     string    `json:"s,omitempty"`
	Expires    time.Time `json:"e"`
}

func (f *SecondFactor) write(w http.ResponseWriter, r *http.Request, c sealedCookie, h halfway) error {
	h.Expires = f.now().UTC().Add(c.lifetime)
	return c.seal(w, r, h, h.Expires)
}

func (f *SecondFactor) read(r *http.Request, c sealedCookie) (h halfway, ok bool) {
	return h, c.open(r, &h) && f.now().Before(h.Expires.Add(clockTolerance))
}

// Begin records in the browser that an agent did the first step of signing in.
func (f *SecondFactor) Begin(w http.ResponseWriter, r *http.Request, agent Account) error {
	return f.write(w, r, f.step, halfway{Agent: agent.ID, Generation: agent.Generation})
}

// Agent returns the agent who did the first step in a browser within stepLifetime, and the generation of the agent's sessions then.
func (f *SecondFactor) Agent(r *http.Request) (id, generation int64, ok bool) {
	h, ok := f.read(r, f.step)
	return h.Agent, h.Generation, ok
}

// End ends the second step in a browser.
func (f *SecondFactor) End(w http.ResponseWriter, r *http.Request) { f.step.clear(w, r) }

// Setup is what an agent enters into an authenticator app.
type Setup struct {
	Secret string // in base32 (RFC 4648)
	URI    string // otpauth://
	QR     []byte // the URI as a QR code, PNG
}

// Propose returns a new secret for an agent, and records it in the browser until Confirm.
func (f *SecondFactor) Propose(w http.ResponseWriter, r *http.Request, agent Account) (Setup, error) {
	key, err := totp.Generate(totp.GenerateOpts{Issuer: f.issuer, AccountName: agent.Name})
	if err != nil {
		return Setup{}, fmt.Errorf("second factor: %w", err)
	}
	picture, err := key.Image(qrSize, qrSize)
	if err != nil {
		return Setup{}, fmt.Errorf("second factor: QR code: %w", err)
	}
	var code bytes.Buffer
	if err := png.Encode(&code, picture); err != nil {
		return Setup{}, fmt.Errorf("second factor: QR code: %w", err)
	}
	return Setup{key.Secret(), key.URL(), code.Bytes()}, f.write(w, r, f.setup, halfway{Agent: agent.ID, Generation: agent.Generation, Secret: key.Secret()})
}

// Confirm checks the first code of a proposed secret. It returns the secret, the time step of the code, and recovery codes. The error is
// ErrNoCode if no secret was proposed to the agent in this browser, WrongCode, or Limited.
func (f *SecondFactor) Confirm(w http.ResponseWriter, r *http.Request, agent Account, entered string) (secret string, step int64, recovery []string, err error) {
	h, ok := f.read(r, f.setup)
	if !ok || h.Agent != agent.ID || h.Generation != agent.Generation {
		return "", 0, nil, ErrNoCode
	}
	if err := f.spend(r.Context(), agent.ID, f.trusted.ID(r)); err != nil {
		return "", 0, nil, err
	}
	step, ok = f.matches(h.Secret, digits(entered))
	if !ok {
		return "", 0, nil, WrongCode{}
	}
	f.setup.clear(w, r)
	for range recoveryCodes {
		recovery = append(recovery, newRecoveryCode())
	}
	return h.Secret, step, recovery, nil
}

// Check checks a code of an agent's app, or a recovery code, each of which is valid once. The error is WrongCode or Limited.
func (f *SecondFactor) Check(ctx context.Context, agent Account, secret, browserID, entered string) error {
	if err := f.spend(ctx, agent.ID, browserID); err != nil {
		return err
	}
	var fresh bool
	var err error
	if code := digits(entered); len(code) == 6 {
		if step, ok := f.matches(secret, code); ok {
			fresh, err = f.store.UseTOTPStep(ctx, agent.ID, step)
		}
	} else {
		fresh, err = f.store.UseRecoveryCode(ctx, agent.ID, plainRecoveryCode(entered))
	}
	if err != nil {
		return fmt.Errorf("second factor: %w", err)
	}
	if !fresh {
		return WrongCode{}
	}
	b := factorBudget(agent.ID, browserID)
	return f.store.Refund(ctx, b.name, b.every, 1)
}

func (f *SecondFactor) spend(ctx context.Context, agent int64, browserID string) error {
	b := factorBudget(agent, browserID)
	ok, wait, err := f.store.Spend(ctx, b.name, f.now(), b.every, b.burst)
	if err != nil {
		return fmt.Errorf("second factor: %w", err)
	}
	if !ok {
		return Limited{RetryAfter: wait}
	}
	return nil
}

// matches returns the time step of a code: the present one, or the one before or after it (RFC 6238 §5.2).
func (f *SecondFactor) matches(secret, code string) (step int64, ok bool) {
	now := f.now().Unix() / totpPeriod
	for _, at := range [...]int64{now, now - 1, now + 1} {
		want, err := hotp.GenerateCodeCustom(secret, uint64(at), hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
		if err == nil && subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 && !ok {
			step, ok = at, true
		}
	}
	return step, ok
}

// digits returns a code without the spaces that apps show in it; "" for anything that contains other characters.
func digits(entered string) string {
	code := strings.Join(strings.Fields(entered), "")
	if strings.Trim(code, "0123456789") != "" {
		return ""
	}
	return code
}

// newRecoveryCode returns a random code of 80 bits in four groups.
func newRecoveryCode() string {
	code := strings.ToLower(rand.Text())[:16]
	return code[:4] + "-" + code[4:8] + "-" + code[8:12] + "-" + code[12:]
}

// plainRecoveryCode returns an entered code in the form of newRecoveryCode.
func plainRecoveryCode(entered string) string {
	code := strings.ToLower(strings.Join(strings.FieldsFunc(entered, func(r rune) bool { return r == '-' || r == ' ' }), ""))
	if len(code) != 16 {
		return ""
	}
	return code[:4] + "-" + code[4:8] + "-" + code[8:12] + "-" + code[12:]
}
