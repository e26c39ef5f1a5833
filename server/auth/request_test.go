package auth

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestPassword(t *testing.T) {
	hash := hashed(t, "açık susam açıl")
	for name, p := range map[string]password{
		"plain": newPassword(t, "açık susam açıl"), "argon2id": newPassword(t, hash),
	} {
		if !strings.HasPrefix(p.hash, "$argon2id$") {
			t.Errorf("%s: kept as it was given", name)
		}
		for _, tc := range []struct {
			user, password string
			want           bool
		}{
			{"admin", "açık susam açıl", true}, {"admin", "açık susam açı", false}, {"admin", "", false},
			{"Admin", "açık susam açıl", false}, {"", "açık susam açıl", false}, {"admin", hash, false},
		} {
			ok, err := p.enter(t.Context(), tc.user, tc.password, "", "192.0.2.1")
			if err != nil || ok != tc.want {
				t.Errorf("%s: %q %q: %v %v, want %v", name, tc.user, tc.password, ok, err, tc.want)
			}
		}
	}
	none := newPassword(t, "")
	if ok, _ := none.enter(t.Context(), "admin", "", "", "192.0.2.1"); ok {
		t.Error("no password set, yet the empty one opens")
	}
}

func TestCSRF(t *testing.T) {
	c := NewCSRF(keys(t, keyA), plainHTTP)
	b := browser{}
	w := httptest.NewRecorder()
	token := c.Token(w, b.request())
	b.keep(w)
	if again := c.Token(httptest.NewRecorder(), b.request()); again != token {
		t.Error("the token changes while the cookie stays")
	}
	for name, tc := range map[string]struct {
		b      browser
		header string
		token  string
		want   bool
	}{
		"right": {b, "X-CSRF-Token", token, true}, "other name": {b, "X-CSRFToken", token, true},
		"none": {b, "X-CSRF-Token", "", false}, "wrong": {b, "X-CSRF-Token", strings.Repeat("0", 64), false},
		"no cookie": {browser{}, "X-CSRF-Token", token, false}, "the cookie itself": {b, "X-CSRF-Token", b[csrfCookie].Value, false},
	} {
		r := tc.b.request()
		r.Header.Set(tc.header, tc.token)
		if got := c.Valid(r); got != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	r := b.request()
	r.Header.Set("X-CSRF-Token", token)
	if !NewCSRF(keys(t, keyB, keyA), plainHTTP).Valid(r) {
		t.Error("rotation invalidates the token")
	}
}

func TestOverHTTPSAndClientAddress(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for name, tc := range map[string]struct {
		trusted              []netip.Prefix
		peer, forward, proto string
		address              string
		https                bool
	}{
		"direct":                    {nil, "192.0.2.1:5", "", "", "192.0.2.1", false},
		"no trusted proxies":        {nil, "10.0.0.1:5", "198.51.100.7", "https", "10.0.0.1", false},
		"an untrusted peer":         {trusted, "192.0.2.1:5", "198.51.100.7", "https", "192.0.2.1", false},
		"a proxy's word":            {trusted, "10.0.0.1:5", "198.51.100.7", "https", "198.51.100.7", true},
		"two proxies":               {trusted, "10.0.0.1:5", "198.51.100.7, 10.9.9.9", "http,https", "198.51.100.7", true},
		"a forged beginning":        {trusted, "10.0.0.1:5", "203.0.113.9, 198.51.100.7", "http", "198.51.100.7", false},
		"a proxy over IPv6":         {trusted, "[fd00::1]:5", "2001:db8::1", "https", "2001:db8::1", true},
		"private is not trusted":    {trusted, "192.168.1.1:5", "198.51.100.7", "https", "192.168.1.1", false},
		"loopback is not trusted":   {trusted, "127.0.0.1:5", "198.51.100.7", "https", "127.0.0.1", false},
		"a proxy that says nothing": {trusted, "10.0.0.1:5", "", "", "10.0.0.1", false},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = tc.peer
		if tc.forward != "" {
			r.Header.Set("X-Forwarded-For", tc.forward)
		}
		if tc.proto != "" {
			r.Header.Set("X-Forwarded-Proto", tc.proto)
		}
		if got := ClientAddress(tc.trusted, "X-Forwarded-For")(r); got != tc.address {
			t.Errorf("%s: address %q, want %q", name, got, tc.address)
		}
		if got := OverHTTPS(tc.trusted)(r); got != tc.https {
			t.Errorf("%s: https %v, want %v", name, got, tc.https)
		}
	}
	s := NewSessions(keys(t, keyA), &memorySessions{}, Cookies{HTTPS: func(*http.Request) bool { return true }, Base: "/chat"}, time.Now)
	w := httptest.NewRecorder()
	if _, err := s.Issue(w, httptest.NewRequest("GET", "/", nil), Account{Name: "admin"}); err != nil || !w.Result().Cookies()[0].Secure {
		t.Error("behind HTTPS the cookie should be Secure")
	}
	if got := w.Result().Cookies()[0].Path; got != "/chat/" {
		t.Errorf("below a path the cookie is sent to %q", got)
	}
}
