package audit_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"sohbet/assets/locales"
	"sohbet/server/audit"
)

type desk struct {
	*audit.Log
	out bytes.Buffer
	at  time.Time
}

func newDesk() *desk {
	d := &desk{at: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	d.Log = audit.New(slog.New(slog.NewJSONHandler(&d.out, nil)), func() time.Time { return d.at }, nil)
	return d
}

func (d *desk) lines(t *testing.T) (lines []map[string]any) {
	t.Helper()
	for text := range strings.Lines(d.out.String()) {
		var line map[string]any
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		lines = append(lines, line)
	}
	d.out.Reset()
	return lines
}

func TestFields(t *testing.T) {
	d := newDesk()
	d.Write(t.Context(), audit.Event{Name: audit.SignIn, Actor: "ada", Address: "192.0.2.1", Outcome: audit.OK, Request: "r1"})
	d.Write(t.Context(), audit.Event{Name: audit.Code, Address: "192.0.2.1", Outcome: audit.Wrong})
	lines := d.lines(t)
	if len(lines) != 2 {
		t.Fatalf("%d lines", len(lines))
	}
	for key, want := range map[string]any{"level": "INFO", "msg": "security", "event": "sign_in", "actor": "ada", "address": "192.0.2.1", "outcome": "ok", "request_id": "r1"} {
		if lines[0][key] != want {
			t.Errorf("%s is %v, want %v", key, lines[0][key], want)
		}
	}
	if _, has := lines[1]["actor"]; has || lines[1]["level"] != "WARN" {
		t.Errorf("%v", lines[1])
	}
	(*audit.Log)(nil).Write(t.Context(), audit.Event{Name: audit.SignIn})
}

// Owners can filter by every event, and see what it is called.
func TestEventsAreComplete(t *testing.T) {
	source, err := os.ReadFile("audit.go")
	if err != nil {
		t.Fatal(err)
	}
	declared, _, _ := strings.Cut(string(source), "// The outcomes of events.")
	found := regexp.MustCompile(`(?m)^\t\w+ += "(\w+)"`).FindAllStringSubmatch(declared, -1)
	if len(found) != len(audit.Events) {
		t.Errorf("%d events are declared, Events has %d", len(found), len(audit.Events))
	}
	for _, event := range found {
		if !slices.Contains(audit.Events, event[1]) {
			t.Errorf("Events lacks %s", event[1])
		}
		for lang := range locales.All {
			if _, ok := locales.Lookup(lang, "audit.event_"+event[1]); !ok {
				t.Errorf("%s has no text for %s", lang, event[1])
			}
		}
	}
}

func TestNoLineCanBeForged(t *testing.T) {
	const evil = "x\nlevel=ERROR msg=security\r\n\x1b[2J\x00\u202e\u2028\u0085 outcome=ok \xff" // must stay one line in any reader
	for name, handler := range map[string]func(*bytes.Buffer) slog.Handler{
		"json": func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
		"text": func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
	} {
		var b bytes.Buffer
		audit.New(slog.New(handler(&b)), time.Now, nil).Write(t.Context(), audit.Event{
			Name: audit.Request, Actor: evil, Address: evil, Outcome: audit.Refused, Detail: evil + strings.Repeat("y", 5000), Request: evil,
		})
		out := b.String()
		if strings.Count(out, "\n") != 1 || !strings.HasSuffix(out, "\n") || len(out) > 2000 || strings.ContainsAny(out, "\r\x1b\x00\u202e\u2028\u0085") {
			t.Errorf("%s: %q", name, out)
		}
	}
}

func TestRepetitionsAreCounted(t *testing.T) {
	d := newDesk()
	refuse := func(address string) {
		d.Write(t.Context(), audit.Event{Name: audit.Request, Address: address, Outcome: audit.Refused, Detail: "/api/threads"})
	}
	for range 500 {
		refuse("192.0.2.1")
	}
	refuse("192.0.2.2")
	if lines := d.lines(t); len(lines) != 2 {
		t.Fatalf("%d lines for two addresses", len(lines))
	}
	d.at = d.at.Add(time.Minute)
	refuse("192.0.2.1")
	if lines := d.lines(t); len(lines) != 1 || lines[0]["repeated"] != 499.0 {
		t.Errorf("%v", lines)
	}
	for range 3 { // successes are always logged
		d.Write(t.Context(), audit.Event{Name: audit.Block, Actor: "ada", Outcome: audit.OK})
	}
	if lines := d.lines(t); len(lines) != 3 {
		t.Errorf("%d of 3 successes", len(lines))
	}
}

func TestMemoryIsBounded(t *testing.T) {
	l := audit.New(slog.New(slog.DiscardHandler), time.Now, nil)
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	for i := range 200_000 {
		l.Write(t.Context(), audit.Event{Name: audit.Request, Address: fmt.Sprint("2001:db8::", i), Outcome: audit.Refused})
	}
	if grown := int64(heap()) - int64(before); grown > 8<<20 {
		t.Errorf("grew by %d bytes", grown)
	}
	runtime.KeepAlive(l)
}
