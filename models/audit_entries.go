package models

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"sohbet/models/database"
)

const (
	// maxRefusals is how many rows of refusals are stored per day (UTC). Further ones are counted without saying where they came from, so
	// that clients with many addresses cannot fill the disk.
	maxRefusals = 1000
	auditBatch  = 500 // rows per statement
)

// MaxAuditText is the width of the columns of an audit entry in characters.
const MaxAuditText = 100

// AuditEntry is a row of the audit trail: who did or tried what, when, and from where.
type AuditEntry struct {
	ID         int64
	Event      string
	Outcome    string
	AgentID    AgentID // who did it; 0 = not an agent
	Actor      string  // the agent's name at that time, "telegram" or "terminal"; "" = unknown; encrypted
	Address    string  // encrypted
	Browser    string  // names of browser and platform
	Detail     string  // a route, a setting or the like
	ThreadID   string  // the conversation that it was done to; it may have been deleted since
	AboutAgent AgentID // the agent that it was done to
	Times      int64
	Repetition *string // the hash by which refusals share a row; nil for others
	CreatedAt  time.Time
	LastAt     time.Time // the last of Times

	Refusal bool `gorm:"-"` // shares its row with others that are alike
}

// sealed returns the encrypted fields.
func (e *AuditEntry) sealed() [2]*string { return [...]*string{&e.Actor, &e.Address} }

// WithoutOrigin returns an entry that does not tell who was refused, so that all of a kind share one row.
func (e AuditEntry) WithoutOrigin() AuditEntry {
	e.AgentID, e.Actor, e.Address, e.Browser, e.Detail, e.ThreadID, e.AboutAgent = 0, "", "", "", "", "", 0
	return e
}

// repetition is what entries that share a row have in common. Their hour counts, so that a row tells roughly when it happened.
func (e AuditEntry) repetition() string {
	hour := e.CreatedAt.UTC().Truncate(time.Hour).Unix()
	return strings.Join([]string{e.Event, e.Outcome, e.Actor, e.Address, e.Detail, strconv.FormatInt(hour, 10)}, "\x00")
}

// AddAudit stores entries: refusals, each added to the row of those that are alike, and then the others in their order.
func (s *Store) AddAudit(ctx context.Context, list []AuditEntry) error {
	err := s.transaction(ctx, func(tx *gorm.DB) error {
		var acts, refusals []AuditEntry
		for _, e := range list {
			e.CreatedAt, e.LastAt, e.Times = stamp(e.CreatedAt), stamp(e.LastAt), max(e.Times, 1)
			if e.Refusal {
				refusals = append(refusals, e)
			} else {
				acts = append(acts, e)
			}
		}
		refusals, err := s.mergeRefusals(tx, refusals)
		if err != nil {
			return err
		}
		for i := range acts {
			if err := s.sealAudit(&acts[i]); err != nil {
				return err
			}
		}
		for _, rows := range [...][]AuditEntry{refusals, acts} {
			if len(rows) == 0 {
				continue
			}
			err := tx.Clauses(clause.OnConflict{Columns: []clause.Column{{Name: "repetition"}}, DoUpdates: clause.Assignments(map[string]any{
				"times": gorm.Expr("audit_entries.times + excluded.times"), "last_at": gorm.Expr("excluded.last_at"),
			})}).CreateInBatches(&rows, auditBatch).Error
			if err != nil {
				return err
			}
		}
		return nil
	})
	return s.failed("store audit entries", err)
}

// mergeRefusals returns refusals as they are stored: one for each row, and with no more new rows than today's limit leaves.
func (s *Store) mergeRefusals(tx *gorm.DB, list []AuditEntry) ([]AuditEntry, error) {
	if len(list) == 0 {
		return nil, nil
	}
	var rows int64
	today := stamp(s.Now()).Truncate(24 * time.Hour)
	if err := tx.Model(&AuditEntry{}).Where("repetition IS NOT NULL AND created_at >= ?", today).Count(&rows).Error; err != nil {
		return nil, err
	}
	merged := s.groupRefusals(list)
	keys := make([]string, len(merged))
	for i, e := range merged {
		keys[i] = *e.Repetition
	}
	var known []string
	if err := tx.Model(&AuditEntry{}).Where("repetition IN ?", keys).Pluck("repetition", &known).Error; err != nil {
		return nil, err
	}
	for i, e := range merged {
		if slices.Contains(known, *e.Repetition) {
			continue
		}
		if rows++; rows > maxRefusals {
			merged[i] = e.WithoutOrigin()
		}
	}
	merged = s.groupRefusals(merged)
	for i := range merged {
		if err := s.sealAudit(&merged[i]); err != nil {
			return nil, err
		}
	}
	// Another process may store the same rows: all lock them in one order.
	slices.SortFunc(merged, func(a, b AuditEntry) int { return cmp.Compare(*a.Repetition, *b.Repetition) })
	return merged, nil
}

// groupRefusals adds up the refusals that share a row.
func (s *Store) groupRefusals(list []AuditEntry) []AuditEntry {
	merged, at := make([]AuditEntry, 0, len(list)), make(map[string]int, len(list))
	for _, e := range list {
		key := s.refusals.Hash(e.repetition())
		i, found := at[key]
		if !found {
			at[key] = len(merged)
			e.Repetition = &key
			merged = append(merged, e)
			continue
		}
		merged[i].Times += e.Times
		merged[i].LastAt = e.LastAt
	}
	return merged
}

func (s *Store) sealAudit(e *AuditEntry) (err error) {
	for _, field := range e.sealed() {
		if *field, err = s.cipher.Seal(*field); err != nil {
			return err
		}
	}
	return nil
}

// AuditQuery selects entries of the audit trail, newest first. Fields that are not set select all.
type AuditQuery struct {
	BeforeID int64
	AgentID  AgentID
	Event    string
	From, To time.Time // From is included, To is not
	Limit    int
}

// AuditEntries lists entries of the audit trail.
func (s *Store) AuditEntries(ctx context.Context, q AuditQuery) (list []AuditEntry, err error) {
	err = database.Retry(ctx, func() error {
		db := s.db.Read.WithContext(ctx).Order("id DESC").Limit(q.Limit)
		if q.BeforeID > 0 {
			db = db.Where("id < ?", q.BeforeID)
		}
		if q.AgentID != 0 {
			db = db.Where("agent_id = ?", q.AgentID)
		}
		if q.Event != "" {
			db = db.Where("event = ?", q.Event)
		}
		if !q.From.IsZero() {
			db = db.Where("last_at >= ? AND created_at >= ?", stamp(q.From), stamp(q.From).Add(-time.Hour))
		}
		if !q.To.IsZero() {
			db = db.Where("created_at < ?", stamp(q.To))
		}
		return db.Find(&list).Error
	})
	if err != nil {
		return nil, s.failed("list audit entries", err)
	}
	for i := range list {
		e := &list[i]
		e.CreatedAt, e.LastAt = e.CreatedAt.UTC(), e.LastAt.UTC()
		for _, field := range e.sealed() {
			*field = s.cipher.Field(*field, "audit_entries")
		}
	}
	return list, nil
}

// ExpireAudit deletes a batch of audit entries stored before a time. more reports whether there may be others.
func (s *Store) ExpireAudit(ctx context.Context, before time.Time) (more bool, err error) {
	err = s.transaction(ctx, func(tx *gorm.DB) error {
		old := tx.Session(&gorm.Session{NewDB: true}).Model(&AuditEntry{}).Select("id").
			Where("created_at < ?", stamp(before)).Order("created_at").Limit(auditBatch)
		done := tx.Where("id IN (?)", old).Delete(&AuditEntry{})
		more = done.RowsAffected == auditBatch
		return done.Error
	})
	return more, s.failed("delete old audit entries", err)
}
