package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"sohbet/bench/conformance/raw"
	"sohbet/bench/conformance/suite"
	"sohbet/server/engine"
)

// brisk serves the server of the conformance suites: heartbeats every 300 ms, to be answered within 200 ms.
func brisk(t *testing.T) *raw.Host { return raw.Serve(t, suite.Engine(), "/engine.io/") }

// ticking has the same heartbeats, with a timeout long enough for slow machines.
func ticking(t *testing.T) *raw.Host {
	return raw.Serve(t, suite.EngineWith(engine.Options{PingInterval: suite.PingInterval, PingTimeout: raw.Patience}), "/engine.io/")
}

// conform serves the same without such heartbeats, which a slow machine would miss.
func conform(t *testing.T) *raw.Host {
	return raw.Serve(t, suite.EngineWith(engine.Options{}), "/engine.io/")
}

// checkOpen checks that an open packet has exactly five fields.
func checkOpen(t *testing.T, packet, upgrades string) {
	t.Helper()
	if !strings.HasPrefix(packet, "0") {
		t.Fatalf("got %q, want an open packet", packet)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal([]byte(packet[1:]), &fields); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"upgrades": upgrades, "pingInterval": "300", "pingTimeout": "200", "maxPayload": "1000000"}
	for name, value := range want {
		if string(fields[name]) != value {
			t.Errorf("%s is %s, want %s", name, fields[name], value)
		}
	}
	if len(fields) != 5 || len(fields["sid"]) < 18 {
		t.Errorf("open packet %s", packet)
	}
}

func TestOpenPacket(t *testing.T) {
	host := brisk(t)
	a := host.Do(http.MethodGet, "EIO=4&transport=polling", "")
	if a.Status != http.StatusOK || !strings.HasPrefix(a.Header.Get("Content-Type"), "text/plain") {
		t.Fatalf("%v, %s", a, a.Header.Get("Content-Type"))
	}
	checkOpen(t, a.Body, `["websocket"]`)

	w := host.Plain("EIO=4&transport=websocket")
	op, packet, err := w.Frame()
	if err != nil || op != ws.OpText {
		t.Fatal(op, err)
	}
	checkOpen(t, packet, `[]`)
}

func TestSessionIDsDiffer(t *testing.T) {
	host := conform(t)
	seen := map[string]bool{}
	for range 200 {
		sid := host.Polling().Open.SID
		if seen[sid] {
			t.Fatal("a session id came twice")
		}
		seen[sid] = true
	}
}

func TestHandshakeRefused(t *testing.T) {
	host := conform(t)
	for _, c := range []struct {
		method, query string
		code          string
	}{
		{"GET", "", `{"code":0,"message":"Transport unknown"}`},
		{"GET", "EIO=4", `{"code":0,"message":"Transport unknown"}`},
		{"GET", "EIO=4&transport=abc", `{"code":0,"message":"Transport unknown"}`},
		{"GET", "transport=polling", `{"code":5,"message":"Unsupported protocol version"}`},
		{"GET", "EIO=3&transport=polling", `{"code":5,"message":"Unsupported protocol version"}`},
		{"GET", "EIO=abc&transport=polling", `{"code":5,"message":"Unsupported protocol version"}`},
		{"POST", "EIO=4&transport=polling", `{"code":2,"message":"Bad handshake method"}`},
		{"PUT", "EIO=4&transport=polling", `{"code":2,"message":"Bad handshake method"}`},
		{"DELETE", "EIO=4&transport=polling", `{"code":2,"message":"Bad handshake method"}`},
		{"GET", "EIO=4&transport=websocket", `{"code":3,"message":"Bad request"}`}, // without Upgrade
		{"GET", "EIO=4&transport=polling&sid=unknown", `{"code":1,"message":"Session ID unknown"}`},
		{"POST", "EIO=4&transport=polling&sid=unknown", `{"code":1,"message":"Session ID unknown"}`},
	} {
		if a := host.Do(c.method, c.query, ""); a.Status != http.StatusBadRequest || a.Body != c.code {
			t.Errorf("%s ?%s: %v, want 400 %q", c.method, c.query, a, c.code)
		}
	}
	for _, query := range []string{
		"transport=websocket", "EIO=3&transport=websocket", "EIO=abc&transport=websocket", "EIO=4", "EIO=4&transport=abc",
		"EIO=4&transport=polling", "EIO=4&transport=websocket&sid=unknown",
	} {
		refusedWebsocket(t, host, query, http.StatusBadRequest)
	}
}

func refusedWebsocket(t *testing.T, host *raw.Host, query string, status int) {
	t.Helper()
	_, err := host.Upgrade(query, ws.Dialer{})
	var refused ws.StatusError
	if !errors.As(err, &refused) || int(refused) != status {
		t.Errorf("websocket ?%s: %v, want status %d", query, err, status)
	}
}

func TestOtherMethodsOfASession(t *testing.T) {
	host := conform(t)
	p := host.Polling()
	for _, method := range []string{"PUT", "DELETE", "PATCH"} {
		if a := host.Do(method, p.Query(), "4x"); a.Status != http.StatusBadRequest {
			t.Errorf("%s: %v", method, a)
		}
	}
	if a := p.Post("4still"); !a.Is("ok") {
		t.Errorf("afterwards: %v", a)
	}
}

func TestTransportsTakenAway(t *testing.T) {
	_, host := serve(t, engine.Options{DisableWebsocket: true}, nil)
	p := host.Polling()
	if len(p.Open.Upgrades) != 0 {
		t.Errorf("upgrades %v", p.Open.Upgrades)
	}
	refusedWebsocket(t, host, "EIO=4&transport=websocket", http.StatusBadRequest)
	refusedWebsocket(t, host, "EIO=4&transport=websocket&sid="+p.Open.SID, http.StatusBadRequest)

	_, host = serve(t, engine.Options{DisablePolling: true}, nil)
	if a := host.Do("GET", "EIO=4&transport=polling", ""); a.Status != http.StatusBadRequest {
		t.Errorf("polling: %v", a)
	}
	host.Websocket()
}

func TestCORS(t *testing.T) {
	const ours, theirs = "https://shop.example", "https://elsewhere.example"
	_, host := serve(t, engine.Options{AllowOrigin: func(r *http.Request) bool { return r.Header.Get("Origin") == ours }}, nil)

	a := host.Do("GET", "EIO=4&transport=polling", "", "Origin", ours)
	for name, want := range map[string]string{
		"Access-Control-Allow-Origin": ours, "Access-Control-Allow-Credentials": "true", "Vary": "Origin",
	} {
		if got := a.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	a = host.Do("OPTIONS", "EIO=4&transport=polling", "", "Origin", ours, "Access-Control-Request-Method", "POST",
		"Access-Control-Request-Headers", "content-type")
	if a.Status != http.StatusNoContent || a.Header.Get("Access-Control-Allow-Origin") != ours ||
		!strings.Contains(a.Header.Get("Access-Control-Allow-Methods"), "POST") ||
		a.Header.Get("Access-Control-Allow-Headers") != "content-type" {
		t.Errorf("preflight: %v %v", a, a.Header)
	}
	// A page of a listed site must not set forwarded headers: a proxy might pass them on.
	a = host.Do("OPTIONS", "EIO=4&transport=polling", "", "Origin", ours, "Access-Control-Request-Method", "POST",
		"Access-Control-Request-Headers", "content-type,X-Forwarded-Host")
	if got := a.Header.Get("Access-Control-Allow-Headers"); got != "" {
		t.Errorf("preflight for X-Forwarded-Host allows %q", got)
	}
	// Refusals have the CORS headers too, so that the page can read the error.
	if a := host.Do("GET", "EIO=3&transport=polling", "", "Origin", ours); a.Header.Get("Access-Control-Allow-Origin") != ours {
		t.Errorf("refusal: %v", a.Header)
	}
	for _, origin := range []string{theirs, "null", ""} {
		for _, method := range []string{"GET", "OPTIONS"} {
			headers := []string{}
			if origin != "" {
				headers = append(headers, "Origin", origin)
			}
			a := host.Do(method, "EIO=4&transport=polling", "", headers...)
			for name := range a.Header {
				if strings.HasPrefix(name, "Access-Control-") {
					t.Errorf("%s from %q: %s was sent", method, origin, name)
				}
			}
		}
	}

	_, host = serve(t, engine.Options{}, nil)
	if a := host.Do("GET", "EIO=4&transport=polling", "", "Origin", theirs); a.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("without configuration another origin may read")
	}
}

func TestOriginCheck(t *testing.T) {
	const ours = "https://chat.example"
	_, host := serve(t, engine.Options{CheckOrigin: func(r *http.Request) bool { return r.Header.Get("Origin") == ours }}, nil)
	for origin, status := range map[string]int{ours: http.StatusOK, "https://evil.example": http.StatusForbidden, "": http.StatusForbidden} {
		if a := host.Do("GET", "EIO=4&transport=polling", "", "Origin", origin); a.Status != status {
			t.Errorf("polling from %q: %v, want %d", origin, a, status)
		}
		dialer := ws.Dialer{Header: ws.HandshakeHeaderHTTP(http.Header{"Origin": {origin}})}
		w, err := host.Upgrade("EIO=4&transport=websocket", dialer)
		if (err == nil) != (status == http.StatusOK) {
			t.Errorf("websocket from %q: %v", origin, err)
		}
		if err == nil {
			w.Close()
		}
	}
	// Each request is checked, not only the handshake: a stolen session id must be useless to a page of another origin.
	a := host.Do("GET", "EIO=4&transport=polling", "", "Origin", ours)
	var open raw.Open
	if err := json.Unmarshal([]byte(a.Body[1:]), &open); err != nil {
		t.Fatal(err)
	}
	if a := host.Do("POST", "EIO=4&transport=polling&sid="+open.SID, "4x", "Origin", "https://evil.example"); a.Status != http.StatusForbidden {
		t.Errorf("POST of another origin: %v", a)
	}
}

func TestCloseRefusesNewcomers(t *testing.T) {
	s, host := serve(t, engine.Options{}, nil)
	ctx, cancel := context.WithTimeout(context.Background(), raw.Patience)
	defer cancel()
	if err := s.Close(ctx, engine.ClosedRestart); err != nil {
		t.Fatal(err)
	}
	if a := host.Do("GET", "EIO=4&transport=polling", ""); a.Status != http.StatusServiceUnavailable {
		t.Errorf("polling: %v", a)
	}
	if w, err := host.Upgrade("EIO=4&transport=websocket", ws.Dialer{}); err == nil {
		w.Closed()
	}
	raw.Until(t, "nothing is open", func() bool { return s.Stats().Open == 0 })
	if err := s.Close(ctx, engine.ClosedRestart); err != nil {
		t.Errorf("closing twice: %v", err)
	}
}

// Close sends every client a reason, and returns only after it was sent.
func TestCloseSaysGoodbye(t *testing.T) {
	s, host := serve(t, engine.Options{}, echo)
	w, idle := host.Websocket(), host.Polling()
	poller := host.Polling()
	waiting := poller.Later(context.Background())
	w.Send("4before")
	w.Expect("4before")
	time.Sleep(50 * time.Millisecond) // the GET should be waiting by then; if not, it is answered too
	ctx, cancel := context.WithTimeout(context.Background(), raw.Patience)
	defer cancel()
	if err := s.Close(ctx, engine.ClosedRestart); err != nil {
		t.Fatal(err)
	}
	closed := w.Closed()
	if closed.Code != 1012 || closed.Reason == "" {
		t.Error(closed)
	}
	if a := raw.Take(t, waiting, "the waiting GET"); !a.Is("1") {
		t.Errorf("waiting GET: %v", a)
	}
	if a := idle.Get(); !a.Is("1") {
		t.Errorf("next GET: %v", a)
	}
	if a := idle.Get(); a.Status != http.StatusBadRequest {
		t.Errorf("GET after that: %v", a)
	}
}

// During a hand-over clients are disconnected one after the other, and the others are served meanwhile.
func TestHandOver(t *testing.T) {
	s, host := serve(t, engine.Options{HandOver: time.Minute}, echo)
	clients := make([]*raw.Websocket, 1000) // two seconds
	for i := range clients {
		clients[i] = host.Websocket()
	}
	ctx, cancel := context.WithTimeout(context.Background(), raw.Patience)
	defer cancel()
	closed := make(chan error, 1)
	go func() { closed <- s.Close(ctx, engine.ClosedRestart) }()
	raw.Until(t, "the first have gone", func() bool { return s.Stats().Open < len(clients) })
	served := 0
	for _, w := range clients {
		if _, err := w.Write(raw.Text("4still here")); err != nil {
			continue
		}
		if m, err := w.Next(); err == nil && m == "4still here" {
			served++
		}
	}
	if err := raw.Take(t, closed, "all have gone"); err != nil || served == 0 || served == len(clients) {
		t.Errorf("%d of %d were served meanwhile: %v", served, len(clients), err)
	}
}
