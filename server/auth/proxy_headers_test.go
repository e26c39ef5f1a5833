package auth

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

var trustedNetworks = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}

// from returns a request from a peer with header lines in order: name, value, name, value.
func from(peer string, lines ...string) *http.Request {
	r := httptest.NewRequest("GET", "/", nil)
	r.RemoteAddr = peer
	for i := 0; i < len(lines); i += 2 {
		r.Header.Add(lines[i], lines[i+1])
	}
	return r
}

func TestClientAddressReadsEveryLineFromTheRight(t *testing.T) {
	const xff, real = "X-Forwarded-For", "X-Real-IP"
	for _, tc := range []struct {
		name  string
		lines []string
		want  string
	}{
		{"no header", nil, "10.0.0.1"},
		{"one value", []string{xff, "198.51.100.7"}, "198.51.100.7"},
		{"a spoofed value before the proxy's", []string{xff, "203.0.113.9, 198.51.100.7"}, "198.51.100.7"},
		{"a spoofed line before the proxy's", []string{xff, "203.0.113.9", xff, "198.51.100.7"}, "198.51.100.7"},
		{"several spoofed lines", []string{xff, "203.0.113.9", xff, "203.0.113.10, 10.1.1.1", xff, "198.51.100.7"}, "198.51.100.7"},
		{"an empty first line", []string{xff, "", xff, "198.51.100.7"}, "198.51.100.7"},
		{"an empty first line and X-Real-IP", []string{xff, "", real, "203.0.113.9", xff, "198.51.100.7"}, "198.51.100.7"},
		{"only an empty line and X-Real-IP", []string{xff, "", real, "203.0.113.9"}, "10.0.0.1"},
		{"X-Real-IP alone", []string{real, "203.0.113.9"}, "10.0.0.1"},
		{"other headers", []string{"CF-Connecting-IP", "203.0.113.9", "True-Client-IP", "203.0.113.9", "Forwarded", "for=203.0.113.9"}, "10.0.0.1"},
		{"two proxies", []string{xff, "198.51.100.7, 10.9.9.9"}, "198.51.100.7"},
		{"two proxies, two lines", []string{xff, "198.51.100.7", xff, "10.9.9.9"}, "198.51.100.7"},
		{"trusted addresses only", []string{xff, "10.3.3.3, 10.2.2.2"}, "10.3.3.3"},
		{"empty elements", []string{xff, "198.51.100.7, , 10.9.9.9,"}, "198.51.100.7"},
		{"a malformed value", []string{xff, "203.0.113.9, nonsense"}, "10.0.0.1"},
		{"a malformed value after a trusted proxy's", []string{xff, "203.0.113.9, nonsense, 10.9.9.9"}, "10.9.9.9"},
		{"unknown (RFC 7239 §6.2)", []string{xff, "203.0.113.9, unknown"}, "10.0.0.1"},
		{"a Unix socket", []string{xff, "203.0.113.9, unix:"}, "10.0.0.1"},
		{"a port", []string{xff, "198.51.100.7:5678"}, "198.51.100.7"},
		{"a port of a trusted proxy", []string{xff, "198.51.100.7:1, 10.9.9.9:443"}, "198.51.100.7"},
		{"IPv6", []string{xff, "2001:DB8:0:0:0:0:0:1"}, "2001:db8::1"},
		{"IPv6 in brackets", []string{xff, "[2001:db8::1]"}, "2001:db8::1"},
		{"IPv6 and a port", []string{xff, "[2001:db8::1]:5678"}, "2001:db8::1"},
		{"IPv6 with a zone", []string{xff, "fe80::1%eth0"}, "fe80::1"},
		{"quotes", []string{xff, `"[2001:db8::1]:5678"`}, "2001:db8::1"},
		{"IPv4-mapped", []string{xff, "::ffff:198.51.100.7"}, "198.51.100.7"},
		{"IPv4-mapped in hexadecimal", []string{xff, "::ffff:c633:6407"}, "198.51.100.7"},
		{"an IPv4-mapped trusted proxy", []string{xff, "198.51.100.7, ::ffff:10.9.9.9"}, "198.51.100.7"},
		{"a leading zero", []string{xff, "198.51.100.07"}, "10.0.0.1"},
		{"no address but a port", []string{xff, ":80"}, "10.0.0.1"},
	} {
		if got := ClientAddress(trustedNetworks, xff)(from("10.0.0.1:5", tc.lines...)); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
	for peer, want := range map[string]string{
		"192.0.2.1:5": "192.0.2.1", "[::ffff:192.0.2.1]:5": "192.0.2.1", "[::ffff:10.0.0.1]:5": "198.51.100.7", "[fd00::1%eth0]:5": "198.51.100.7",
	} {
		if got := ClientAddress(trustedNetworks, xff)(from(peer, xff, "198.51.100.7")); got != want {
			t.Errorf("peer %s: %q, want %q", peer, got, want)
		}
	}
}

func TestClientAddressReadsOnlyTheNamedHeader(t *testing.T) {
	for _, header := range []string{"X-Real-IP", "CF-Connecting-IP", "cf-connecting-ip"} {
		address := ClientAddress(trustedNetworks, header)
		for _, tc := range []struct {
			peer  string
			lines []string
			want  string
		}{
			{"10.0.0.1:5", []string{header, "198.51.100.7", "X-Forwarded-For", "203.0.113.9"}, "198.51.100.7"},
			{"10.0.0.1:5", []string{header, "203.0.113.9", header, "198.51.100.7"}, "198.51.100.7"},
			{"10.0.0.1:5", []string{header, "nonsense", "X-Forwarded-For", "203.0.113.9"}, "10.0.0.1"},
			{"10.0.0.1:5", []string{header, "", "X-Forwarded-For", "203.0.113.9"}, "10.0.0.1"},
			{"192.0.2.1:5", []string{header, "203.0.113.9"}, "192.0.2.1"},
		} {
			if got := address(from(tc.peer, tc.lines...)); got != tc.want {
				t.Errorf("%s: %v: %q, want %q", header, tc.lines, got, tc.want)
			}
		}
	}
}

// Headers may be 32 kB long; parsing must be cheap for every request from a trusted address.
func TestClientAddressStopsAfterSomeHops(t *testing.T) {
	for _, list := range []string{strings.Repeat("10.9.9.9, ", 3000), strings.Repeat(",", 30_000)} {
		r := from("10.0.0.1:5", "X-Forwarded-For", "203.0.113.9, "+list)
		if got := ClientAddress(trustedNetworks, "X-Forwarded-For")(r); got != "10.9.9.9" && got != "10.0.0.1" {
			t.Errorf("the walk went on to %q", got)
		}
	}
}

func TestOverHTTPSReadsTheLastValue(t *testing.T) {
	const proto = "X-Forwarded-Proto"
	for _, tc := range []struct {
		lines []string
		want  bool
	}{
		{[]string{proto, "https"}, true},
		{[]string{proto, "HTTPS "}, true},
		{[]string{proto, "http"}, false},
		{nil, false},
		{[]string{proto, "http, https"}, true},
		{[]string{proto, "https, http"}, false},
		{[]string{proto, "https", proto, "http"}, false},
		{[]string{proto, "", proto, "https"}, true},
		{[]string{proto, "https", proto, ""}, false},
	} {
		if got := OverHTTPS(trustedNetworks)(from("[::ffff:10.0.0.1]:5", tc.lines...)); got != tc.want {
			t.Errorf("%q: %v", tc.lines, got)
		}
		if OverHTTPS(trustedNetworks)(from("192.0.2.1:5", tc.lines...)) {
			t.Errorf("%q of an untrusted peer counts", tc.lines)
		}
	}
}

func TestOneCustomerHasOneKey(t *testing.T) {
	address := ClientAddress(trustedNetworks, "X-Forwarded-For")
	for want, forms := range map[string][]string{
		"2001:db8:1:2::/64": {
			"2001:db8:1:2::1", "2001:DB8:1:2:0:0:0:1", "2001:0db8:0001:0002:ffff:ffff:ffff:ffff", "[2001:db8:1:2::5]", "[2001:db8:1:2::5]:80", "2001:db8:1:2::1.2.3.4",
			"2001:db8:1:2::1%eth0", `"[2001:db8:1:2::1]:9"`,
		},
		"192.0.2.1": {"192.0.2.1", "192.0.2.1:80", "::ffff:192.0.2.1", "::FFFF:c000:201", "[::ffff:192.0.2.1]:80", "0:0:0:0:0:ffff:192.0.2.1"},
	} {
		for _, form := range forms {
			if got := AddressKey(address(from("10.0.0.1:5", "X-Forwarded-For", form))); got != want {
				t.Errorf("%s: key %q, want %q", form, got, want)
			}
		}
	}
}
