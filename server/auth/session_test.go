package auth

import (
	"context"
	"errors"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"sohbet/models"
)

// memorySessions is an in-memory SessionStore.
type memorySessions struct {
	mu         sync.Mutex
	generation string
	ended      map[string]bool
	agents     map[int64]int64 // generations
	seen       map[string]time.Time
	started    []models.Session
	broken     error
}

func (m *memorySessions) SessionGeneration(context.Context) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.generation, m.broken
}

func (m *memorySessions) SessionEnded(id, generation string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ended[id] || generation != m.generation
}

func (m *memorySessions) AgentSessionEnded(agent, generation int64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.agents[agent] != generation
}

func (m *memorySessions) EndSession(_ context.Context, id string, _ time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ended == nil {
		m.ended = map[string]bool{}
	}
	m.ended[id] = true
	return m.broken
}

func (m *memorySessions) StartSession(_ context.Context, session models.Session) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.started = append(m.started, session)
	return m.broken
}

func (m *memorySessions) Sessions(context.Context, models.Agent) ([]models.Session, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.started), m.broken
}

func (m *memorySessions) RecordSessionSeen(_ context.Context, session models.Session) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.seen == nil {
		m.seen = map[string]time.Time{}
	}
	m.seen[session.ID] = session.SeenAt
	return m.broken
}

func (m *memorySessions) SessionSeen(_ context.Context, id string) (time.Time, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.seen[id], m.broken
}

type sessionFixture struct {
	*Sessions
	store *memorySessions
	clock *clock
	keys  *Keys
}

func newSessions(t *testing.T) *sessionFixture {
	f := &sessionFixture{store: &memorySessions{}, clock: &clock{time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}, keys: keys(t, keyA)}
	f.restart()
	return f
}

// restart simulates another process with the same store.
func (f *sessionFixture) restart() { f.Sessions = NewSessions(f.keys, f.store, plainHTTP, f.clock.now) }

func (f *sessionFixture) signIn(t *testing.T, b browser) Session {
	t.Helper()
	w := httptest.NewRecorder()
	s, err := f.Issue(w, b.request(), Account{Name: "admin"})
	if err != nil {
		t.Fatal(err)
	}
	b.keep(w)
	return s
}

func (f *sessionFixture) check(t *testing.T, when string, b browser, want bool) {
	t.Helper()
	if _, ok := f.FromRequest(b.request()); ok != want {
		t.Errorf("%s: signed in %v, want %v", when, ok, want)
	}
}

func TestSessionEndsOnTheServer(t *testing.T) {
	f, b, other := newSessions(t), browser{}, browser{}
	first := f.signIn(t, b)
	f.signIn(t, other)
	stolen := browser{sessionCookie: b[sessionCookie]}
	f.check(t, "a copy", stolen, true)
	if err := f.End(httptest.NewRecorder(), b.request()); err != nil {
		t.Fatal(err)
	}
	f.check(t, "a copy after sign-out", stolen, false)
	f.check(t, "another session", other, true)
	if f.Valid(first) {
		t.Error("valid after sign-out")
	}
	copied := browser{sessionCookie: other[sessionCookie]}
	f.signIn(t, other)
	f.check(t, "the session before a new sign-in", copied, false)
	f.check(t, "the new one", other, true)
	f.store.generation = "next"
	f.check(t, "after all sessions were ended", other, false)
	f.signIn(t, other)
	f.check(t, "signed in again", other, true)
	f.store.broken = errors.New("no database")
	if _, err := f.Issue(httptest.NewRecorder(), other.request(), Account{Name: "admin"}); err == nil {
		t.Error("a session begins though the old one could not be ended")
	}
}

func TestIdleSession(t *testing.T) {
	f, b := newSessions(t), browser{}
	s := f.signIn(t, b)
	wait := func(d time.Duration) { f.clock.t = f.clock.t.Add(d) }
	wait(sessionIdle - time.Second)
	f.check(t, "just in time", b, true)
	wait(sessionIdle - time.Second)
	f.check(t, "in use", b, true)
	f.flush(t.Context())
	f.restart()
	wait(sessionIdle - time.Second)
	f.check(t, "after a restart", b, true)
	f.restart() // without flushing
	wait(2 * time.Second)
	f.check(t, "idle", b, false)
	f.Connected(func() []Session { return []Session{s} })
	f.check(t, "with an open console", b, true)
	wait(sessionIdle + time.Minute)
	f.flush(t.Context()) // records the open console as in use
	f.Connected(func() []Session { return nil })
	wait(time.Hour)
	f.check(t, "an hour after the console was closed", b, true)
	f.store.broken = errors.New("no database")
	f.restart()
	f.check(t, "the last use is unknown", b, false)
}

// A session ends with its agent's generation; one that began before there were agents has neither, and is the owner's.
func TestSessionsOfAgents(t *testing.T) {
	f := newSessions(t)
	f.store.agents = map[int64]int64{7: 3}
	issue := func(who Account) browser {
		b, w := browser{}, httptest.NewRecorder()
		if _, err := f.Issue(w, b.request(), who); err != nil {
			t.Fatal(err)
		}
		b.keep(w)
		return b
	}
	old, current, earlier := issue(Account{}), issue(Account{ID: 7, Generation: 3}), issue(Account{ID: 7, Generation: 2})
	f.check(t, "of an earlier version", old, true)
	f.check(t, "of this generation", current, true)
	f.check(t, "of an earlier generation", earlier, false)
	f.store.agents = map[int64]int64{0: 1, 7: 4}
	f.check(t, "of an earlier version, after the owner's generation", old, false)
	f.check(t, "after the agent's generation", current, false)
}

func TestSeenSessionsAreForgotten(t *testing.T) {
	f := newSessions(t)
	for range 50 {
		b := browser{}
		f.signIn(t, b)
		f.check(t, "new", b, true)
	}
	f.clock.t = f.clock.t.Add(sessionLifetime)
	f.flush(t.Context())
	if len(f.seen) != 0 {
		t.Errorf("%d expired sessions are kept in memory", len(f.seen))
	}
}

func TestSessionKnowsWhereItBegan(t *testing.T) {
	clk := &clock{time.Now()}
	s := NewSessions(keys(t, keyA), &memorySessions{}, plainHTTP, clk.now)
	for _, origin := range []string{"https://chat.example", ""} {
		b := browser{}
		w := httptest.NewRecorder()
		if _, err := s.IssueTo(w, b.request(), Account{Name: "admin"}, Browser{Origin: origin}); err != nil {
			t.Fatal(err)
		}
		b.keep(w)
		if got := s.Origin(b.request()); got != origin {
			t.Errorf("began at %q, want %q", got, origin)
		}
	}
	if got := s.Origin(browser{}.request()); got != "" {
		t.Errorf("no session began at %q", got)
	}
}
