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
	return own(origin, r)
}

// Foreign reports whether a page of another site sent the request. One of a listed site gets in, but is nobody's agent: cookies
// do come along when both sites share a registrable domain. No page can forge the two headers.
func Foreign(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	return origin != "" && !own(origin, r) && r.Header.Get("Sec-Fetch-Site") != "same-origin"
}

func own(origin string, r *http.Request) bool {
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, r.Host)
}
