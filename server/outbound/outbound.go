// Package outbound makes HTTP requests to addresses chosen by third parties (push services, webhooks) without giving access to this
// server's own networks (SSRF).
package outbound

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"time"
)

// ErrNotPublic is returned for a connection to an address that is not on the public internet.
var ErrNotPublic = errors.New("the address is not on the public internet")

// internet is the part of IPv6 allocated by IANA for global unicast. Everything outside it is reserved, IPv4-translated (64:ff9b::/96,
// ::/96), site-local (fec0::/10), unique local (fc00::/7), link-local or multicast.
var internet = netip.MustParsePrefix("2000::/3")

// reserved are the non-public networks that package netip does not recognize: those of IANA's special-purpose registries (RFC 6890),
// including tunnels for IPv4 addresses: Teredo (in 2001::/23) and 6to4 (2002::/16).
var reserved = prefixes(
	"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
	"2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
)

func prefixes(texts ...string) (list []netip.Prefix) {
	for _, text := range texts {
		list = append(list, netip.MustParsePrefix(text))
	}
	return list
}

// Public reports whether an address is on the public internet.
func Public(a netip.Addr) bool {
	a = a.Unmap()
	if !a.IsGlobalUnicast() || a.IsPrivate() || a.Zone() != "" || a.Is6() && !internet.Contains(a) {
		return false
	}
	for _, p := range reserved {
		if p.Contains(a) {
			return false
		}
	}
	return true
}

// MayBePublic reports whether a URL's host may be on the public internet: a public address, or a name that does not denote this
// machine. What a name resolves to is checked when it is dialled, see [Transport].
func MayBePublic(host string) bool {
	if a, err := netip.ParseAddr(host); err == nil {
		return Public(a)
	}
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	last := name[strings.LastIndexByte(name, '.')+1:]
	if last == "" || last == "localhost" || last == "local" || last == "internal" || strings.ContainsAny(name, ":%") {
		return false
	}
	// Resolvers accept 127.1, 0x7f000001 and 2130706433 as addresses; no top-level domain begins with a digit (RFC 3696 §2).
	return last[0] < '0' || last[0] > '9'
}

// Transport returns a transport that only connects to public addresses and uses no proxy. Each address is checked when it is dialled,
// so DNS rebinding cannot bypass the check. resolver may be nil.
func Transport(resolver *net.Resolver) *http.Transport {
	dialer := &net.Dialer{Timeout: 10 * time.Second, Resolver: resolver, Control: func(_, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if err != nil || !Public(to.Addr()) {
			return ErrNotPublic
		}
		return nil
	}}
	return &http.Transport{
		DialContext: dialer.DialContext, ForceAttemptHTTP2: true, MaxIdleConns: 16, IdleConnTimeout: time.Minute,
		TLSHandshakeTimeout: 10 * time.Second, MaxResponseHeaderBytes: 16 << 10,
	}
}
