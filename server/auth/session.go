package auth

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"time"

	"github.com/gorilla/securecookie"
)

const (
	sessionCookie   = "sohbet_session"
	sessionLifetime = 12 * time.Hour
)

// Session is a signed-in agent. It lives in the cookie alone; the server keeps nothing.
type Session struct {
	ID        string    `json:"i"` // 26 random characters, new at each sign-in
	Subject   string    `json:"s"` // the agent's name
	IssuedAt  time.Time `json:"a"`
	ExpiresAt time.Time `json:"e"`
}

// Sessions issues and reads session cookies.
type Sessions struct {
	codecs []securecookie.Codec
	cookie cookie
	now    func() time.Time
}

// NewSessions makes sessions signed and encrypted with keys; secure tells whether a request came over HTTPS, and with it
// whether the cookie may only travel so.
func NewSessions(keys *Keys, secure func(*http.Request) bool, now func() time.Time) *Sessions {
	return &Sessions{codecs: keys.codecs("session"), cookie: cookie{sessionCookie, secure}, now: now}
}

// Issue starts a session and sets its cookie. Whatever session the browser had before is replaced.
func (s *Sessions) Issue(w http.ResponseWriter, r *http.Request, subject string) (Session, error) {
	now := s.now().UTC().Truncate(time.Second)
	session := Session{ID: rand.Text(), Subject: subject, IssuedAt: now, ExpiresAt: now.Add(sessionLifetime)}
	value, err := securecookie.EncodeMulti(sessionCookie, session, s.codecs...)
	if err != nil {
		return Session{}, fmt.Errorf("session cookie: %w", err)
	}
	s.cookie.set(w, r, value, session.ExpiresAt, sessionLifetime)
	return session, nil
}

// FromRequest reads the session of a request; false for none, a forged or an expired one.
func (s *Sessions) FromRequest(r *http.Request) (Session, bool) {
	value := s.cookie.value(r)
	if value == "" {
		return Session{}, false
	}
	var session Session
	if err := securecookie.DecodeMulti(sessionCookie, value, &session, s.codecs...); err != nil {
		return Session{}, false
	}
	now := s.now()
	if session.ID == "" || session.IssuedAt.After(now.Add(time.Minute)) || !now.Before(session.ExpiresAt) {
		return Session{}, false
	}
	return session, true
}

// Clear removes the cookie: the browser is signed out.
func (s *Sessions) Clear(w http.ResponseWriter, r *http.Request) { s.cookie.clear(w, r) }
