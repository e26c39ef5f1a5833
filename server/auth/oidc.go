package auth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

const (
	oidcCookie   = "sohbet_oidc"
	oidcPath     = "/login/oidc/callback"
	oidcLifetime = 10 * time.Minute // between leaving for the provider and coming back

	oidcTimeout = 10 * time.Second // of all requests to the provider that one request of a browser needs
	oidcPause   = 5 * time.Second  // between attempts to reach a provider
	oidcMaxBody = 1 << 20
)

// Errors of signing in at a provider.
var (
	ErrOIDCUnreachable = errors.New("oidc: the provider cannot be reached")
	ErrOIDCRefused     = errors.New("oidc: refused")
	ErrOIDCExpired     = errors.New("oidc: not begun in this browser, or too long ago")
	ErrOIDCUnverified  = errors.New("oidc: the provider has not verified the e-mail address")
)

// OIDCOptions configure [OIDC].
type OIDCOptions struct {
	Issuer, ClientID, ClientSecret string
	Name                           string // shown on the sign-in page; "" = the issuer's host
	Public                         string // PUBLIC_URL
	Observe                        func(http.RoundTripper) http.RoundTripper
	Log                            *slog.Logger
}

// OIDC signs agents in at an OpenID Connect provider: authorization code flow with PKCE and nonce. The provider is discovered when it is
// needed first, so that an outage of it disturbs nothing else. What has to be remembered meanwhile is in an encrypted cookie.
type OIDC struct {
	options OIDCOptions
	client  *http.Client
	cookie  sealedCookie
	now     func() time.Time

	mu       sync.Mutex // held while discovering
	provider *oidc.Provider
	failed   error
	retry    time.Time // when to try again after failed
}

// NewOIDC returns OIDC.
func NewOIDC(keys *Keys, options OIDCOptions, cookies Cookies, now func() time.Time) *OIDC {
	if u, err := url.Parse(options.Issuer); err == nil && options.Name == "" {
		options.Name = u.Host
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxResponseHeaderBytes = 64 << 10
	return &OIDC{
		options: options, now: now, cookie: sealedCookie{cookie{oidcCookie, cookies}, keys.codecs("oidc"), oidcLifetime},
		client: &http.Client{
			Transport: limitBodies{options.Observe(transport)}, Timeout: oidcTimeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // requests carry secrets
		},
	}
}

// limitBodies is a transport whose responses end after oidcMaxBody.
type limitBodies struct{ inner http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (l limitBodies) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := l.inner.RoundTrip(r)
	if err == nil {
		res.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(res.Body, oidcMaxBody), res.Body}
	}
	return res, err
}

// Name returns the provider's name.
func (o *OIDC) Name() string { return o.options.Name }

// departure is the cookie of a browser that was sent to the provider.
type departure struct {
	State    string    `json:"s"`
	Nonce    string    `json:"n"`
	Verifier string    `json:"v"` // PKCE (RFC 7636)
	Expires  time.Time `json:"e"`
}

// discover returns the provider. After a failure it is not asked again for oidcPause.
func (o *OIDC) discover(ctx context.Context) (*oidc.Provider, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.provider != nil {
		return o.provider, nil
	}
	if o.failed != nil && o.now().Before(o.retry) {
		return nil, o.failed
	}
	// Not cancelled with the request, whose failure would be that of others.
	ctx, cancel := context.WithTimeout(oidc.ClientContext(context.WithoutCancel(ctx), o.client), oidcTimeout)
	defer cancel()
	provider, err := oidc.NewProvider(ctx, o.options.Issuer)
	if err != nil {
		o.options.Log.WarnContext(ctx, "the OpenID Connect provider cannot be reached", "error", err)
		o.failed, o.retry = fmt.Errorf("%w: %w", ErrOIDCUnreachable, err), o.now().Add(oidcPause)
		return nil, o.failed
	}
	o.provider = provider
	return provider, nil
}

func (o *OIDC) config(provider *oidc.Provider) *oauth2.Config {
	return &oauth2.Config{
		ClientID: o.options.ClientID, ClientSecret: o.options.ClientSecret, Endpoint: provider.Endpoint(),
		RedirectURL: o.options.Public + oidcPath, Scopes: []string{oidc.ScopeOpenID, "email"},
	}
}

// Begin returns the provider's address to which the browser has to go. The error is ErrOIDCUnreachable.
func (o *OIDC) Begin(w http.ResponseWriter, r *http.Request) (string, error) {
	provider, err := o.discover(r.Context())
	if err != nil {
		return "", err
	}
	d := departure{State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(), Expires: o.now().UTC().Add(oidcLifetime)}
	if err := o.cookie.seal(w, r, d, d.Expires); err != nil {
		return "", err
	}
	return o.config(provider).AuthCodeURL(d.State, oidc.Nonce(d.Nonce), oauth2.S256ChallengeOption(d.Verifier)), nil
}

// Finish returns the verified e-mail address of who came back from the provider. The error is one of those above.
func (o *OIDC) Finish(w http.ResponseWriter, r *http.Request) (email string, err error) {
	var d departure
	if !o.cookie.open(r, &d) || !o.now().Before(d.Expires) {
		return "", ErrOIDCExpired
	}
	query := r.URL.Query()
	if subtle.ConstantTimeCompare([]byte(d.State), []byte(query.Get("state"))) != 1 {
		return "", fmt.Errorf("%w: another state", ErrOIDCExpired)
	}
	o.cookie.clear(w, r)
	if query.Get("code") == "" {
		return "", fmt.Errorf("%w: the provider gave no code", ErrOIDCRefused)
	}
	provider, err := o.discover(r.Context())
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(oidc.ClientContext(r.Context(), o.client), oidcTimeout)
	defer cancel()
	tokens, err := o.config(provider).Exchange(ctx, query.Get("code"), oauth2.VerifierOption(d.Verifier))
	if err != nil {
		return "", o.failure(err)
	}
	return o.email(ctx, provider, tokens, d.Nonce)
}

// failure tells apart a provider that refuses from one that cannot be reached. It does not contain what the provider answered.
func (o *OIDC) failure(err error) error {
	var answer *oauth2.RetrieveError
	if errors.As(err, &answer) && answer.Response != nil {
		if answer.Response.StatusCode >= 500 {
			return fmt.Errorf("%w: status %d", ErrOIDCUnreachable, answer.Response.StatusCode)
		}
		return fmt.Errorf("%w: status %d", ErrOIDCRefused, answer.Response.StatusCode)
	}
	var network *url.Error
	if errors.As(err, &network) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w: %w", ErrOIDCUnreachable, err)
	}
	return fmt.Errorf("%w: %w", ErrOIDCRefused, err)
}

// claims are those of an ID token or of the provider's user information that matter here.
type claims struct {
	Email    string `json:"email"`
	Verified any    `json:"email_verified"` // some providers send a string
	Party    string `json:"azp"`
}

// email returns the verified e-mail address of the owner of tokens.
func (o *OIDC) email(ctx context.Context, provider *oidc.Provider, tokens *oauth2.Token, nonce string) (string, error) {
	raw, _ := tokens.Extra("id_token").(string)
	token, err := provider.VerifierContext(ctx, &oidc.Config{ClientID: o.options.ClientID, Now: o.now}).Verify(ctx, raw)
	if err != nil {
		return "", o.failure(err)
	}
	if subtle.ConstantTimeCompare([]byte(token.Nonce), []byte(nonce)) != 1 {
		return "", fmt.Errorf("%w: another nonce", ErrOIDCRefused)
	}
	var about claims
	if err := token.Claims(&about); err != nil {
		return "", fmt.Errorf("%w: %w", ErrOIDCRefused, err)
	}
	if about.Party != "" && about.Party != o.options.ClientID {
		return "", fmt.Errorf("%w: a token for another party", ErrOIDCRefused)
	}
	if about.Email == "" && provider.UserInfoEndpoint() != "" { // OpenID Connect Core 1.0 §5.4
		info, err := provider.UserInfo(ctx, oauth2.StaticTokenSource(tokens))
		if err != nil {
			return "", o.failure(err)
		}
		if info.Subject != token.Subject {
			return "", fmt.Errorf("%w: the user information is about another subject", ErrOIDCRefused)
		}
		if err := info.Claims(&about); err != nil {
			return "", fmt.Errorf("%w: %w", ErrOIDCRefused, err)
		}
	}
	if about.Verified != true && about.Verified != "true" || !strings.Contains(about.Email, "@") {
		return "", ErrOIDCUnverified
	}
	return about.Email, nil
}
