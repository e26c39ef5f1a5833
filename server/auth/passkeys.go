package auth

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"sohbet/models"
)

const (
	passkeyCookie   = "sohbet_passkey"
	passkeyLifetime = 5 * time.Minute // of a challenge
)

// ErrPasskey is the error for answers of browsers that do not prove a passkey: forged, expired, used before, or of another page.
var ErrPasskey = errors.New("passkey: refused")

// ErrPasskeyOrigin means that a page's origin cannot have passkeys: it is unknown, or an IP address.
var ErrPasskeyOrigin = errors.New("passkey: the page's origin cannot have passkeys")

// PasskeyStore stores passkeys. UsePasskey reports whether a passkey's count of signatures was not used before.
type PasskeyStore interface {
	BudgetStore
	PasskeysByHandle(ctx context.Context, handle string) ([]models.Passkey, error)
	UsePasskey(ctx context.Context, id, signCount int64) (bool, error)
}

// Passkeys registers passkeys (WebAuthn, discoverable credentials with user verification) and signs agents in by them. What the server has
// to remember of a ceremony is in an encrypted cookie, so that any process can finish it.
type Passkeys struct {
	store  PasskeyStore
	cookie sealedCookie
	name   string
	now    func() time.Time
}

// NewPasskeys returns Passkeys; browsers show the name of the business.
func NewPasskeys(keys *Keys, store PasskeyStore, name string, cookies Cookies, now func() time.Time) *Passkeys {
	return &Passkeys{store: store, name: name, now: now, cookie: sealedCookie{cookie{passkeyCookie, cookies}, keys.codecs("passkey"), passkeyLifetime}}
}

// ceremony is the cookie of a browser that was asked to make or use a passkey.
type ceremony struct {
	Session webauthn.SessionData `json:"s"`
	For     string               `json:"f"` // who the passkey is made for; "" when signing in
	Expires time.Time            `json:"e"`
}

// passkeyUser is the owner of passkeys for the library.
type passkeyUser struct {
	handle      []byte
	name        string
	passkeys    []models.Passkey
	credentials []webauthn.Credential // of the passkeys, in the same order
}

func (u passkeyUser) WebAuthnID() []byte                         { return u.handle }
func (u passkeyUser) WebAuthnName() string                       { return u.name }
func (u passkeyUser) WebAuthnDisplayName() string                { return u.name }
func (u passkeyUser) WebAuthnCredentials() []webauthn.Credential { return u.credentials }

// owner returns the owner of passkeys that all have the same handle.
func owner(name string, passkeys []models.Passkey) (passkeyUser, error) {
	u := passkeyUser{name: name}
	for _, p := range passkeys {
		var c webauthn.Credential
		if err := json.Unmarshal([]byte(p.Credential), &c); err != nil {
			continue // no key decrypts it
		}
		handle, err := base64.RawURLEncoding.DecodeString(p.Handle)
		if err != nil {
			return passkeyUser{}, fmt.Errorf("passkey: handle: %w", err)
		}
		c.Authenticator.SignCount = uint32(p.SignCount)
		u.handle, u.passkeys, u.credentials = handle, append(u.passkeys, p), append(u.credentials, c)
	}
	return u, nil
}

// party returns the relying party of an origin of this server's pages.
func (p *Passkeys) party(origin string) (*webauthn.WebAuthn, error) {
	page, ok := parseOrigin(origin)
	if !ok {
		return nil, ErrPasskeyOrigin
	}
	party, err := webauthn.New(&webauthn.Config{
		RPID: page.host, RPDisplayName: p.name, RPOrigins: []string{page.short()},
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			ResidentKey: protocol.ResidentKeyRequirementRequired, UserVerification: protocol.VerificationRequired,
		},
		AttestationPreference: protocol.PreferNoAttestation,
	})
	if err != nil { // an IP address
		return nil, fmt.Errorf("%w: %w", ErrPasskeyOrigin, err)
	}
	return party, nil
}

// BeginRegistration returns what a browser needs to make a passkey. who says who it is for; FinishRegistration must get the same.
func (p *Passkeys) BeginRegistration(w http.ResponseWriter, r *http.Request, origin, who, name string, existing []models.Passkey) (*protocol.CredentialCreation, error) {
	party, err := p.party(origin)
	if err != nil {
		return nil, err
	}
	user, err := owner(name, existing)
	if err != nil {
		return nil, err
	}
	if len(user.handle) == 0 {
		user.handle = make([]byte, 32)
		_, _ = rand.Read(user.handle) // never fails
	}
	known := make([]protocol.CredentialDescriptor, len(user.credentials))
	for i, c := range user.credentials {
		known[i] = c.Descriptor()
	}
	options, session, err := party.BeginRegistration(user, webauthn.WithExclusions(known))
	if err != nil {
		return nil, fmt.Errorf("passkey: %w", err)
	}
	return options, p.remember(w, r, *session, who)
}

// FinishRegistration returns the passkey that a browser made. The error is ErrPasskey if its answer does not fit.
func (p *Passkeys) FinishRegistration(w http.ResponseWriter, r *http.Request, origin, who string, answer []byte) (models.Passkey, error) {
	party, session, err := p.recall(w, r, origin, who)
	if err != nil {
		return models.Passkey{}, err
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(answer)
	if err != nil {
		return models.Passkey{}, refused(err)
	}
	made, err := party.CreateCredential(passkeyUser{handle: session.UserID}, session, parsed)
	if err != nil {
		return models.Passkey{}, refused(err)
	}
	if err := p.once(r.Context(), session); err != nil {
		return models.Passkey{}, err
	}
	count := made.Authenticator.SignCount
	made.Attestation = webauthn.CredentialAttestation{} // which authenticator it is does not matter
	text, err := json.Marshal(made)
	if err != nil {
		return models.Passkey{}, fmt.Errorf("passkey: %w", err)
	}
	return models.Passkey{Handle: base64.RawURLEncoding.EncodeToString(session.UserID), Credential: string(text), SignCount: int64(count)}, nil
}

// BeginLogin returns what a browser needs to use a passkey.
func (p *Passkeys) BeginLogin(w http.ResponseWriter, r *http.Request, origin string) (*protocol.CredentialAssertion, error) {
	party, err := p.party(origin)
	if err != nil {
		return nil, err
	}
	options, session, err := party.BeginDiscoverableLogin()
	if err != nil {
		return nil, fmt.Errorf("passkey: %w", err)
	}
	return options, p.remember(w, r, *session, "")
}

// FinishLogin returns the agent whose passkey a browser used. The error is ErrPasskey if its answer does not prove one.
func (p *Passkeys) FinishLogin(w http.ResponseWriter, r *http.Request, origin string, answer []byte) (agent int64, err error) {
	party, session, err := p.recall(w, r, origin, "")
	if err != nil {
		return 0, err
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(answer)
	if err != nil {
		return 0, refused(err)
	}
	var user passkeyUser
	var failed error // of the store, which the library would make a refusal
	used, err := party.ValidateDiscoverableLogin(func(_, handle []byte) (webauthn.User, error) {
		passkeys, err := p.store.PasskeysByHandle(r.Context(), base64.RawURLEncoding.EncodeToString(handle))
		if err == nil {
			user, err = owner("", passkeys)
		}
		failed = err
		return user, err
	}, session, parsed)
	switch {
	case failed != nil:
		return 0, failed
	case err != nil:
		return 0, refused(err)
	case used.Authenticator.CloneWarning:
		return 0, refused(errors.New("the authenticator's count of signatures went back"))
	}
	if err := p.once(r.Context(), session); err != nil {
		return 0, err
	}
	its := user.passkeys[slices.IndexFunc(user.credentials, func(c webauthn.Credential) bool { return bytes.Equal(c.ID, used.ID) })]
	fresh, err := p.store.UsePasskey(r.Context(), its.ID, int64(used.Authenticator.SignCount))
	if err != nil {
		return 0, err
	}
	if !fresh {
		return 0, refused(errors.New("its count of signatures was used before, or it was removed"))
	}
	return its.AgentID, nil
}

// remember sets the cookie of a ceremony.
func (p *Passkeys) remember(w http.ResponseWriter, r *http.Request, session webauthn.SessionData, who string) error {
	c := ceremony{Session: session, For: who, Expires: p.now().UTC().Add(passkeyLifetime)}
	return p.cookie.seal(w, r, c, c.Expires)
}

// recall returns the ceremony that a browser began on a page of the same origin for the same purpose, and deletes its cookie.
func (p *Passkeys) recall(w http.ResponseWriter, r *http.Request, origin, who string) (*webauthn.WebAuthn, webauthn.SessionData, error) {
	var c ceremony
	if !p.cookie.open(r, &c) || c.For != who || !p.now().Before(c.Expires) {
		return nil, webauthn.SessionData{}, refused(errors.New("no ceremony was begun, or it has expired"))
	}
	p.cookie.clear(w, r)
	party, err := p.party(origin)
	if err != nil {
		return nil, webauthn.SessionData{}, err
	}
	if c.Session.RelyingPartyID != party.Config.RPID {
		return nil, webauthn.SessionData{}, refused(errors.New("it was begun at another origin"))
	}
	return party, c.Session, nil
}

// once returns ErrPasskey if a ceremony was finished before: a browser may send the cookie and the answer again.
func (p *Passkeys) once(ctx context.Context, session webauthn.SessionData) error {
	sum := sha256.Sum256([]byte(session.Challenge))
	fresh, _, err := p.store.Spend(ctx, "passkey "+hex.EncodeToString(sum[:]), p.now(), 2*passkeyLifetime, 1)
	if err != nil {
		return fmt.Errorf("passkey: %w", err)
	}
	if !fresh {
		return refused(errors.New("the answer was used before"))
	}
	return nil
}

func refused(why error) error { return fmt.Errorf("%w: %w", ErrPasskey, why) }
