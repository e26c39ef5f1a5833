// Package audit writes the security log: who tried what, from where, and how it ended. It is part of the ordinary log, as lines
// whose message is "security".
package audit

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"
	"unicode"

	"sohbet/server/logging"
)

// The events. None of them ever carries a message, a thread id, a code, a token or a key.
const (
	CodeAsked    = "code_asked"      // a one-time code was asked for
	Password     = "password"        // a password was entered
	Code         = "code"            // a one-time code was entered
	SignIn       = "sign_in"         // a session began
	SignOut      = "sign_out"        // a session was ended by its agent
	LogoutAll    = "logout_all"      // all sessions were ended
	Request      = "request"         // an HTTP request was refused
	SocketOpen   = "socket"          // a connection was refused
	SocketEvent  = "socket_event"    // a socket's event was refused
	Block        = "block"           // a visitor was blocked
	BlockAddress = "block_address"   // and their address too
	Unblock      = "unblock"         // a visitor was let in again
	ThreadClear  = "thread_cleared"  // all messages of a conversation were deleted
	ThreadDelete = "thread_deleted"  // a conversation was deleted
	ThreadExport = "thread_exported" // a conversation was written to a file
	ThreadsClear = "threads_cleared" // all conversations were deleted
	Upload       = "upload"          // a file was refused
	LogLevel     = "log_level"       // how much is logged was changed
)

// The outcomes.
const (
	OK      = "ok"
	Wrong   = "wrong"   // did not match
	None    = "none"    // there was nothing to match with
	Refused = "refused" // no right to it
	Limited = "limited" // a limit was reached
	Blocked = "blocked" // the visitor or address is blocked
	Failed  = "failed"  // it could not be done
)

// Event is one line. Empty fields are left out.
type Event struct {
	Name    string // one of the events above
	Actor   string // the agent's name or "telegram"; empty for somebody unknown
	Address string // the caller's
	Outcome string // one of the outcomes above
	Detail  string // a route, an event's name: a word of ours, never of the caller's
	Request string // the request's id
}

const (
	quiet    = time.Minute // how long repetitions of a refusal are only counted
	maxKnown = 10_000      // refusals remembered for that
	maxField = 200         // bytes
)

// Log writes events. A nil Log writes nothing. Its methods may be called from any goroutine.
type Log struct {
	log *slog.Logger
	now func() time.Time

	mu    sync.Mutex
	known map[repetition]*seen
}

// repetition is what makes two refusals the same.
type repetition struct{ name, outcome, address, detail string }

type seen struct {
	at      time.Time
	counted int
}

// New makes a security log within log.
func New(log *slog.Logger, now func() time.Time) *Log {
	return &Log{log: log.With(logging.Stream, logging.Security), now: now, known: make(map[repetition]*seen)}
}

// Write writes an event: at level info what succeeded, at level warn what did not. Of the same refusal from the same address
// one line a minute is written, the next one telling how many were left out: whoever is refused must not fill the disk.
func (l *Log) Write(ctx context.Context, e Event) {
	if l == nil {
		return
	}
	level, repeated := slog.LevelInfo, 0
	if e.Outcome != OK {
		var write bool
		level = slog.LevelWarn
		if write, repeated = l.due(repetition{e.Name, e.Outcome, e.Address, e.Detail}); !write {
			return
		}
	}
	attrs := make([]slog.Attr, 0, 7)
	for _, f := range [...]struct{ key, value string }{
		{"event", e.Name}, {"actor", e.Actor}, {"address", e.Address}, {"outcome", e.Outcome}, {"detail", e.Detail}, {"request_id", e.Request},
	} {
		if f.value != "" {
			attrs = append(attrs, slog.String(f.key, plain(f.value)))
		}
	}
	if repeated > 0 {
		attrs = append(attrs, slog.Int("repeated", repeated))
	}
	l.log.LogAttrs(ctx, level, "security", attrs...)
}

// due tells whether a refusal is to be written, and how many like it were not.
func (l *Log) due(r repetition) (write bool, repeated int) {
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.known[r]; s != nil {
		if now.Sub(s.at) < quiet {
			s.counted++
			return false, 0
		}
		repeated = s.counted
	} else if len(l.known) >= maxKnown {
		clear(l.known)
	}
	l.known[r] = &seen{at: now}
	return true, repeated
}

// plain makes a value one short printable word or line. The log's own forms escape what could end a line; this also keeps out
// what would move a terminal's cursor or turn the direction of writing.
func plain(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '�'
		}
		return r
	}, s)
	if len(s) > maxField {
		s = strings.ToValidUTF8(s[:maxField], "") + "…"
	}
	return s
}
