// Package audit writes the audit log: who attempted what, from where, and with what outcome. Entries are lines of the ordinary log with
// the message "security".
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

// The events. None of them contains a message, a thread id, a code, a token or a key.
const (
	CodeAsked    = "code_asked"      // a one-time code was requested
	Password     = "password"        // a password was entered
	Code         = "code"            // a one-time code was entered
	SignIn       = "sign_in"         // a session was started
	SignOut      = "sign_out"        // a session was ended by its agent
	LogoutAll    = "logout_all"      // all sessions were ended
	Request      = "request"         // an HTTP request was refused
	SocketOpen   = "socket"          // a connection was refused
	SocketEvent  = "socket_event"    // a socket's event was refused
	Block        = "block"           // a visitor was blocked
	BlockAddress = "block_address"   // the visitor's address was blocked too
	Unblock      = "unblock"         // a visitor was unblocked
	ThreadClear  = "thread_cleared"  // all messages of a conversation were deleted
	ThreadDelete = "thread_deleted"  // a conversation was deleted
	ThreadExport = "thread_exported" // a conversation was exported
	ThreadsClear = "threads_cleared" // all conversations were deleted
	Upload       = "upload"          // a file was refused
	LogLevel     = "log_level"       // the log level was changed
	AgentInvite  = "agent_invited"   // an invitation was made
	AgentJoin    = "agent_joined"    // an invitation was accepted
	AgentChange  = "agent_changed"   // an agent was changed, by an owner or on the terminal
	AccountEdit  = "account_changed" // an agent changed the own account

	PasswordLink    = "password_link_made"    // an owner made a link for an agent's new password
	PasswordNew     = "password_set_by_link"  // an agent used it
	SessionsEnd     = "sessions_ended"        // an agent ended other sessions of the own account
	Passkey         = "passkey"               // a passkey was used to sign in
	PasskeyAdd      = "passkey_added"         // an agent registered a passkey
	PasskeyRemove   = "passkey_removed"       // an agent removed one
	OIDC            = "oidc"                  // a provider was used to sign in
	SecondFactor    = "second_factor_set"     // an agent set an authenticator app up
	SecondFactorOff = "second_factor_removed" // an agent removed it
)

// The outcomes of events.
const (
	OK      = "ok"
	Wrong   = "wrong"   // did not match
	None    = "none"    // there was nothing to compare with
	Refused = "refused" // missing permission
	Limited = "limited" // a rate limit was exceeded
	Blocked = "blocked" // the visitor or address is blocked
	Failed  = "failed"  // an error occurred
)

// Event is one entry. Empty fields are left out.
type Event struct {
	Name    string // one of the events above
	Actor   string // the agent's name or "telegram"; empty if not signed in
	Address string // the client's
	Outcome string // one of the outcomes above
	Detail  string // a route or an event name: one of the server's constants, never client input
	Request string // the id of the request
}

const (
	quiet    = time.Minute // interval in which repeated refusals are only counted
	maxKnown = 10_000      // number of refusals tracked for that
	maxField = 200         // bytes per field
)

// Log writes events. A nil Log writes nothing. It is safe for concurrent use.
type Log struct {
	log *slog.Logger
	now func() time.Time

	mu    sync.Mutex
	known map[repetition]*seen
}

// repetition is the key by which refusals count as the same.
type repetition struct{ name, outcome, address, detail string }

type seen struct {
	at      time.Time
	counted int
}

// New returns an audit log that writes to log.
func New(log *slog.Logger, now func() time.Time) *Log {
	return &Log{log: log.With(logging.Stream, logging.Security), now: now, known: make(map[repetition]*seen)}
}

// Write writes an event: successes at level info, others at level warn. Of the same refusal from the same address one line per minute
// is written, with the number of lines left out before it, so that a client that is refused cannot fill the disk.
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

// due reports whether a refusal is to be written, and how many equal ones were left out before it.
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

// plain makes a value a short printable line. The log formats escape line breaks; this also removes control sequences of terminals and
// bidirectional formatting.
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
