package auth

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestOrigins(t *testing.T) {
	type verdict struct{ listed, allowed, foreign, downgraded bool }
	outside, site, ours := verdict{foreign: true}, verdict{listed: true, allowed: true, foreign: true}, verdict{allowed: true}
	for _, tc := range []struct {
		origin, host string
		https        bool
		want         verdict
	}{
		{"", "chat.example", true, ours},
		{"http://chat.example", "chat.example", false, ours},
		{"https://chat.example", "chat.example", true, ours},
		{"https://chat.example", "chat.example", false, ours}, // a proxy that ends TLS and is not in TRUSTED_PROXIES
		{"https://CHAT.example", "Chat.Example", true, ours},
		{"HTTPS://chat.example", "chat.example", true, ours},
		{"https://chat.example:443", "chat.example", true, ours},
		{"https://chat.example", "chat.example:443", true, ours},
		{"http://chat.example:80", "chat.example", false, ours},
		{"http://chat.example", "chat.example:80", false, ours},
		{"http://localhost:5000", "localhost:5000", false, ours},
		{"http://[::1]:5000", "[::1]:5000", false, ours},
		{"https://[2001:DB8::1]", "[2001:db8::1]", true, ours},
		{"http://chat.example", "chat.example", true, verdict{foreign: true, downgraded: true}},
		{"http://chat.example:80", "chat.example", true, verdict{foreign: true, downgraded: true}},
		{"http://CHAT.example", "chat.example:80", true, verdict{foreign: true, downgraded: true}},
		{"http://chat.example", "chat.example:443", true, verdict{foreign: true, downgraded: true}},
		{"http://chat.example:8080", "chat.example", true, verdict{foreign: true, downgraded: true}},
		{"http://shop.example", "shop.example", true, verdict{foreign: true, downgraded: true}},
		{"http://old.example", "old.example", true, site},
		{"ftp://chat.example", "chat.example", false, outside},
		{"ws://chat.example", "chat.example", false, outside},
		{"chrome-extension://chat.example", "chat.example", true, outside},
		{"//chat.example", "chat.example", false, outside},
		{"https://chat.example:80", "chat.example", true, outside},
		{"http://chat.example:443", "chat.example", false, outside},
		{"http://chat.example:81", "chat.example", false, outside},
		{"https://chat.example/", "chat.example", true, outside},
		{"https://chat.example/path", "chat.example", true, outside},
		{"https://user@chat.example", "chat.example", true, outside},
		{"https://chat.example.evil.test", "chat.example", true, outside},
		{"https://evil.test", "chat.example", true, outside},
		{"https://evil.test", "evil.test@chat.example", true, outside},
		{"null", "chat.example", true, outside},
		{"%zz", "chat.example", true, outside},
		{"https://shop.example", "chat.example", true, site},
		{"https://Shop.example:443", "chat.example", true, site},
		{"http://shop.example", "chat.example", true, outside},
		{"https://shop.example:444", "chat.example", true, outside},
	} {
		o := NewOrigins([]string{"https://shop.example", "http://old.example"}, func(*http.Request) bool { return tc.https })
		r := httptest.NewRequest("GET", "/socket.io/", nil)
		r.Host = tc.host
		if tc.origin != "" {
			r.Header.Set("Origin", tc.origin)
		}
		if got := (verdict{o.Listed(r), o.Allowed(r), o.Foreign(r), o.Downgraded(r)}); got != tc.want {
			t.Errorf("%q to %q, https %v: %+v, want %+v", tc.origin, tc.host, tc.https, got, tc.want)
		}
	}
}

// A proxy that changes Host makes our own pages look like another site's; the browser itself says that they are not.
func TestPagesBehindAProxyThatChangesHost(t *testing.T) {
	o := NewOrigins(nil, func(*http.Request) bool { return true })
	r := httptest.NewRequest("GET", "/", nil)
	r.Host = "127.0.0.1:5000"
	r.Header.Set("Origin", "https://chat.example")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if o.Foreign(r) {
		t.Error("our own page is foreign")
	}
}
