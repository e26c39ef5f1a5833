package server

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"
)

// serveBounded serves "ok" with limited connections.
func serveBounded(t *testing.T, c *connections) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }))
	s.Config.ConnState = c.changed
	s.Start()
	t.Cleanup(s.Close)
	return s
}

func dial(t *testing.T, s *httptest.Server) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	return conn
}

func ended(conn net.Conn) bool {
	_, err := conn.Read(make([]byte, 1))
	return err != nil
}

func TestConnectionsWithoutRequestAreBounded(t *testing.T) {
	c := newConnections(0, nil)
	s := serveBounded(t, c)
	first := dial(t, s)
	for range maxWaiting {
		dial(t, s)
	}
	if !ended(first) {
		t.Error("the connection that has waited longest is open")
	}
	res, err := s.Client().Get(s.URL)
	if err != nil || res.StatusCode != 200 {
		t.Fatalf("a client with a request: %v", err)
	}
	_ = res.Body.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := c.waiting.Len(); n > maxWaiting {
		t.Errorf("%d connections wait", n)
	}
}

func TestConnectionsOfOneAddress(t *testing.T) {
	const most = 20
	for name, tc := range map[string]struct {
		trusted []netip.Prefix
		bound   bool
	}{
		"a client":        {nil, true},
		"a trusted proxy": {[]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}, false},
	} {
		t.Run(name, func(t *testing.T) {
			c := newConnections(most, tc.trusted)
			s := serveBounded(t, c)
			var conns []net.Conn
			for range most + 1 {
				conns = append(conns, dial(t, s))
			}
			last := conns[most]
			_, _ = fmt.Fprint(last, "GET / HTTP/1.1\r\nHost: x\r\n\r\n") // it may be closed by now
			if over := ended(last); over != tc.bound {
				t.Errorf("closed: %v, want %v", over, tc.bound)
			}
			for _, conn := range conns {
				_ = conn.Close()
			}
			for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
				c.mu.Lock()
				left := len(c.open) + len(c.here) + c.waiting.Len()
				c.mu.Unlock()
				if left == 0 {
					return
				}
				if time.Now().After(deadline) {
					t.Fatalf("%d entries are left", left)
				}
			}
		})
	}
}
