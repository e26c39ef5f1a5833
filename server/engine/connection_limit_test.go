package engine_test

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"sohbet/bench/conformance/raw"
	"sohbet/server/engine"
)

// TestAdmit checks that a refused client gets a Retry-After, and that leave is called once for each admitted connection, however it
// ends.
func TestAdmit(t *testing.T) {
	var inside, left atomic.Int64
	s, host := serve(t, engine.Options{Admit: func(*http.Request) (func(), time.Duration) {
		if inside.Load() == 3 {
			return nil, 1500 * time.Millisecond
		}
		inside.Add(1)
		return func() { inside.Add(-1); left.Add(1) }, 0
	}}, nil)
	host.Polling()
	leaving := host.Polling()
	w := host.Websocket()
	if a := host.Do("GET", "EIO=4&transport=polling", ""); a.Status != 429 || a.Header.Get("Retry-After") != "2" || a.Body != `{"code":3,"message":"Too many connections"}` {
		t.Errorf("one too many: %v, Retry-After %q", a, a.Header.Get("Retry-After"))
	}
	refusedWebsocket(t, host, "EIO=4&transport=websocket", 429)
	if a := leaving.Post("1"); !a.Is("ok") {
		t.Fatal(a)
	}
	w.Close()
	raw.Until(t, "two have left", func() bool { return left.Load() == 2 && inside.Load() == 1 })
	// leave is also called for a handshake that fails.
	if a := host.Do("GET", "EIO=4&transport=websocket", "", "Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "7"); a.Status < 400 {
		t.Errorf("an unknown version of the protocol was accepted: %v", a)
	}
	host.Websocket().Close()
	raw.Until(t, "all but one have left", func() bool { return inside.Load() == 1 })
	ctx, cancel := context.WithTimeout(context.Background(), raw.Patience)
	defer cancel()
	if err := s.Close(ctx, engine.ClosedRestart); err != nil {
		t.Fatal(err)
	}
	raw.Until(t, "all have left", func() bool { return inside.Load() == 0 })
	if a := host.Do("GET", "EIO=4&transport=polling", ""); a.Status != 503 || inside.Load() != 0 {
		t.Errorf("while stopping: %v, %d inside", a, inside.Load())
	}
}
