package logging

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestFormats(t *testing.T) {
	for json, want := range map[bool]string{true: `"level":"NOTICE"`, false: "level=NOTICE"} {
		var out bytes.Buffer
		New(&out, slog.LevelError, json).Log(t.Context(), LevelNotice, "line\nbreak")
		if !strings.Contains(out.String(), want) || strings.Count(out.String(), "\n") != 1 {
			t.Errorf("json %v: %q", json, out.String())
		}
		out.Reset()
		New(&out, slog.LevelError, json).Warn("not shown")
		if out.Len() != 0 {
			t.Errorf("below the level: %q", out.String())
		}
	}
}

func TestStreamAndRequest(t *testing.T) {
	var out bytes.Buffer
	level := new(slog.LevelVar)
	log := New(&out, level, true)
	ctx := WithRequest(t.Context(), "r-1")
	line := func(write func()) map[string]any {
		t.Helper()
		out.Reset()
		write()
		var fields map[string]any
		if err := json.Unmarshal(out.Bytes(), &fields); err != nil {
			t.Fatalf("%q: %v", out.String(), err)
		}
		if n := strings.Count(out.String(), `"stream"`); n != 1 {
			t.Errorf("the stream stands %d times in %s", n, out.String())
		}
		return fields
	}
	for _, tc := range []struct {
		name            string
		write           func()
		stream, request any
	}{
		{"plain", func() { log.Info("x") }, Application, nil},
		{"in a request", func() { log.InfoContext(ctx, "x") }, Application, "r-1"},
		{"a failure", func() { log.ErrorContext(ctx, "x") }, Failure, "r-1"},
		{"of a stream", func() { log.With(Stream, Security).WarnContext(ctx, "x") }, Security, "r-1"},
		{"a stream's failure", func() { log.With("a", 1, Stream, Performance).Error("x", "b", 2) }, Failure, nil},
		{"its own id", func() { log.With(Stream, Security).InfoContext(ctx, "x", requestKey, "r-2") }, Security, "r-2"},
	} {
		if f := line(tc.write); f[Stream] != tc.stream || f[requestKey] != tc.request {
			t.Errorf("%s: %v", tc.name, f)
		}
	}
	level.Set(slog.LevelError) // at runtime
	out.Reset()
	if log.Warn("x"); out.Len() != 0 {
		t.Errorf("below the new level: %s", out.String())
	}
}

func TestSentryReceivesFailuresOnly(t *testing.T) {
	received := make(chan string, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.URL.Path != "/api/7/envelope/" || !strings.Contains(r.Header.Get("X-Sentry-Auth")+string(body), "publickey") {
			t.Errorf("%s %s", r.Method, r.URL.Path)
		}
		received <- string(body)
	}))
	defer server.Close()
	s, err := NewSentry(strings.Replace(server.URL, "://", "://publickey@", 1)+"/7", "1.2.3", "test")
	if err != nil {
		t.Fatal(err)
	}
	log := New(io.Discard, slog.LevelInfo, true, s)
	log.Log(t.Context(), LevelNotice, "SIGN-IN CODE", "code", "123456")
	log.Warn("a warning")
	log.ErrorContext(WithRequest(t.Context(), "r-9"), "it broke", "route", "/health")
	s.Close()
	close(received)
	var all []string
	for body := range received {
		if strings.Contains(body, `"type":"event"`) {
			all = append(all, body)
		}
	}
	if len(all) != 1 || !strings.Contains(all[0], "it broke") || !strings.Contains(all[0], "r-9") || !strings.Contains(all[0], "sohbet@1.2.3") {
		t.Errorf("reported: %q", all)
	}
	if text := strings.Join(all, ""); strings.Contains(text, "123456") {
		t.Error("a code was reported")
	}
	if _, err := NewSentry("https://secret-of-mine", "", ""); err == nil || strings.Contains(err.Error(), "secret-of-mine") {
		t.Errorf("a broken DSN: %v", err)
	}
}
