package auth

import (
	"cmp"
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
		{"https://chat.example", "chat.example", false, ours}, // a TLS-terminating proxy that is not in TRUSTED_PROXIES
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
		o := NewOrigins(OriginOptions{Sites: []string{"https://shop.example", "http://old.example"}, HTTPS: func(*http.Request) bool { return tc.https }})
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

// A proxy that changes Host makes this server's pages appear to be from another site, unless other information identifies them.
func TestPagesBehindAProxyThatChangesHost(t *testing.T) {
	const page, inner = "https://chat.example", "127.0.0.1:5000"
	for name, tc := range map[string]struct {
		public, peer string
		origin       string // of the page; "" = chat.example
		signedIn     string
		header       []string
		listed, want bool
	}{
		"nothing says so":                   {},
		"listed, and nothing says so":       {listed: true},
		"the browser says so":               {header: []string{"Sec-Fetch-Site", "same-origin"}, want: true},
		"the browser says so of a listed":   {header: []string{"Sec-Fetch-Site", "same-origin"}, listed: true, want: true},
		"the browser says another thing":    {header: []string{"Sec-Fetch-Site", "same-site"}},
		"PUBLIC_URL":                        {public: page, want: true},
		"PUBLIC_URL of a listed site":       {public: page, listed: true, want: true},
		"PUBLIC_URL with path and port":     {public: "https://chat.example:443/chat", want: true},
		"PUBLIC_URL of another port":        {public: "https://chat.example:8443"},
		"PUBLIC_URL by http":                {public: "http://chat.example"},
		"PUBLIC_URL, a page by http":        {public: page, origin: "http://chat.example"},
		"a trusted proxy":                   {peer: "10.0.0.1:5", header: []string{"X-Forwarded-Host", "chat.example"}, want: true},
		"a trusted proxy, listed":           {peer: "10.0.0.1:5", header: []string{"X-Forwarded-Host", "chat.example"}, listed: true, want: true},
		"a trusted proxy with the port":     {peer: "10.0.0.1:5", header: []string{"X-Forwarded-Host", "Chat.Example:443"}, want: true},
		"a trusted proxy, in a second line": {peer: "10.0.0.1:5", header: []string{"X-Forwarded-Host", "evil.test", "X-Forwarded-Host", "chat.example"}, want: true},
		"a trusted proxy after a client":    {peer: "10.0.0.1:5", header: []string{"X-Forwarded-Host", "evil.test, chat.example"}, want: true},
		"a client before a trusted proxy":   {peer: "10.0.0.1:5", header: []string{"X-Forwarded-Host", "chat.example, other.example"}},
		"a trusted proxy without a host":    {peer: "10.0.0.1:5", header: []string{"X-Forwarded-Host", ""}},
		"an untrusted proxy":                {peer: "192.0.2.1:5", header: []string{"X-Forwarded-Host", "chat.example"}},
		"the session began there":           {signedIn: page, want: true},
		"the session began there, listed":   {signedIn: page, listed: true, want: true},
		"the session began elsewhere":       {signedIn: "https://other.example"},
		"the session began by http":         {signedIn: "http://chat.example", origin: "http://chat.example"},
	} {
		o := OriginOptions{Public: tc.public, HTTPS: func(*http.Request) bool { return true }, Proxies: trustedNetworks, SignedIn: func(*http.Request) string { return tc.signedIn }}
		if tc.listed {
			o.Sites = []string{page}
		}
		r := from(cmp.Or(tc.peer, "10.0.0.1:5"), tc.header...)
		r.Host = inner
		r.Header.Set("Origin", cmp.Or(tc.origin, page))
		origins := NewOrigins(o)
		if got := !origins.Foreign(r); got != tc.want {
			t.Errorf("%s: ours is %v", name, got)
		}
		if got := origins.Allowed(r); got != (tc.want || tc.listed) {
			t.Errorf("%s: allowed is %v", name, got)
		}
	}
}

// A page loaded over plain HTTP is not trusted behind a proxy that changes Host either.
func TestDowngradedBehindAProxyThatChangesHost(t *testing.T) {
	for name, o := range map[string]OriginOptions{
		"PUBLIC_URL": {Public: "https://chat.example"}, "X-Forwarded-Host": {Proxies: trustedNetworks},
	} {
		o.HTTPS = func(*http.Request) bool { return true }
		r := from("10.0.0.1:5", "X-Forwarded-Host", "chat.example", "Origin", "http://chat.example")
		r.Host = "127.0.0.1:5000"
		if !NewOrigins(o).Downgraded(r) {
			t.Errorf("%s: a page by plain HTTP passes", name)
		}
	}
}
