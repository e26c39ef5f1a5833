package auth

import (
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/labstack/echo/v4"
)

// ClientAddress gives the function that tells a request's address. X-Forwarded-For counts only as far as it was written by
// trusted proxies: it is read from the right, and the first address that is no trusted proxy is the client's. X-Real-IP counts
// where a trusted proxy writes that alone, as Railway's documents.
func ClientAddress(trusted []netip.Prefix) func(*http.Request) string {
	if len(trusted) == 0 {
		return echo.ExtractIPDirect()
	}
	options := []echo.TrustOption{echo.TrustLoopback(false), echo.TrustLinkLocal(false), echo.TrustPrivateNet(false)}
	for _, p := range trusted {
		ip := p.Addr()
		options = append(options, echo.TrustIPRange(&net.IPNet{IP: ip.AsSlice(), Mask: net.CIDRMask(p.Bits(), ip.BitLen())}))
	}
	forwarded, real := echo.ExtractIPFromXFFHeader(options...), echo.ExtractIPFromRealIPHeader(options...)
	return func(r *http.Request) string {
		if r.Header.Get(echo.HeaderXForwardedFor) == "" {
			return real(r)
		}
		return forwarded(r)
	}
}

// OverHTTPS gives the function that tells whether a request came over HTTPS: by itself, or by the word of a trusted proxy in
// X-Forwarded-Proto.
func OverHTTPS(trusted []netip.Prefix) func(*http.Request) bool {
	return func(r *http.Request) bool {
		if r.TLS != nil {
			return true
		}
		first, _, _ := strings.Cut(r.Header.Get("X-Forwarded-Proto"), ",")
		if !strings.EqualFold(strings.TrimSpace(first), "https") {
			return false
		}
		peer, err := netip.ParseAddrPort(r.RemoteAddr)
		if err != nil {
			return false
		}
		for _, p := range trusted {
			if p.Contains(peer.Addr().Unmap().WithZone("")) {
				return true
			}
		}
		return false
	}
}
