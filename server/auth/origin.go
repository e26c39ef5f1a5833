package auth

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// Origins decides about requests by the origin of the page that sent them (RFC 6454): scheme, host and port.
type Origins struct {
	sites    []string
	public   origin
	https    func(*http.Request) bool
	host     func(*http.Request) string
	signedIn func(*http.Request) string
}

// OriginOptions are what [Origins] are decided by.
type OriginOptions struct {
	Sites    []string                   // other sites that may call this server from a browser
	Public   string                     // the address that browsers have for this server, PUBLIC_URL; "" = by Host alone
	HTTPS    func(*http.Request) bool   // [OverHTTPS]'s function
	Proxies  []netip.Prefix             // whose X-Forwarded-Host counts
	SignedIn func(*http.Request) string // [Sessions.Origin]; nil = no session tells
}

// NewOrigins takes its options; sites that are no origins are left out.
func NewOrigins(options OriginOptions) Origins {
	o := Origins{https: options.HTTPS, host: ForwardedHost(options.Proxies), signedIn: options.SignedIn}
	for _, site := range options.Sites {
		if parsed, ok := parseOrigin(site); ok {
			o.sites = append(o.sites, parsed.String())
		}
	}
	if u, err := url.Parse(options.Public); err == nil {
		o.public, _ = parseOrigin(u.Scheme + "://" + u.Host)
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
	return r.Header.Get("Origin") == "" || o.Listed(r) || !o.Foreign(r)
}

// Foreign reports whether a page of another site sent the request. One of a listed site gets in, but is nobody's agent: cookies
// do come along when both sites share a registrable domain. No page can forge the two headers.
func (o Origins) Foreign(r *http.Request) bool {
	return r.Header.Get("Origin") != "" && !o.Own(r) && r.Header.Get("Sec-Fetch-Site") != "same-origin"
}

// Downgraded reports whether a page that came over plain HTTP from this host, from any port, sent a request over HTTPS. Anyone
// on the network path can write such a page, so no CSRF token speaks for it; only a listed site may be one.
func (o Origins) Downgraded(r *http.Request) bool {
	page, ok := parseOrigin(r.Header.Get("Origin"))
	if !ok || page.scheme != "http" || !o.https(r) || o.Listed(r) {
		return false
	}
	for _, host := range []string{r.Host, o.host(r), o.public.authority()} {
		if here, ok := parseOrigin("https://" + host); ok && page.host == here.host {
			return true
		}
	}
	return false
}

// Own reports whether this server's own page sent the request: one of PUBLIC_URL, of the host that the request was sent to, or
// of the origin that the request's session was begun at. The server may not know that a proxy ends TLS before it, so an https
// origin is its own also where the request seems to have come over http; the reverse never happens to our pages.
func (o Origins) Own(r *http.Request) bool {
	origin, ok := parseOrigin(r.Header.Get("Origin"))
	switch {
	case !ok || origin.scheme != "https" && o.https(r):
		return false
	case origin == o.public || origin.at(r.Host) || origin.at(o.host(r)):
		return true
	case o.signedIn == nil:
		return false
	}
	begun, ok := parseOrigin(o.signedIn(r))
	return ok && begun == origin
}

// Known reports whether an origin is that of PUBLIC_URL or a listed one.
func (o Origins) Known(address string) bool {
	origin, ok := parseOrigin(address)
	return ok && (origin == o.public || slices.Contains(o.sites, origin.String()))
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

func (o origin) String() string { return o.scheme + "://" + o.authority() }

// short is the origin as browsers write it: without the scheme's own port.
func (o origin) short() string {
	host := o.host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if o.port != schemePorts[o.scheme] {
		host = o.authority()
	}
	return o.scheme + "://" + host
}

func (o origin) authority() string { return net.JoinHostPort(o.host, o.port) }

// at reports whether a request with that Host was sent to the origin's host and port, if it was sent over the origin's scheme.
func (o origin) at(host string) bool {
	there, ok := parseOrigin(o.scheme + "://" + host)
	return ok && there == o
}
