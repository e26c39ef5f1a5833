package auth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"time"
)

const csrfCookie = "sohbet_csrf"

// CSRF issues the token in the pages' <meta name="csrf-token">: an HMAC of a random value in a cookie. The token is optional. It is
// accepted for requests whose origin cannot be verified, for example behind a proxy that rewrites Host.
type CSRF struct {
	keys   [][]byte
	cookie cookie
}

// NewCSRF returns a CSRF that signs with keys.
func NewCSRF(keys *Keys, cookies Cookies) *CSRF {
	return &CSRF{keys: keys.derive("csrf"), cookie: cookie{csrfCookie, cookies}}
}

// Token returns the token for this browser and sets its cookie if there is none.
func (c *CSRF) Token(w http.ResponseWriter, r *http.Request) string {
	value := c.cookie.value(r)
	if len(value) != 26 {
		value = rand.Text()
		c.cookie.set(w, r, value, time.Time{}, 0) // a session cookie
	}
	return hex.EncodeToString(mac(c.keys[0], value))
}

// Valid reports whether the request has a token that matches its cookie, in X-CSRF-Token or X-CSRFToken.
func (c *CSRF) Valid(r *http.Request) bool {
	value, token := c.cookie.value(r), r.Header.Get("X-CSRF-Token")
	if token == "" {
		token = r.Header.Get("X-CSRFToken")
	}
	got, err := hex.DecodeString(token)
	if err != nil || len(value) != 26 {
		return false
	}
	for _, key := range c.keys {
		if hmac.Equal(got, mac(key, value)) {
			return true
		}
	}
	return false
}

// mac returns HMAC-SHA256 over the parts, each followed by a zero byte, so that different lists have different input.
func mac(key []byte, parts ...string) []byte {
	h := hmac.New(sha256.New, key)
	for _, part := range parts {
		h.Write([]byte(part))
		h.Write([]byte{0})
	}
	return h.Sum(nil)
}
