// Package audit writes the audit log: who did or attempted what, from where, and with what outcome. Entries are lines of the ordinary log
// with the message "security", and rows of the database for the owners.
package audit

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"
	"unicode"

	"sohbet/models"
	"sohbet/server/logging"
	"sohbet/server/signal"
)

// The events. None of them contains a message, a code, a token or a key.
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

	TelegramLink   = "telegram_linked"   // a Telegram account was linked to an agent
	TelegramUnlink = "telegram_unlinked" // it is not linked any more
	ThreadClose    = "thread_closed"     // a conversation was closed
	ThreadReopen   = "thread_reopened"   // a conversation was reopened by the team
	ThreadAssign   = "thread_assigned"   // a conversation got another assignee
	ThreadUnassign = "thread_unassigned" // a conversation has no assignee any more
	NoteDelete     = "note_deleted"      // a note was deleted
	CannedSave     = "canned_saved"      // a canned reply was added or changed
	CannedDelete   = "canned_deleted"    // a canned reply was deleted
	SettingChange  = "setting_changed"   // a setting was changed in the console or in Telegram
	Repair         = "repair"            // a repair was run
	AuditExport    = "audit_exported"    // the audit log was exported
)

// Events are all events.
var Events = []string{
	SignIn, SignOut, LogoutAll, CodeAsked, Password, Code, SecondFactor, SecondFactorOff, Passkey, PasskeyAdd, PasskeyRemove, OIDC, PasswordLink, PasswordNew,
	SessionsEnd, TelegramLink, TelegramUnlink, AccountEdit, AgentInvite, AgentJoin, AgentChange,
	ThreadClose, ThreadReopen, ThreadAssign, ThreadUnassign, ThreadExport, ThreadClear, ThreadDelete, ThreadsClear, NoteDelete,
	Block, BlockAddress, Unblock, CannedSave, CannedDelete, SettingChange, Repair, LogLevel, AuditExport, Request, SocketOpen, SocketEvent, Upload,
}

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
	Detail  string // a route, an event, a setting or a number: never a client's text
	Request string // the id of the request

	// Only in stored rows.
	AgentID    models.AgentID // who did it; 0 = not an agent
	Browser    string         // names of browser and platform
	ThreadID   string         // the conversation that it was done to
	AboutAgent models.AgentID // the agent that it was done to
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

	store Store
	wake  signal.Signal

	mu      sync.Mutex
	known   map[repetition]*seen
	pending []models.AuditEntry
	refused map[repetition]*models.AuditEntry
	dropped int // entries that were not stored because too many were pending
}

// repetition is the key by which refusals count as the same.
type repetition struct{ name, outcome, address, detail string }

type seen struct {
	at      time.Time
	counted int
}

// New returns an audit log that writes to log and stores rows in store; nil = it stores none.
func New(log *slog.Logger, now func() time.Time, store Store) *Log {
	return &Log{
		log: log.With(logging.Stream, logging.Security), now: now, store: store, wake: signal.New(),
		known: make(map[repetition]*seen), refused: make(map[repetition]*models.AuditEntry),
	}
}

// Write writes an event: successes at level info, others at level warn. Of the same refusal from the same address one line per minute
// is written, with the number of lines left out before it, so that a client that is refused cannot fill the disk. It does not wait for the
// database: [Log.Run] stores the row.
func (l *Log) Write(ctx context.Context, e Event) {
	if l == nil {
		return
	}
	l.keep(e)
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
