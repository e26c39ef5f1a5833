// Package raw communicates with an Engine.IO or Socket.IO server at the byte level: plain HTTP requests and plain websocket frames. It
// is for tests that check, and control, exactly what is sent.
//
// Methods that return no error fail the test on one, and so may be called from the test's goroutine only; their counterparts that
// return an error may be called from any goroutine.
package raw

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// Patience is the timeout of everything that should happen immediately. It is long because tests run on slow, shared machines.
const Patience = 20 * time.Second

// Host is a server under test.
type Host struct {
	T      testing.TB
	Addr   string      // host:port
	Path   string      // path of the protocol's endpoint, such as "/engine.io/"
	Header http.Header // added to websocket handshakes; for example Cookie
	Server *httptest.Server
	http   *http.Client
}

// Serve serves h on a loopback port until the test ends. path is the path of the protocol's endpoint.
func Serve(t testing.TB, h http.Handler, path string) *Host {
	t.Helper()
	return ServeOn(t, h, path, func(l net.Listener) net.Listener { return l })
}

// ServeOn is like Serve, with the listener replaced by wrap's result.
func ServeOn(t testing.TB, h http.Handler, path string, wrap func(net.Listener) net.Listener) *Host {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Listener = wrap(s.Listener)
	s.Start()
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		s.CloseClientConnections()
		s.Close()
	})
	return &Host{T: t, Addr: s.Listener.Addr().String(), Path: path, Server: s, http: &http.Client{Transport: transport, Timeout: Patience}}
}

// Answer is the response to an HTTP request.
type Answer struct {
	Status int
	Body   string
	Header http.Header
}

func (a Answer) String() string { return fmt.Sprintf("%d %q", a.Status, a.Body) }

// Is reports whether the response is 200 with this body.
func (a Answer) Is(body string) bool { return a.Status == http.StatusOK && a.Body == body }

// URL returns the URL of the endpoint with a query.
func (h *Host) URL(query string) string { return "http://" + h.Addr + h.Path + "?" + query }

// Request makes one request and returns the response. headers alternates names and values.
func (h *Host) Request(ctx context.Context, method, query string, body io.Reader, headers ...string) (Answer, error) {
	r, err := http.NewRequestWithContext(ctx, method, h.URL(query), body)
	if err != nil {
		return Answer{}, err
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	res, err := h.http.Do(r)
	if err != nil {
		return Answer{}, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return Answer{res.StatusCode, string(text), res.Header}, err
}

// Do is like Request, for the test's goroutine.
func (h *Host) Do(method, query, body string, headers ...string) Answer {
	h.T.Helper()
	a, err := h.Request(context.Background(), method, query, strings.NewReader(body), headers...)
	if err != nil {
		h.T.Fatalf("%s %s: %v", method, query, err)
	}
	return a
}

// Take receives from ch, and fails the test after Patience.
func Take[V any](t testing.TB, ch <-chan V, what string) V {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(Patience):
		t.Fatalf("%s: nothing came", what)
		panic("unreachable")
	}
}

// Until polls condition until it is true, and fails the test after Patience.
func Until(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for start := time.Now(); !condition(); time.Sleep(5 * time.Millisecond) {
		if time.Since(start) > Patience {
			t.Fatalf("%s: not true after %v", what, Patience)
		}
	}
}
