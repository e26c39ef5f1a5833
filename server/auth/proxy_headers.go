package auth

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// maxHops is the maximum number of elements of an address header that are read.
const maxHops = 32

// ClientAddress returns a function that determines a request's client address. That is the peer's address, unless the peer is a trusted
// proxy: then the header set by proxies (X-Forwarded-For, X-Real-IP, CF-Connecting-IP, ...) is read from right to left over all its
// lines, and the first address that is not a trusted proxy is the client's. Elements further left, or left of an invalid element, were
// not written by a trusted proxy and are ignored. If there is no client address the last trusted one is returned. Addresses are in
// canonical form (RFC 5952), without port and zone, and IPv4-mapped ones as IPv4.
func ClientAddress(trusted []netip.Prefix, header string) func(*http.Request) string {
	return func(r *http.Request) string {
		address, ok := hop(r.RemoteAddr)
		if !ok {
			host, _, _ := net.SplitHostPort(r.RemoteAddr)
			return host
		}
		if !within(trusted, address) {
			return address.String()
		}
		lines, left := r.Header.Values(header), maxHops
		for i := len(lines) - 1; i >= 0; i-- {
			for rest, more := lines[i], true; more; left-- {
				if left == 0 {
					return address.String()
				}
				comma := strings.LastIndexByte(rest, ',')
				element := strings.TrimSpace(rest[comma+1:])
				if more = comma >= 0; more {
					rest = rest[:comma]
				}
				if element == "" { // RFC 9110 §5.6.1.2
					continue
				}
				next, ok := hop(element)
				if !ok {
					return address.String()
				}
				if address = next; !within(trusted, address) {
					return address.String()
				}
			}
		}
		return address.String()
	}
}

// hop parses an element of an address header: an address, possibly with a port, a zone, brackets or quotes.
func hop(s string) (netip.Addr, bool) {
	if n := len(s); n > 1 && s[0] == '"' && s[n-1] == '"' {
		s = s[1 : n-1]
	}
	address, err := netip.ParseAddr(s)
	if n := len(s); err != nil && n > 1 && s[0] == '[' && s[n-1] == ']' {
		address, err = netip.ParseAddr(s[1 : n-1])
	}
	if err != nil {
		var withPort netip.AddrPort
		withPort, err = netip.ParseAddrPort(s)
		address = withPort.Addr()
	}
	return address.Unmap().WithZone(""), err == nil
}

func within(networks []netip.Prefix, a netip.Addr) bool {
	for _, p := range networks {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// OverHTTPS returns a function that reports whether a request came over HTTPS: directly, or according to a trusted proxy's
// X-Forwarded-Proto.
func OverHTTPS(trusted []netip.Prefix) func(*http.Request) bool {
	return func(r *http.Request) bool {
		return r.TLS != nil || strings.EqualFold(forwarded(r, "X-Forwarded-Proto", trusted), "https")
	}
}

// ForwardedHost returns a function that returns the client's Host according to a trusted proxy's X-Forwarded-Host; "" if there is none.
func ForwardedHost(trusted []netip.Prefix) func(*http.Request) string {
	return func(r *http.Request) string { return forwarded(r, "X-Forwarded-Host", trusted) }
}

// forwarded returns the last value of a header, which the nearest proxy wrote; "" if the peer is not a trusted proxy.
func forwarded(r *http.Request, header string, trusted []netip.Prefix) string {
	lines := r.Header.Values(header)
	if len(lines) == 0 {
		return ""
	}
	peer, ok := hop(r.RemoteAddr)
	if !ok || !within(trusted, peer) {
		return ""
	}
	last := lines[len(lines)-1]
	return strings.TrimSpace(last[strings.LastIndexByte(last, ',')+1:])
}
