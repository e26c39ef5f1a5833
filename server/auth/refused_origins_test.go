package auth

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"
)

// oneSetting is a settings store with one value.
type oneSetting struct {
	position string
	sets     int
}

func (s *oneSetting) SwitchPosition(context.Context, string) (string, error) { return s.position, nil }

func (s *oneSetting) SetSwitch(_ context.Context, _, position string) error {
	s.position = position
	s.sets++
	return nil
}

func TestRefusedOrigins(t *testing.T) {
	clk, store, log := &clock{time.Now()}, &oneSetting{}, &strings.Builder{}
	options := OriginOptions{Sites: []string{"https://shop.example"}, HTTPS: func(*http.Request) bool { return false }}
	logger := slog.New(slog.NewTextHandler(log, nil))
	f := NewRefusals(store, NewOrigins(options), logger, clk.now)
	ask := func(origin string, more ...string) bool {
		r := from("127.0.0.1:5", append(more, "Origin", origin)...)
		r.Host = "127.0.0.1:5000"
		return f.Allowed(r)
	}
	if !ask("https://shop.example") || !ask("http://127.0.0.1:5000") || log.Len() > 0 {
		t.Fatalf("refused or logged: %s", log)
	}
	for range 100 {
		if ask("https://chat.example") {
			t.Fatal("another origin is allowed")
		}
		clk.t = clk.t.Add(time.Second)
	}
	if n := strings.Count(log.String(), "level=WARN"); n != 2 {
		t.Errorf("%d lines in 100 seconds", n)
	}
	for _, part := range []string{"https://chat.example", "127.0.0.1:5000", "PUBLIC_URL=https://chat.example", "CORS_ORIGINS"} {
		if !strings.Contains(log.String(), part) {
			t.Errorf("the log does not name %s: %s", part, log)
		}
	}
	f.save(t.Context())
	f.save(t.Context())
	if store.sets != 1 {
		t.Errorf("stored %d times", store.sets)
	}
	// Requests that the browser marks as cross-site, and invalid origins, cannot be fixed by a setting and are not recorded.
	ask("https://evil.test", "Sec-Fetch-Site", "cross-site")
	ask("null")
	ask("https://" + strings.Repeat("a", 5000) + ".example")
	for name, fresh := range map[string]*Refusals{"this process": f, "another": NewRefusals(store, NewOrigins(options), logger, clk.now)} {
		if got, ok := fresh.Last(t.Context()); !ok || got.Origin != "https://chat.example" || got.Host != "127.0.0.1:5000" {
			t.Errorf("%s: %+v %v", name, got, ok)
		}
	}
	options.Public = "https://chat.example/chat"
	if got, ok := NewRefusals(store, NewOrigins(options), logger, clk.now).Last(t.Context()); ok {
		t.Errorf("with PUBLIC_URL: %+v", got)
	}
	clk.t = clk.t.Add(refusedFor)
	if got, ok := f.Last(t.Context()); ok {
		t.Errorf("after an hour: %+v", got)
	}
}
