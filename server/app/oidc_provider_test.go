package app

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	clientID     = "chat"
	clientSecret = "a secret of the client"
)

// provider is an OpenID Connect provider for tests. What its tokens say is what the test wants.
type provider struct {
	*httptest.Server
	t    *testing.T
	key  *rsa.PrivateKey
	down atomic.Bool

	mu    sync.Mutex
	codes map[string]grant
	infos map[string]map[string]any // user information by access token
}

// grant is what a code is good for.
type grant struct {
	challenge, redirect string
	token               string // the ID token
	info                map[string]any
}

func newProvider(t *testing.T) *provider {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p := &provider{t: t, key: key, codes: map[string]grant{}, infos: map[string]map[string]any{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		p.json(w, map[string]any{
			"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token", "jwks_uri": p.URL + "/keys",
			"userinfo_endpoint": p.URL + "/userinfo", "id_token_signing_alg_values_supported": []string{"RS256"},
		})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		n, e := base64url(key.N.Bytes()), base64url(big.NewInt(int64(key.E)).Bytes())
		p.json(w, map[string]any{"keys": []any{map[string]any{"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "1", "n": n, "e": e}}})
	})
	mux.HandleFunc("POST /token", p.token)
	mux.HandleFunc("GET /userinfo", func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.json(w, p.infos[r.Header.Get("Authorization")])
	})
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.down.Load() {
			http.Error(w, "down", http.StatusServiceUnavailable)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *provider) json(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the client's failure shows
}

// token exchanges a code, once, for who began with its challenge.
func (p *provider) token(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	id, secret, _ := r.BasicAuth()
	g, known := p.codes[r.FormValue("code")]
	delete(p.codes, r.FormValue("code"))
	sum := sha256.Sum256([]byte(r.FormValue("code_verifier")))
	decoded, _ := url.QueryUnescape(secret)
	if id != clientID || decoded != clientSecret || !known || g.redirect != r.FormValue("redirect_uri") || base64url(sum[:]) != g.challenge {
		w.WriteHeader(http.StatusBadRequest)
		p.json(w, map[string]any{"error": "invalid_grant"})
		return
	}
	access := rand.Text()
	p.infos["Bearer "+access] = g.info
	p.json(w, map[string]any{"access_token": access, "token_type": "Bearer", "expires_in": 60, "id_token": g.token})
}

// signed returns a token with claims, by RS256 (RFC 7515).
func (p *provider) signed(key *rsa.PrivateKey, claims map[string]any) string {
	p.t.Helper()
	body, err := json.Marshal(claims)
	if err != nil {
		p.t.Fatal(err)
	}
	text := base64url([]byte(`{"alg":"RS256","kid":"1"}`)) + "." + base64url(body)
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		p.t.Fatal(err)
	}
	return text + "." + base64url(signature)
}

// authorize returns the code for a browser that came with a query. Its token says that the owner of an e-mail address signed in, changed by
// the claims of other, of which nil ones are left out; info is the user information.
func (p *provider) authorize(query url.Values, email string, other, info map[string]any) (code string) {
	p.t.Helper()
	claims := map[string]any{
		"iss": p.URL, "sub": "7", "aud": clientID, "exp": time.Now().Add(time.Minute).Unix(), "iat": time.Now().Unix(),
		"nonce": query.Get("nonce"), "email": email, "email_verified": true,
	}
	maps.Copy(claims, other)
	maps.DeleteFunc(claims, func(_ string, value any) bool { return value == nil })
	key := p.key
	if _, forged := claims["forged"]; forged {
		var err error
		if key, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
			p.t.Fatal(err)
		}
	}
	code = rand.Text()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.codes[code] = grant{query.Get("code_challenge"), query.Get("redirect_uri"), p.signed(key, claims), info}
	return code
}
