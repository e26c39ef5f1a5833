package auth

import (
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Origins decides about requests by the origin of the page that sent them (RFC 6454): scheme, host and port.
type Origins struct {
	sites []string
	https func(*http.Request) bool
}

// NewOrigins takes the other sites that may call this server from a browser, and [OverHTTPS]'s function.
func NewOrigins(sites []string, https func(*http.Request) bool) Origins {
	o := Origins{https: https}
	for _, site := range sites {
		if parsed, ok := parseOrigin(site); ok {
			o.sites = append(o.sites, parsed.String())
		}
	}
	return o
}

// Listed reports whether the request comes from a page of a listed site.
func (o Origins) Listed(r *http.Request) bool {
	origin, ok := parseOrigin(r.Header.Get("Origin"))
	return ok && slices.Contains(o.sites, origin.String())
}

// Allowed reports whether the request comes from this server's own pages, a listed site, or no browser at all. It is for
// handshakes, where browsers send Origin though the method is GET.
func (o Origins) Allowed(r *http.Request) bool {
	return r.Header.Get("Origin") == "" || o.Listed(r) || o.own(r)
}

// Foreign reports whether a page of another site sent the request. One of a listed site gets in, but is nobody's agent: cookies
// do come along when both sites share a registrable domain. No page can forge the two headers.
func (o Origins) Foreign(r *http.Request) bool {
	return r.Header.Get("Origin") != "" && !o.own(r) && r.Header.Get("Sec-Fetch-Site") != "same-origin"
}

// Downgraded reports whether a page that came over plain HTTP from this host, from any port, sent a request over HTTPS. Anyone
// on the network path can write such a page, so no CSRF token speaks for it; only a listed site may be one.
func (o Origins) Downgraded(r *http.Request) bool {
	page, ok := parseOrigin(r.Header.Get("Origin"))
	if !ok || page.scheme != "http" || !o.https(r) || o.Listed(r) {
		return false
	}
	here, ok := parseOrigin("https://" + r.Host)
	return ok && page.host == here.host
}

// own reports whether this server's own page sent the request. The server may not know that a proxy ends TLS before it, so
// an https origin is its own also where the request seems to have come over http; the reverse never happens to our pages.
func (o Origins) own(r *http.Request) bool {
	origin, ok := parseOrigin(r.Header.Get("Origin"))
	return ok && origin.at(r.Host) && (origin.scheme == "https" || !o.https(r))
}

// origin is what a browser's Origin header holds, in lower case and with the port.
type origin struct{ scheme, host, port string }

var schemePorts = map[string]string{"http": "80", "https": "443"}

func parseOrigin(s string) (origin, bool) {
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || schemePorts[u.Scheme] == "" {
		return origin{}, false
	}
	o := origin{scheme: u.Scheme, host: strings.ToLower(u.Hostname()), port: u.Port()}
	if o.port == "" {
		o.port = schemePorts[o.scheme]
	}
	return o, true
}

func (o origin) String() string { return o.scheme + "://" + net.JoinHostPort(o.host, o.port) }

// at reports whether a request with that Host was sent to the origin's host and port, if it was sent over the origin's scheme.
func (o origin) at(host string) bool {
	there, ok := parseOrigin(o.scheme + "://" + host)
	return ok && there == o
}
