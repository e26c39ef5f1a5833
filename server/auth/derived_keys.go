// Package auth authenticates clients: session cookies, one-time codes, the agent's password, rate limits, and client addresses and
// origins.
package auth

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/gorilla/securecookie"
)

// Keys derives one key per purpose from each secret of SECRET_KEY by HKDF-SHA256 (RFC 5869), so that a value signed for one purpose is
// invalid for another. The first secret signs, all of them verify.
type Keys struct{ secrets []string }

// NewKeys takes the secrets, newest first; at least one, each of at least 32 characters (checked by package config).
func NewKeys(secrets []string) (*Keys, error) {
	if len(secrets) == 0 {
		return nil, errors.New("auth: no secret key")
	}
	return &Keys{secrets: secrets}, nil
}

// derive returns a 32-byte key for the purpose from each secret.
func (k *Keys) derive(purpose string) [][]byte {
	keys := make([][]byte, 0, len(k.secrets))
	for _, secret := range k.secrets {
		key, err := hkdf.Key(sha256.New, []byte(secret), nil, "sohbet "+purpose, 32)
		if err != nil { // only for lengths over 255 times the hash size
			panic(fmt.Sprintf("auth: derive key: %v", err))
		}
		keys = append(keys, key)
	}
	return keys
}

// DoctorTokens returns the bearer tokens, one per secret, with which `sohbet doctor` reads the details of /health.
func (k *Keys) DoctorTokens() []string {
	var tokens []string
	for _, key := range k.derive("doctor token") {
		tokens = append(tokens, hex.EncodeToString(key))
	}
	return tokens
}

// codecs returns codecs that encrypt and sign cookie values. Values contain their expiry, which their readers check against one clock,
// so the codecs' own check is off.
func (k *Keys) codecs(purpose string) []securecookie.Codec {
	hash, block := k.derive(purpose+" hash"), k.derive(purpose+" block")
	codecs := make([]securecookie.Codec, len(hash))
	for i := range hash {
		codecs[i] = securecookie.New(hash[i], block[i]).MaxAge(0).SetSerializer(jsonSerializer{})
	}
	return codecs
}

// jsonSerializer writes compact JSON; the library's adds a newline, and its gob encoding includes type names.
type jsonSerializer struct{}

func (jsonSerializer) Serialize(src any) ([]byte, error)     { return json.Marshal(src) }
func (jsonSerializer) Deserialize(src []byte, dst any) error { return json.Unmarshal(src, dst) }

// Cookies are the attributes shared by all cookies.
type Cookies struct {
	HTTPS func(*http.Request) bool // whether a request came over HTTPS, in which case its cookies are Secure
	Base  string                   // URL path prefix for which they are sent, without a trailing slash; "" = the root
}

// cookie is a named cookie with these attributes.
type cookie struct {
	name string
	Cookies
}

func (c cookie) set(w http.ResponseWriter, r *http.Request, value string, expires time.Time, maxAge time.Duration) {
	http.SetCookie(w, &http.Cookie{
		Name: c.name, Value: value, Path: c.Base + "/", Expires: expires, MaxAge: int(maxAge.Seconds()),
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: c.HTTPS(r),
	})
}

func (c cookie) clear(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, &http.Cookie{
		Name: c.name, Path: c.Base + "/", Expires: time.Unix(1, 0), MaxAge: -1,
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: c.HTTPS(r),
	})
}

func (c cookie) value(r *http.Request) string {
	got, err := r.Cookie(c.name)
	if err != nil {
		return ""
	}
	return got.Value
}
