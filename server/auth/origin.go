package auth

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
)

// Origins classifies requests by the origin of the page that sent them (RFC 6454): scheme, host and port.
type Origins struct {
	sites    *atomic.Pointer[[]string]
	public   origin
	https    func(*http.Request) bool
	host     func(*http.Request) string
	signedIn func(*http.Request) string
}

// OriginOptions configure [Origins].
type OriginOptions struct {
	Sites    []string                   // other sites that may call this server from a browser
	Public   string                     // this server's URL for browsers, PUBLIC_URL; "" = only Host is compared
	HTTPS    func(*http.Request) bool   // see [OverHTTPS]
	Proxies  []netip.Prefix             // proxies whose X-Forwarded-Host is trusted
	SignedIn func(*http.Request) string // see [Sessions.Origin]; nil = sessions are ignored
}

// NewOrigins returns Origins.
func NewOrigins(options OriginOptions) Origins {
	o := Origins{sites: new(atomic.Pointer[[]string]), https: options.HTTPS, host: ForwardedHost(options.Proxies), signedIn: options.SignedIn}
	o.SetSites(options.Sites)
	if u, err := url.Parse(options.Public); err == nil {
		o.public, _ = parseOrigin(u.Scheme + "://" + u.Host)
	}
	return o
}

// SetSites replaces the other sites that may call this server; those that are not valid origins are ignored. It may be called at any time.
func (o Origins) SetSites(sites []string) {
	list := make([]string, 0, len(sites))
	for _, site := range sites {
		if parsed, ok := parseOrigin(site); ok {
			list = append(list, parsed.String())
		}
	}
	o.sites.Store(&list)
}

// Sites reports whether there are other sites that may call this server.
func (o Origins) Sites() bool { return len(*o.sites.Load()) > 0 }

// Lists reports whether an Origin header is that of a listed site.
func (o Origins) Lists(header string) bool {
	site, ok := parseOrigin(header)
	return ok && o.listed(site)
}

// listed reports whether an origin is that of a listed site.
func (o Origins) listed(site origin) bool { return slices.Contains(*o.sites.Load(), site.String()) }

// Listed reports whether the request comes from a page of a listed site.
func (o Origins) Listed(r *http.Request) bool {
	return o.Lists(r.Header.Get("Origin"))
}

// Allowed reports whether the request comes from this server's own pages, a listed site, or a client that is not a browser. It is for
// socket handshakes, where browsers send Origin with GET requests.
func (o Origins) Allowed(r *http.Request) bool {
	return r.Header.Get("Origin") == "" || o.Listed(r) || !o.Foreign(r)
}

// Foreign reports whether a page of another site sent the request. A page of a listed site may connect, but must not act as an agent:
// browsers do send cookies when both sites share a registrable domain. Pages cannot forge the Origin and Sec-Fetch-Site headers.
func (o Origins) Foreign(r *http.Request) bool {
	return r.Header.Get("Origin") != "" && !o.Own(r) && r.Header.Get("Sec-Fetch-Site") != "same-origin"
}

// Downgraded reports whether a page loaded over plain HTTP from this host, on any port, sent a request over HTTPS. Attackers on the
// network path can modify such a page, so even a CSRF token is not accepted from it; only listed sites are.
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

// Own reports whether this server's own page sent the request: its origin is PUBLIC_URL, the host of the request, or the origin at
// which the request's session was started. A TLS-terminating proxy may be unknown to the server, so an https origin also matches a
// request that appears to have come over http; the reverse never happens for this server's pages.
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

// Known reports whether an origin is PUBLIC_URL's or a listed one.
func (o Origins) Known(address string) bool {
	origin, ok := parseOrigin(address)
	return ok && (origin == o.public || o.listed(origin))
}

// origin is a parsed Origin header, in lower case and with the port.
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

// short returns the origin as browsers write it: without the default port of the scheme.
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

// at reports whether the origin's host and port are those of a Host header, assuming the origin's scheme.
func (o origin) at(host string) bool {
	there, ok := parseOrigin(o.scheme + "://" + host)
	return ok && there == o
}
