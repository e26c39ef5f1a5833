package logging

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// clocked is a logger whose budget uses the test's clock.
type clocked struct {
	*slog.Logger
	out  bytes.Buffer
	time time.Time
	due  []func()
}

func newClocked() *clocked {
	c := &clocked{time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	c.Logger = New(&c.out, slog.LevelDebug, true)
	b := c.Handler().(*handler).budget
	b.now = func() time.Time { return c.time }
	b.after = func(_ time.Duration, f func()) { c.due = append(c.due, f) }
	return c
}

// lines returns the number of lines written so far by message, and the reported number of left-out lines by kind.
func (c *clocked) lines(t *testing.T) (written map[string]int, left map[string]int) {
	t.Helper()
	written, left = map[string]int{}, map[string]int{}
	for line := range strings.Lines(c.out.String()) {
		var l struct {
			Msg, Kind string
			Lines     int
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		written[l.Msg]++
		if l.Lines > 0 {
			left[l.Kind] += l.Lines
		}
	}
	return written, left
}

func (c *clocked) pass(d time.Duration) {
	c.time = c.time.Add(d)
	due := c.due
	c.due = nil
	for _, f := range due {
		f()
	}
}

func TestFloodOfOneKind(t *testing.T) {
	c := newClocked()
	for range 50_000 {
		c.Error("panic in socket handler")
	}
	c.Warn("something else")
	c.Log(t.Context(), LevelNotice, "SIGN-IN CODE")
	written, left := c.lines(t)
	if written["panic in socket handler"] != perKind || written["something else"] != 1 || written["SIGN-IN CODE"] != 1 || len(left) != 0 {
		t.Errorf("%v, left out %v", written, left)
	}
	c.pass(window)
	if _, left = c.lines(t); left["panic in socket handler"] != 50_000-perKind {
		t.Errorf("left out %v", left)
	}
	c.Error("panic in socket handler")
	if written, _ = c.lines(t); written["panic in socket handler"] != perKind+1 {
		t.Errorf("in the next minute: %v", written)
	}
}

func TestFloodOfOneAddress(t *testing.T) {
	c := newClocked()
	for range 1000 {
		c.Info("request", "route", "/", "address", "192.0.2.1")
	}
	c.Info("request", "route", "/", "address", "192.0.2.2")
	c.Info("request", "route", "/login", "address", "192.0.2.1")
	if written, _ := c.lines(t); written["request"] != perAddress+2 {
		t.Errorf("%v", written)
	}
	for i := range 100_000 {
		c.Info("request", "route", "/", "address", fmt.Sprint(i))
	}
	if written, _ := c.lines(t); written["request"] != perKind+1 {
		t.Errorf("from many addresses: %v", written)
	}
	if b := c.Handler().(*handler).budget; len(b.about) > maxAddresses {
		t.Errorf("%d addresses are remembered", len(b.about))
	}
	c.pass(2 * window)
	if _, left := c.lines(t); left["request /"] != 101_001-perKind || len(left) != 1 {
		t.Errorf("left out %v", left)
	}
}

func TestMessagesThatAreNotConstants(t *testing.T) {
	c := newClocked()
	for i := range 10 * maxKinds {
		c.Warn(fmt.Sprint("kind ", i))
	}
	if b := c.Handler().(*handler).budget; len(b.kinds) > maxKinds+1 {
		t.Errorf("%d kinds", len(b.kinds))
	}
	if n := strings.Count(c.out.String(), "\n"); n > maxKinds+perKind {
		t.Errorf("%d lines", n)
	}
}

func TestLinesAreBounded(t *testing.T) {
	c := newClocked()
	long := strings.Repeat("ğ", 100_000)
	c.Error("it broke", "error", errors.New(long), "stack", long)
	Lines(c.Logger, "HTTP server").Printf("from %s", long)
	for range perKind {
		c.Error("panic in socket handler", "stack", long[:maxValue/2])
	}
	if c.out.Len() > 2*bytesPerKind {
		t.Errorf("%d bytes", c.out.Len())
	}
	for line := range strings.Lines(c.out.String()) {
		if len(line) > 2*maxValue+1000 {
			t.Errorf("a line of %d bytes", len(line))
		}
	}
}

// In an outage each statement fails, thousands in a second.
func TestFloodOfStatements(t *testing.T) {
	c := newClocked()
	for range 1000 {
		c.Error("SQL executed", "trace", "SELECT 1")
		c.Error("other")
	}
	c.pass(window)
	if written, left := c.lines(t); written["SQL executed"] != perStatement || left["SQL executed"] != 1000-perStatement || written["other"] != 1000 {
		t.Errorf("%v, %v", written, left)
	}
}
