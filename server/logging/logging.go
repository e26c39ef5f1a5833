// Package logging makes the one log of the program: every line tells its stream, and those of one request, wherever they were
// written, tell its id.
package logging

import (
	"context"
	"io"
	"log/slog"
	"time"
)

// LevelNotice marks the lines that every LOG_LEVEL shows.
const LevelNotice = slog.LevelError + 4

// The streams. A line is of the application unless its logger or its level says otherwise.
const (
	Stream      = "stream" // the key
	Application = "application"
	Security    = "security"
	Failure     = "error" // every line at level error
	Performance = "performance"
)

// requestKey is how the id of a request, or of a socket's event, is written.
const requestKey = "request_id"

// New writes at most 1,200 lines a minute of each kind, 120 of them about one address, and lines that say how many were
// left out: text for people, or JSON for machines, in UTC. more, if given, gets each line at level error.
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

// Reporter takes failures elsewhere. It must not block.
type Reporter interface{ Report(slog.Record) }

// named writes times in the layout and gives the level above error its name.
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

// WithRequest marks ctx as belonging to a request, so that what is logged under it tells id.
func WithRequest(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestID{}, id)
}

// RequestOf is the id that ctx was marked with, or "".
func RequestOf(ctx context.Context) string {
	id, _ := ctx.Value(requestID{}).(string)
	return id
}

// handler adds stream and request id to each line.
type handler struct {
	next      slog.Handler
	stream    string // of the logger; "" = by the line
	budget    *budget
	reporters []Reporter
}

// Enabled asks the handler that writes.
func (h *handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

// Handle writes one line.
func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	if !h.budget.allows(r, h.next) {
		return nil
	}
	stream, request := h.stream, RequestOf(ctx)
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == requestKey {
			request = "" // the line says so itself
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
	if r.Level == slog.LevelError { // never above it: that level shows codes
		for _, to := range h.reporters {
			to.Report(r)
		}
	}
	return h.next.Handle(ctx, r)
}

// WithAttrs returns a handler for a logger with attributes; a stream among them is the logger's.
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

// WithGroup returns a handler that puts what follows into a group.
func (h *handler) WithGroup(name string) slog.Handler {
	other := *h
	other.next = h.next.WithGroup(name)
	return &other
}
