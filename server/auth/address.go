package auth

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// maxHops bounds how many elements of an address header are read.
const maxHops = 32

// ClientAddress returns the function that determines a request's address. The peer's address counts, unless the peer is a trusted
// proxy: then the header that proxies write (X-Forwarded-For, X-Real-IP, CF-Connecting-IP, ...) is read from the right over all
// of its lines, and the first address that is no trusted proxy is the client's. Whatever stands left of that, or of something
// that is no address, was not written by a trusted proxy; the last trusted address is returned when there is no client's. No
// other header counts. Addresses are returned in their canonical form (RFC 5952), without port and zone, IPv4-mapped ones as
// IPv4.
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

// hop parses an element of an address header: an address, perhaps with a port, a zone, brackets or quotes.
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

// OverHTTPS returns the function that reports whether a request came over HTTPS: by itself, or as a trusted proxy says in
// X-Forwarded-Proto.
func OverHTTPS(trusted []netip.Prefix) func(*http.Request) bool {
	return func(r *http.Request) bool {
		return r.TLS != nil || strings.EqualFold(forwarded(r, "X-Forwarded-Proto", trusted), "https")
	}
}

// ForwardedHost returns the function that gives the Host which a client sent, as a trusted proxy that changes Host says in
// X-Forwarded-Host; "" for none.
func ForwardedHost(trusted []netip.Prefix) func(*http.Request) string {
	return func(r *http.Request) string { return forwarded(r, "X-Forwarded-Host", trusted) }
}

// forwarded is the last value of a header, which is the one that the proxy itself wrote; "" where the peer is no trusted proxy.
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
