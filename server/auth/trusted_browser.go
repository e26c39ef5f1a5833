package auth

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"time"

	"github.com/gorilla/securecookie"
)

const (
	trustedBrowserCookie   = "sohbet_known"
	trustedBrowserLifetime = 180 * 24 * time.Hour
)

// TrustedBrowsers recognizes browsers in which an agent signed in before. Its cookie grants no access: it only gives the browser rate limits of
// its own, which attackers cannot exhaust.
type TrustedBrowsers struct {
	codecs []securecookie.Codec
	cookie cookie
	now    func() time.Time
}

type trustedBrowser struct {
	ID      string    `json:"i"`
	Expires time.Time `json:"e"`
}

// NewTrustedBrowsers returns TrustedBrowsers whose cookies are signed and encrypted with keys.
func NewTrustedBrowsers(keys *Keys, cookies Cookies, now func() time.Time) *TrustedBrowsers {
	return &TrustedBrowsers{codecs: keys.codecs("known"), cookie: cookie{trustedBrowserCookie, cookies}, now: now}
}

// ID identifies the browser of a request; "" for one that never signed in, or not within trustedBrowserLifetime.
func (k *TrustedBrowsers) ID(r *http.Request) string {
	var b trustedBrowser
	value := k.cookie.value(r)
	if value == "" || securecookie.DecodeMulti(trustedBrowserCookie, value, &b, k.codecs...) != nil || !k.now().Before(b.Expires) {
		return ""
	}
	return b.ID
}

// Mark sets the cookie after signing in with this browser. A browser that is already known keeps its id.
func (k *TrustedBrowsers) Mark(w http.ResponseWriter, r *http.Request) error {
	b := trustedBrowser{ID: k.ID(r), Expires: k.now().UTC().Add(trustedBrowserLifetime)}
	if b.ID == "" {
		b.ID = rand.Text()
	}
	value, err := securecookie.EncodeMulti(trustedBrowserCookie, b, k.codecs...)
	if err != nil {
		return fmt.Errorf("cookie of a known browser: %w", err)
	}
	k.cookie.set(w, r, value, b.Expires, trustedBrowserLifetime)
	return nil
}
