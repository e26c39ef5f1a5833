package models

import (
	"context"
	"time"

	"gorm.io/gorm/clause"

	"sohbet/models/database"
)

// consolesRow records that a process has a visible console connected.
type consolesRow struct {
	Process string `gorm:"primaryKey"`
	SeenAt  time.Time
}

// ConsolesSeen is how long a process's record of visible consoles is valid; it has to be renewed before that.
const ConsolesSeen = time.Minute

// RecordConsoles records, for the other processes, whether this process has a visible console at a time.
func (s *Store) RecordConsoles(ctx context.Context, process string, any bool, now time.Time) error {
	err := database.Retry(ctx, func() error {
		if !any {
			return s.db.Write.WithContext(ctx).Where("process = ?", process).Delete(&consolesRow{}).Error
		}
		return s.db.Write.WithContext(ctx).Clauses(clause.OnConflict{
			Columns: []clause.Column{{Name: "process"}}, DoUpdates: clause.AssignmentColumns([]string{"seen_at"}),
		}).Create(&consolesRow{Process: process, SeenAt: stamp(now)}).Error
	})
	return s.failed("note consoles", err)
}

// ConsolesElsewhere reports whether another process has a visible console. A record further in the future than it is valid is as old as one
// that has expired: the clock was set back since.
func (s *Store) ConsolesElsewhere(ctx context.Context, process string, now time.Time) (bool, error) {
	var rows []consolesRow
	err := database.Retry(ctx, func() error {
		return s.db.Read.WithContext(ctx).Where("process <> ? AND seen_at > ? AND seen_at < ?", process, stamp(now.Add(-ConsolesSeen)), stamp(now.Add(ConsolesSeen))).Limit(1).Find(&rows).Error
	})
	return len(rows) > 0, s.failed("look for consoles", err)
}
