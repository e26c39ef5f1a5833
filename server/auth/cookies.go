package auth

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/gorilla/securecookie"
)

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

func (jsonSerializer) Serialize(src any) ([]byte, error) { return json.Marshal(src) }

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

// sealedCookie is an encrypted cookie.
type sealedCookie struct {
	cookie
	codecs   []securecookie.Codec
	lifetime time.Duration
}

// seal sets the cookie to a value, which contains when it expires.
func (c sealedCookie) seal(w http.ResponseWriter, r *http.Request, value any, expires time.Time) error {
	text, err := securecookie.EncodeMulti(c.name, value, c.codecs...)
	if err != nil {
		return fmt.Errorf("cookie %s: %w", c.name, err)
	}
	c.set(w, r, text, expires, c.lifetime)
	return nil
}

// open reads the cookie into a value, and reports whether there was one.
func (c sealedCookie) open(r *http.Request, value any) bool {
	text := c.value(r)
	return text != "" && securecookie.DecodeMulti(c.name, text, value, c.codecs...) == nil
}

func (c cookie) value(r *http.Request) string {
	got, err := r.Cookie(c.name)
	if err != nil {
		return ""
	}
	return got.Value
}
