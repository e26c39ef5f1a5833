package auth

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"time"

	"github.com/gorilla/securecookie"
)

const (
	knownCookie   = "sohbet_known"
	knownLifetime = 180 * 24 * time.Hour
)

// Known recognizes browsers in which an agent signed in before. Its cookie grants no access: it only gives the browser rate limits of
// its own, which attackers cannot exhaust.
type Known struct {
	codecs []securecookie.Codec
	cookie cookie
	now    func() time.Time
}

type knownBrowser struct {
	ID      string    `json:"i"`
	Expires time.Time `json:"e"`
}

// NewKnown returns a Known whose cookies are signed and encrypted with keys.
func NewKnown(keys *Keys, cookies Cookies, now func() time.Time) *Known {
	return &Known{codecs: keys.codecs("known"), cookie: cookie{knownCookie, cookies}, now: now}
}

// ID identifies the browser of a request; "" for one that never signed in, or not within knownLifetime.
func (k *Known) ID(r *http.Request) string {
	var b knownBrowser
	value := k.cookie.value(r)
	if value == "" || securecookie.DecodeMulti(knownCookie, value, &b, k.codecs...) != nil || !k.now().Before(b.Expires) {
		return ""
	}
	return b.ID
}

// Mark sets the cookie after signing in with this browser. A browser that is already known keeps its id.
func (k *Known) Mark(w http.ResponseWriter, r *http.Request) error {
	b := knownBrowser{ID: k.ID(r), Expires: k.now().UTC().Add(knownLifetime)}
	if b.ID == "" {
		b.ID = rand.Text()
	}
	value, err := securecookie.EncodeMulti(knownCookie, b, k.codecs...)
	if err != nil {
		return fmt.Errorf("cookie of a known browser: %w", err)
	}
	k.cookie.set(w, r, value, b.Expires, knownLifetime)
	return nil
}
