// Package logging creates the program's logger: every line has a stream, and all lines of one request have its id.
package logging

import (
	"context"
	"io"
	stdlog "log"
	"log/slog"
	"strings"
	"time"
)

// LevelNotice is the level of lines that are written at every LOG_LEVEL.
const LevelNotice = slog.LevelError + 4

// The streams. A line belongs to the application stream unless its logger or its level sets another.
const (
	Stream      = "stream" // attribute key
	Application = "application"
	Security    = "security"
	Failure     = "error" // set for every line at level error
	Performance = "performance"
)

// requestKey is the attribute key for the id of a request or a socket event.
const requestKey = "request_id"

// New returns a logger that writes text or JSON with times in UTC. It writes at most 1,200 lines of each kind per minute, 120 of them
// about one address, and reports how many were left out. The reporters in more receive each line at level error.
func New(w io.Writer, level slog.Leveler, json bool, more ...Reporter) *slog.Logger {
	options := func(layout string) *slog.HandlerOptions {
		return &slog.HandlerOptions{Level: level, ReplaceAttr: named(layout)}
	}
	var next slog.Handler = slog.NewTextHandler(w, options(time.TimeOnly))
	if json {
		next = slog.NewJSONHandler(w, options("2006-01-02T15:04:05.000Z"))
	}
	return slog.New(&handler{next: next, budget: newBudget(), reporters: more})
}

// Reporter sends errors to an external service. It must not block.
type Reporter interface{ Report(slog.Record) }

// named formats times with the layout and names the level above error.
func named(layout string) func([]string, slog.Attr) slog.Attr {
	return func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) > 0 {
			return a
		}
		a = bounded(a)
		switch v := a.Value.Any().(type) {
		case time.Time:
			if a.Key == slog.TimeKey {
				return slog.String(a.Key, v.UTC().Truncate(time.Millisecond).Format(layout))
			}
		case slog.Level:
			if v == LevelNotice {
				return slog.String(a.Key, "NOTICE")
			}
		}
		return a
	}
}

type requestID struct{}

// WithRequest returns a context whose log lines carry the request id.
func WithRequest(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestID{}, id)
}

// RequestOf returns the request id of ctx, or "".
func RequestOf(ctx context.Context) string {
	id, _ := ctx.Value(requestID{}).(string)
	return id
}

// handler adds stream and request id to each line.
type handler struct {
	next      slog.Handler
	stream    string // set by the logger; "" = decided per line
	budget    *budget
	reporters []Reporter
}

// Enabled implements slog.Handler.
func (h *handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	if !h.budget.allows(r, h.next) {
		return nil
	}
	stream, request := h.stream, RequestOf(ctx)
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == requestKey {
			request = "" // the line already has one
		}
		return request != ""
	})
	switch {
	case r.Level == slog.LevelError:
		stream = Failure
	case stream == "":
		stream = Application
	}
	r = r.Clone()
	r.AddAttrs(slog.String(Stream, stream))
	if request != "" {
		r.AddAttrs(slog.String(requestKey, request))
	}
	if r.Level == slog.LevelError { // not above: lines at level notice show sign-in codes
		for _, to := range h.reporters {
			to.Report(r)
		}
	}
	return h.next.Handle(ctx, r)
}

// WithAttrs implements slog.Handler. A stream attribute sets the logger's stream.
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	other := *h
	rest := make([]slog.Attr, 0, len(attrs))
	for _, a := range attrs {
		if a.Key == Stream {
			other.stream = a.Value.String()
			continue
		}
		rest = append(rest, a)
	}
	other.next = h.next.WithAttrs(rest)
	return &other
}

// WithGroup implements slog.Handler.
func (h *handler) WithGroup(name string) slog.Handler {
	other := *h
	other.next = h.next.WithGroup(name)
	return &other
}

// Lines returns a standard library logger, for packages that accept no other. All its lines are of one kind.
func Lines(log *slog.Logger, message string) *stdlog.Logger {
	return stdlog.New(lines{log, message}, "", 0)
}

type lines struct {
	log     *slog.Logger
	message string
}

func (l lines) Write(line []byte) (int, error) {
	l.log.Warn(l.message, "error", strings.TrimSpace(string(line)))
	return len(line), nil
}
