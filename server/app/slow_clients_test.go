package app

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"sohbet/bench/conformance/raw"
	"sohbet/models/storetest"
)

// serving runs the server as in serve, with its own listener and timeouts.
func serving(t *testing.T, pairs ...string) *site {
	t.Helper()
	s := open(t, storetest.Open(t, "sqlite"), pairs...)
	url, err := s.server.Listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.server.Serve(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return &site{Server: &httptest.Server{URL: url}, server: s.server, store: s.store, log: s.log}
}

// TestSlowConnections opens a thousand connections that never complete what they send: headers, bodies and socket packets. Other
// clients are served as fast as before meanwhile, and the slow ones are closed.
func TestSlowConnections(t *testing.T) {
	s := serving(t)
	address := strings.TrimPrefix(s.URL, "http://")
	starts := []string{
		"GET / HTTP/1.1\r\nHost: x\r\nX-A: ",
		"POST /verify-otp HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{",
		"POST /api/messages/send HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + unknown + "\r\nContent-Length: 100000\r\n\r\n{\"text\":\"",
		"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n",
		"",
	}
	const slow = 1000
	conns := make([]net.Conn, 0, slow)
	for i := range slow {
		conn, err := net.DialTimeout("tcp", address, 10*time.Second)
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		defer func() { _ = conn.Close() }()
		if _, err := conn.Write([]byte(starts[i%len(starts)])); err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		conns = append(conns, conn)
	}
	// They each send single bytes in the background.
	dripping, stop := context.WithCancel(t.Context())
	defer stop()
	go func() {
		for dripping.Err() == nil {
			for _, conn := range conns {
				_, _ = conn.Write([]byte("x")) // fails if it was closed
			}
		}
	}()
	var longest time.Duration
	client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for range 50 {
		start := time.Now()
		r := s.do(t, client, "GET", "/", "")
		if r.status != 200 || !strings.Contains(r.body, "<html") {
			t.Fatalf("while %d connections are slow: %d", slow, r.status)
		}
		longest = max(longest, time.Since(start))
	}
	v := s.socket(t, s.browser(t))
	if a := v.emit("join", `{"display_name":"Quick"}`); !a.OK {
		t.Errorf("a visitor meanwhile: %s", a.raw)
	}
	t.Logf("the slowest of 50 pages took %v during %d slow connections", longest, slow)
	if longest > 5*time.Second {
		t.Errorf("a page took %v", longest)
	}
	stop()
	// A client whose headers are incomplete after ten seconds is disconnected, even if it keeps sending.
	_ = conns[0].SetReadDeadline(time.Now().Add(30 * time.Second))
	buffer := make([]byte, 512)
	for {
		if _, err := conns[0].Read(buffer); err != nil {
			if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
				t.Error("a connection that never finishes its headers stays open")
			}
			break
		}
	}
}

// TestSizeLimits sends too large bodies to every route that has one, and too large headers.
func TestSizeLimits(t *testing.T) {
	s := open(t, storetest.Open(t, "sqlite"))
	agent := s.agent(t)
	for _, route := range s.server.Routes() {
		path, isPost := strings.CutPrefix(route, "POST ")
		if !isPost || strings.HasPrefix(path, "/api/upload") || path == "/api/me/picture" { // uploads have their own limits
			continue
		}
		body := `{"thread_id":"` + threadA + `","text":"` + strings.Repeat("x", 2<<20) + `"}`
		r := s.do(t, agent, "POST", path, body)
		if none := path == "/telegram/webhook" && r.status == 404; r.status != 413 && !none { // the route does not exist without a bot
			t.Errorf("2 MB to %s: %d %.100s", path, r.status, r.body)
		}
	}
	conn, err := net.Dial("tcp", strings.TrimPrefix(serving(t).URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, _ = fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: x\r\nX-Long: %s\r\n\r\n", strings.Repeat("x", 64<<10)) // the server may close the connection meanwhile
	answer := make([]byte, 64)
	_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	n, _ := conn.Read(answer)
	if !strings.Contains(string(answer[:n]), " 431 ") {
		t.Errorf("64 kB of headers: %q", answer[:n])
	}
}

// TestLimitsOnSockets reaches every limit that applies to sockets.
func TestLimitsOnSockets(t *testing.T) {
	s := open(t, storetest.Open(t, "sqlite"), "RATE_LIMIT_MESSAGE", "3/1h")
	v := s.socket(t, s.browser(t))
	if a := v.emit("join", `{"display_name":"Ada"}`); !a.OK {
		t.Fatal(a.raw)
	}
	for range 3 {
		if a := v.emit("message", `{"text":"x"}`); !a.OK {
			t.Fatal(a.raw)
		}
	}
	if a := v.emit("message", `{"text":"x"}`); a.code() != "rate_limit_exceeded" || a.Error.RetryAfterMS < 60_000 {
		t.Errorf("fourth message: %s", a.raw)
	}
	// The address may start six conversations in that hour.
	opened := 1
	for range 8 {
		if a := s.socket(t, s.browser(t)).emit("join", `{"display_name":"Ada"}`); a.OK {
			opened++
		} else if a.code() != "rate_limit_exceeded" || a.Error.RetryAfterMS == 0 {
			t.Fatal(a.raw)
		}
	}
	if opened != 6 {
		t.Errorf("%d conversations begun, want 6", opened)
	}

	s = open(t, storetest.Open(t, "sqlite"), "RATE_LIMIT_API", "4/1h")
	c := s.browser(t)
	first := s.socket(t, c)
	if a := first.emit("join", `{"display_name":"Ada"}`); !a.OK {
		t.Fatal(a.raw)
	}
	for range 14 { // sixteen events are allowed; joining the namespace is the first
		if a := first.emit("typing", `{}`); !a.OK {
			t.Fatal(a.raw)
		}
	}
	if a := first.emit("typing", `{}`); a.code() != "rate_limit_exceeded" {
		t.Errorf("seventeenth event: %s", a.raw)
	}
	if a := first.emit("history", `{}`); a.code() != "rate_limit_exceeded" {
		t.Errorf("eighteenth event: %s", a.raw)
	}
	for range 7 { // eight handshakes are allowed
		s.socket(t, c)
	}
	r := s.do(t, c, "GET", "/socket.io/?EIO=4&transport=polling", "")
	if r.status != 429 || r.header.Get("Retry-After") == "" {
		t.Errorf("ninth handshake: %d %s", r.status, r.body)
	}
	if !strings.Contains(s.log.String(), `"event":"socket","address":"127.0.0.1","outcome":"limited"`) {
		t.Error("the refused handshake is not in the security log")
	}
}

// TestLongHistoriesCountMore: the rate limit of history requests depends on their size.
func TestLongHistoriesCountMore(t *testing.T) {
	s := open(t, storetest.Open(t, "sqlite"), "RATE_LIMIT_API", "4/1h") // sixteen events
	v := s.socket(t, s.browser(t))
	joined := v.emit("join", `{"display_name":"Ada"}`)
	if !joined.OK {
		t.Fatal(joined.raw)
	}
	for range 2 {
		if a := v.emit("message", `{"text":"`+strings.Repeat("ğ", 10_000)+`"}`); !a.OK {
			t.Fatalf("%.300s", a.raw)
		}
	}
	for i := range 5 { // 40 kB each count as three events; twelve are left
		if a := v.emit("history", `{"thread_id":"`+joined.ThreadID+`"}`); a.OK != (i < 4) {
			t.Errorf("history %d: %.200s", i, a.raw)
		}
	}
}

// TestEventFloodIsClosed: a client that keeps sending over the rate limit is disconnected, for any kind of event, and may reconnect.
func TestEventFloodIsClosed(t *testing.T) {
	s := open(t, storetest.Open(t, "sqlite"), "RATE_LIMIT_API", "100/1h") // 400 events, 800 packets
	host := &raw.Host{T: t, Addr: strings.TrimPrefix(s.URL, "http://"), Path: "/socket.io/"}
	for name, packets := range map[string][]string{
		"unknown":        {`42["unknown",{}]`},
		"known":          {`42["typing",{}]`},
		"join and leave": {"41", "40"},
	} {
		w := host.Socket()
		for range 500 { // it is disconnected meanwhile
			if _, err := w.Write(raw.Texts(packets...)); err != nil {
				break
			}
		}
		_, _ = w.Write(raw.Texts(slices.Repeat(packets, 500)...))
		w.ClosedWith(1008)
		if log := s.log.String(); strings.Contains(log, "panic") {
			t.Fatalf("%s: %.2000s", name, log)
		}
	}
	host.Socket()
}
