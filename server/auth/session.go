package auth

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/gorilla/securecookie"

	"sohbet/models"
)

const (
	sessionCookie = "sohbet_session"
	// sessionLifetime is a working day: after it agents have to sign in again, even if active.
	sessionLifetime = 12 * time.Hour
	// sessionIdle is how long an unused session is valid. A connected console counts as use, because it waits for visitors; so this
	// concerns closed browsers and stolen cookies.
	sessionIdle = 2 * time.Hour
	// seenInterval is how often the use of sessions is stored.
	seenInterval = 5 * time.Minute
)

// Session is a signed-in agent's session. It is stored in the cookie; the server stores only its revocation and last use.
type Session struct {
	ID              string    `json:"i"`           // 26 random characters, new for each sign-in
	Subject         string    `json:"s"`           // the agent's name when it was started
	Agent           int64     `json:"u,omitempty"` // 0 in sessions that began before there were agents
	AgentGeneration int64     `json:"n,omitempty"` // generation of the agent's sessions in which it was started
	Generation      string    `json:"g"`           // generation in which it was started, see [SessionStore]
	IssuedAt        time.Time `json:"a"`
	ExpiresAt       time.Time `json:"e"`
	Origin          string    `json:"o,omitempty"` // origin of the page that signed in; "" if it was not certain to be this server's own
}

// Account is an agent who signs in.
type Account struct {
	ID         int64
	Name       string
	Generation int64 // of the agent's sessions, see [SessionStore]
}

// SessionStore stores what cookies cannot. SessionEnded and AgentSessionEnded answer from memory. All sessions, or those of one agent, are
// ended by starting a new generation.
type SessionStore interface {
	SessionGeneration(ctx context.Context) (string, error)
	SessionEnded(id, generation string) bool
	AgentSessionEnded(agent, generation int64) bool
	StartSession(ctx context.Context, session models.Session) error
	EndSession(ctx context.Context, id string, expires time.Time) error
	Sessions(ctx context.Context, agent models.Agent) ([]models.Session, error)
	RecordSessionSeen(ctx context.Context, session models.Session) error
	SessionSeen(ctx context.Context, id string) (time.Time, error)
}

// Sessions issues, reads and revokes sessions.
type Sessions struct {
	store  SessionStore
	codecs []securecookie.Codec
	cookie cookie
	now    func() time.Time

	mu   sync.Mutex
	seen map[string]use // last use by session id, on this process
	open func() []Session
}

// use is the last use of a session.
type use struct {
	session    Session
	at, stored time.Time
}

// Browser is what is known of a browser in which an agent signs in.
type Browser struct {
	Origin string // of the page, if it is certainly this server's own; "" = unknown
	Client models.SessionClient
}

// NewSessions returns Sessions whose cookies are signed and encrypted with keys.
func NewSessions(keys *Keys, store SessionStore, cookies Cookies, now func() time.Time) *Sessions {
	return &Sessions{
		store: store, codecs: keys.codecs("session"), cookie: cookie{sessionCookie, cookies}, now: now,
		seen: make(map[string]use), open: func() []Session { return nil },
	}
}

// Connected sets a function that lists the sessions with an open socket, which count as in use.
func (s *Sessions) Connected(list func() []Session) { s.open = list }

// Issue starts a session and sets its cookie. It revokes the browser's previous session.
func (s *Sessions) Issue(w http.ResponseWriter, r *http.Request, who Account) (Session, error) {
	return s.IssueTo(w, r, who, Browser{})
}

// IssueTo is like Issue for a known browser. The origin of its page counts as this server's for that session: a proxy may hide that from
// later requests, such as websocket handshakes, which carry no CSRF token.
func (s *Sessions) IssueTo(w http.ResponseWriter, r *http.Request, who Account, browser Browser) (Session, error) {
	if err := s.endCurrent(r); err != nil {
		return Session{}, err
	}
	generation, err := s.store.SessionGeneration(r.Context())
	if err != nil {
		return Session{}, fmt.Errorf("session: %w", err)
	}
	now := s.now().UTC().Truncate(time.Second)
	session := Session{
		ID: rand.Text(), Subject: who.Name, Agent: who.ID, AgentGeneration: who.Generation, Generation: generation,
		IssuedAt: now, ExpiresAt: now.Add(sessionLifetime), Origin: browser.Origin,
	}
	stored := session.stored(s.now())
	stored.SessionClient = browser.Client
	if err := s.store.StartSession(r.Context(), stored); err != nil {
		return Session{}, fmt.Errorf("session: %w", err)
	}
	value, err := securecookie.EncodeMulti(sessionCookie, session, s.codecs...)
	if err != nil {
		return Session{}, fmt.Errorf("session cookie: %w", err)
	}
	s.cookie.set(w, r, value, session.ExpiresAt, sessionLifetime)
	return session, nil
}

// stored returns what is stored of a session that was in use at a time.
func (s Session) stored(seen time.Time) models.Session {
	return models.Session{
		ID: s.ID, AgentID: models.AgentID(s.Agent), AgentGeneration: s.AgentGeneration, StartedAt: &s.IssuedAt, SeenAt: seen, ExpiresAt: s.ExpiresAt,
	}
}

// List returns the valid sessions of an agent, the most recently used first.
func (s *Sessions) List(ctx context.Context, agent models.Agent) ([]models.Session, error) {
	list, err := s.store.Sessions(ctx, agent)
	if err != nil {
		return nil, fmt.Errorf("list sessions: %w", err)
	}
	now := s.now()
	open := make(map[string]bool)
	for _, session := range s.open() {
		open[session.ID] = true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range list {
		one := &list[i]
		if at := s.seen[one.ID].at; at.After(one.SeenAt) {
			one.SeenAt = at
		}
		if open[one.ID] {
			one.SeenAt = now
		}
	}
	list = slices.DeleteFunc(list, func(one models.Session) bool { return !one.SeenAt.After(now.Add(-sessionIdle)) })
	slices.SortStableFunc(list, func(a, b models.Session) int { return b.SeenAt.Compare(a.SeenAt) })
	return list, nil
}

// FromRequest returns the session of a request; false if there is none or it is forged, expired, idle or revoked.
func (s *Sessions) FromRequest(r *http.Request) (Session, bool) {
	session, ok := s.decode(r)
	if !ok || !s.Valid(session) || s.idle(r.Context(), session) {
		return Session{}, false
	}
	s.use(session)
	return session, true
}

func (s *Sessions) decode(r *http.Request) (Session, bool) {
	value := s.cookie.value(r)
	if value == "" {
		return Session{}, false
	}
	var session Session
	if err := securecookie.DecodeMulti(sessionCookie, value, &session, s.codecs...); err != nil {
		return Session{}, false
	}
	// The clock may have been set back, or another process's be ahead, so a session may be from the future; but not for longer than one lasts.
	return session, session.ID != "" && !session.IssuedAt.After(s.now().Add(sessionLifetime))
}

// Origin returns the origin of the page on which the request's session was started; "" if unknown.
func (s *Sessions) Origin(r *http.Request) string {
	session, _ := s.decode(r)
	return session.Origin
}

// Valid reports whether a session read earlier has neither expired nor been revoked since.
func (s *Sessions) Valid(session Session) bool {
	return session.ID != "" && s.now().Before(session.ExpiresAt) && !s.store.SessionEnded(session.ID, session.Generation) &&
		!s.store.AgentSessionEnded(session.Agent, session.AgentGeneration)
}

// idle reports whether a session was unused for too long. Most requests are answered from memory; the database is queried for sessions
// that this process has not seen recently.
func (s *Sessions) idle(ctx context.Context, session Session) bool {
	since := s.now().Add(-sessionIdle)
	s.mu.Lock()
	last := s.seen[session.ID].at
	s.mu.Unlock()
	if last.After(since) || session.IssuedAt.After(since) {
		return false
	}
	for _, open := range s.open() {
		if open.ID == session.ID {
			return false
		}
	}
	stored, err := s.store.SessionSeen(ctx, session.ID)
	return err != nil || !stored.After(since)
}

// use records that a session is in use now.
func (s *Sessions) use(session Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.seen[session.ID]
	u.at, u.session = s.now(), session
	s.seen[session.ID] = u
}

// Run stores the use of sessions every seenInterval until ctx ends, and then once more. Failures are not logged here, because the store
// logs outages; the data is kept for the next time.
func (s *Sessions) Run(ctx context.Context) {
	tick := time.NewTicker(seenInterval)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-tick.C:
			s.flush(ctx)
		}
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	s.flush(last)
}

// flush stores the changes since the last time and removes expired sessions from memory.
func (s *Sessions) flush(ctx context.Context) {
	for _, session := range s.open() {
		if s.Valid(session) {
			s.use(session)
		}
	}
	now := s.now()
	due := make(map[string]use)
	s.mu.Lock()
	for id, u := range s.seen {
		switch {
		case !now.Before(u.session.ExpiresAt):
			delete(s.seen, id)
		case u.at.After(u.stored):
			due[id] = u
		}
	}
	s.mu.Unlock()
	for id, u := range due {
		if !s.Valid(u.session) {
			continue
		}
		if err := s.store.RecordSessionSeen(ctx, u.session.stored(u.at)); err != nil {
			continue
		}
		s.mu.Lock()
		if current, here := s.seen[id]; here {
			current.stored = u.at
			s.seen[id] = current
		}
		s.mu.Unlock()
	}
}

// End revokes the session of a request on all processes, if it has one, and deletes its cookie.
func (s *Sessions) End(w http.ResponseWriter, r *http.Request) error {
	s.cookie.clear(w, r)
	return s.endCurrent(r)
}

func (s *Sessions) endCurrent(r *http.Request) error {
	session, ok := s.decode(r)
	if !ok || !s.Valid(session) {
		return nil
	}
	if err := s.store.EndSession(r.Context(), session.ID, session.ExpiresAt); err != nil {
		return fmt.Errorf("end a session: %w", err)
	}
	return nil
}
