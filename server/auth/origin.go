package auth

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Origins tells which other sites may call this server from a browser.
type Origins []string

// Listed reports whether the request comes from a page of a listed site.
func (o Origins) Listed(r *http.Request) bool {
	return slices.Contains(o, strings.ToLower(r.Header.Get("Origin")))
}

// Allowed reports whether the request comes from this server's own pages, a listed site, or no browser at all. It is for
// handshakes, where browsers send Origin though the method is GET.
func (o Origins) Allowed(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" || o.Listed(r) {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, r.Host)
}
