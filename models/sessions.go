package models

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"sohbet/models/database"
)

// sessionRow is a row of the table sessions.
type sessionRow struct {
	ID        string `gorm:"primaryKey"`
	SeenAt    time.Time
	EndedAt   *time.Time
	ExpiresAt time.Time
}

func (sessionRow) TableName() string { return "sessions" }

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

// EndSession revokes a session in all processes; expires is when it would have expired.
func (s *Store) EndSession(ctx context.Context, id string, expires time.Time) error {
	if err := checkText("session id", id, 64); err != nil {
		return err
	}
	now := stamp(s.Now())
	err := s.transaction(ctx, func(tx *gorm.DB) error {
		if err := tx.Where("expires_at <= ?", now).Delete(&sessionRow{}).Error; err != nil {
			return err
		}
		err := tx.Clauses(clause.OnConflict{
			Columns: []clause.Column{{Name: "id"}}, DoUpdates: clause.AssignmentColumns([]string{"ended_at", "expires_at"}),
		}).Create(&sessionRow{ID: id, SeenAt: now, EndedAt: &now, ExpiresAt: stamp(expires)}).Error
		if err != nil {
			return err
		}
		if err := tx.Where("session_id = ?", id).Delete(&PushSubscription{}).Error; err != nil {
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
	for _, rows := range [...]any{&sessionRow{}, &PushSubscription{}} {
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
		return s.db.Read.WithContext(ctx).Model(&sessionRow{}).Where("ended_at IS NOT NULL AND expires_at > ?", stamp(s.Now())).Pluck("id", &ids).Error
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

// RecordSessionSeen records that a session was in use at a time.
func (s *Store) RecordSessionSeen(ctx context.Context, id string, at, expires time.Time) error {
	row := sessionRow{ID: id, SeenAt: stamp(at), ExpiresAt: stamp(expires)}
	err := database.Retry(ctx, func() error {
		return s.db.Write.WithContext(ctx).Clauses(clause.OnConflict{
			Columns: []clause.Column{{Name: "id"}}, DoUpdates: clause.AssignmentColumns([]string{"seen_at"}),
		}).Create(&row).Error
	})
	return s.failed("record that a session is in use", err)
}

// SessionSeen returns when a session was last recorded as in use; the zero time if never.
func (s *Store) SessionSeen(ctx context.Context, id string) (time.Time, error) {
	var row sessionRow
	err := database.Retry(ctx, func() error { return s.db.Read.WithContext(ctx).Where("id = ?", id).Take(&row).Error })
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return time.Time{}, nil
	}
	return row.SeenAt.UTC(), s.failed("read when a session was in use", err)
}
