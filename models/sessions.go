package models

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"sohbet/models/database"
)

// Session is what is stored of an agent's session, which itself is a cookie.
type Session struct {
	ID              string `gorm:"primaryKey"`
	AgentID         AgentID
	AgentGeneration int64 // Agent.SessionGeneration when it was started
	StartedAt       *time.Time
	SeenAt          time.Time
	EndedAt         *time.Time
	ExpiresAt       time.Time
	Details         string // SessionClient, encrypted; "" = unknown

	SessionClient `gorm:"-"`
}

// SessionClient says where a session was started.
type SessionClient struct {
	Browser  string `json:"browser"`
	Platform string `json:"platform"`
	Address  string `json:"address"`
}

// maxSessions is how many sessions an agent may have at the same time: beyond it a new one ends the one unused for longest.
const maxSessions = 50

// sessions is this process's in-memory copy of the revoked sessions.
type sessions struct {
	mu         sync.RWMutex
	ended      map[string]struct{}
	generation string
	changed    func()
}

// setGeneration sets the generation of valid sessions and, if it changed, calls the function of OnSessionsEnded.
func (s *sessions) setGeneration(generation string) {
	s.mu.Lock()
	changed := s.generation != generation
	s.generation = generation
	s.mu.Unlock()
	if changed {
		s.check()
	}
}

func (s *sessions) replace(ended map[string]struct{}) {
	s.mu.Lock()
	s.ended = ended
	s.mu.Unlock()
	s.check()
}

// check calls the function of OnSessionsEnded.
func (s *sessions) check() {
	s.mu.RLock()
	changed := s.changed
	s.mu.RUnlock()
	if changed != nil {
		changed()
	}
}

// OnSessionsEnded sets the function to call when sessions have been ended, by this or another process. It must not block for long.
func (s *Store) OnSessionsEnded(fn func()) {
	s.sessions.mu.Lock()
	defer s.sessions.mu.Unlock()
	s.sessions.changed = fn
}

// SessionEnded reports whether the session with that id and generation was revoked. It answers from memory; a revocation by another
// process is visible here within pollInterval.
func (s *Store) SessionEnded(id, generation string) bool {
	s.sessions.mu.RLock()
	defer s.sessions.mu.RUnlock()
	_, ended := s.sessions.ended[id]
	return ended || generation != s.sessions.generation
}

// SessionGeneration returns the generation that a new session has to carry, read from the database.
func (s *Store) SessionGeneration(ctx context.Context) (string, error) {
	var value string
	err := database.Retry(ctx, func() error {
		return s.db.Read.WithContext(ctx).Table("security_state").Where("name = ?", stateGeneration).Select("value").Take(&value).Error
	})
	if err == nil {
		s.sessions.setGeneration(value)
	}
	return value, s.failed("read the generation of sessions", err)
}

// StartSession stores a new session.
func (s *Store) StartSession(ctx context.Context, session Session) error {
	text, err := json.Marshal(session.SessionClient)
	if err != nil {
		return fmt.Errorf("models: start a session: %w", err)
	}
	if session.Details, err = s.cipher.Seal(string(text)); err != nil {
		return err
	}
	var surplus bool
	err = s.transaction(ctx, func(tx *gorm.DB) error {
		now := stamp(s.Now())
		if err := tx.Where("expires_at <= ?", now).Delete(&Session{}).Error; err != nil {
			return err
		}
		if err := s.saveSession(tx, session); err != nil {
			return err
		}
		live := func() *gorm.DB {
			return tx.Model(&Session{}).Where("agent_id = ? AND agent_generation = ? AND ended_at IS NULL", session.AgentID, session.AgentGeneration)
		}
		ended := live().Where("id NOT IN (?)", live().Select("id").Order("seen_at DESC, id").Limit(maxSessions)).Update("ended_at", now)
		if surplus = ended.RowsAffected > 0; ended.Error != nil || !surplus {
			return ended.Error
		}
		return markChanged(tx, stateSessions)
	})
	if err == nil && surplus {
		s.notify(TopicSecurity)
		s.reload(ctx, s.loadSessions)
	}
	return s.failed("start a session", err)
}

// saveSession inserts a session, or updates all that the cookie of a session says.
func (s *Store) saveSession(tx *gorm.DB, session Session) error {
	if session.AgentID == 0 {
		owner, _ := s.Agent(0)
		session.AgentID = AgentID(owner.ID)
	}
	session.SeenAt, session.ExpiresAt = stamp(session.SeenAt), stamp(session.ExpiresAt)
	if session.StartedAt != nil {
		at := stamp(*session.StartedAt)
		session.StartedAt = &at
	}
	return tx.Clauses(clause.OnConflict{
		Columns: []clause.Column{{Name: "id"}}, DoUpdates: clause.AssignmentColumns([]string{"seen_at", "agent_id", "agent_generation", "started_at"}),
	}).Create(&session).Error
}

// Sessions returns the sessions of an agent that have neither expired nor been ended, the most recently used first.
func (s *Store) Sessions(ctx context.Context, a Agent) (list []Session, err error) {
	err = database.Retry(ctx, func() error {
		return s.db.Read.WithContext(ctx).
			Where("agent_id = ? AND agent_generation = ? AND ended_at IS NULL AND expires_at > ?", a.ID, a.SessionGeneration, stamp(s.Now())).
			Order("seen_at DESC, id").Limit(maxSessions).Find(&list).Error
	})
	if err != nil {
		return nil, s.failed("read an agent's sessions", err)
	}
	for i := range list {
		one := &list[i]
		one.SeenAt = one.SeenAt.UTC()
		if text, readable := s.cipher.Open(one.Details); readable && text != "" {
			_ = json.Unmarshal([]byte(text), &one.SessionClient) // what is damaged is shown as unknown
		}
	}
	return list, nil
}

// EndSession revokes a session in all processes; expires is when it would have expired.
func (s *Store) EndSession(ctx context.Context, id string, expires time.Time) error {
	if err := checkText("session id", id, 64); err != nil {
		return err
	}
	return s.endSession(ctx, func(*gorm.DB) (Session, error) { return Session{ID: id, ExpiresAt: stamp(expires)}, nil })
}

// EndSessionOf revokes a session of an agent in all processes. It returns ErrNotFound if the agent has none with that id.
func (s *Store) EndSessionOf(ctx context.Context, agent int64, id string) error {
	return s.endSession(ctx, func(tx *gorm.DB) (session Session, err error) {
		return session, tx.Where("id = ? AND agent_id = ? AND ended_at IS NULL", id, agent).Take(&session).Error
	})
}

// endSession revokes the session that find returns.
func (s *Store) endSession(ctx context.Context, find func(*gorm.DB) (Session, error)) error {
	now := stamp(s.Now())
	err := s.transaction(ctx, func(tx *gorm.DB) error {
		if err := tx.Where("expires_at <= ?", now).Delete(&Session{}).Error; err != nil {
			return err
		}
		session, err := find(tx)
		if err != nil {
			return err
		}
		session.SeenAt, session.EndedAt = now, &now
		err = tx.Clauses(clause.OnConflict{
			Columns: []clause.Column{{Name: "id"}}, DoUpdates: clause.AssignmentColumns([]string{"ended_at", "expires_at"}),
		}).Create(&session).Error
		if err != nil {
			return err
		}
		if err := tx.Where("session_id = ?", session.ID).Delete(&PushSubscription{}).Error; err != nil {
			return err
		}
		return markChanged(tx, stateSessions)
	})
	if err != nil {
		return s.failed("end a session", err)
	}
	s.notify(TopicSecurity)
	return s.loadSessions(ctx)
}

// EndAllSessions revokes every session.
func (s *Store) EndAllSessions(ctx context.Context) error {
	generation := rand.Text()
	err := s.transaction(ctx, func(tx *gorm.DB) error { return endAllSessions(tx, generation) })
	if err != nil {
		return s.failed("end all sessions", err)
	}
	return s.sessionsEnded(ctx, generation)
}

// endAllSessions revokes every session; generation is that of new sessions.
func endAllSessions(tx *gorm.DB, generation string) error {
	for _, rows := range [...]any{&Session{}, &PushSubscription{}} {
		if err := tx.Where("1 = 1").Delete(rows).Error; err != nil {
			return err
		}
	}
	if err := tx.Table("security_state").Where("name = ?", stateGeneration).Update("value", generation).Error; err != nil {
		return err
	}
	for _, state := range [...]string{stateBlocks, stateAgents, stateSettings, stateSessions} { // this also runs in a restore, which replaces what they stand for
		if err := markChanged(tx, state); err != nil {
			return err
		}
	}
	return nil
}

// sessionsEnded applies a committed endAllSessions to this process.
func (s *Store) sessionsEnded(ctx context.Context, generation string) error {
	s.notify(TopicSecurity)
	s.sessions.setGeneration(generation)
	return s.loadSessions(ctx)
}

// loadSessions reloads the in-memory revocations from the table.
func (s *Store) loadSessions(ctx context.Context) error {
	var ids []string
	err := database.Retry(ctx, func() error {
		return s.db.Read.WithContext(ctx).Model(&Session{}).Where("ended_at IS NOT NULL AND expires_at > ?", stamp(s.Now())).Pluck("id", &ids).Error
	})
	if err != nil {
		return s.failed("read ended sessions", err)
	}
	ended := make(map[string]struct{}, len(ids))
	for _, id := range ids {
		ended[id] = struct{}{}
	}
	s.sessions.replace(ended)
	return nil
}

// RecordSessionSeen stores when a session was last in use.
func (s *Store) RecordSessionSeen(ctx context.Context, session Session) error {
	err := database.Retry(ctx, func() error { return s.saveSession(s.db.Write.WithContext(ctx), session) })
	return s.failed("record that a session is in use", err)
}

// SessionSeen returns when a session was last recorded as in use; the zero time if never.
func (s *Store) SessionSeen(ctx context.Context, id string) (time.Time, error) {
	var row Session
	err := database.Retry(ctx, func() error { return s.db.Read.WithContext(ctx).Where("id = ?", id).Take(&row).Error })
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return time.Time{}, nil
	}
	return row.SeenAt.UTC(), s.failed("read when a session was in use", err)
}
