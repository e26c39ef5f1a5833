package models

import (
	"context"
	"errors"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"sohbet/models/database"
)

// storedSetting is a site-wide setting that the team changes at runtime.
type storedSetting struct {
	ID        int64
	Name      string
	Value     string `gorm:"column:position"`
	UpdatedAt time.Time
}

// TableName returns the name of the table.
func (storedSetting) TableName() string { return "switches" }

// Setting returns the value of a setting; "" if it was never set.
func (s *Store) Setting(ctx context.Context, name string) (string, error) {
	var found storedSetting
	err := database.Retry(ctx, func() error { return s.db.Read.WithContext(ctx).Where("name = ?", name).Take(&found).Error })
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return "", nil
	}
	return found.Value, s.failed("read a setting", err)
}

// takeTeamAway deletes the setting by which earlier versions, without agents, stored that the team is away, and reports whether it was set.
func takeTeamAway(tx *gorm.DB) (bool, error) {
	done := tx.Where("name = ? AND position = ?", "away", "on").Delete(&storedSetting{})
	return done.RowsAffected > 0, done.Error
}

// SetSetting sets the value of a setting.
func (s *Store) SetSetting(ctx context.Context, name, value string) error {
	err := database.Retry(ctx, func() error {
		row := storedSetting{Name: name, Value: value, UpdatedAt: stamp(s.Now())}
		return s.db.Write.WithContext(ctx).Clauses(clause.OnConflict{
			Columns: []clause.Column{{Name: "name"}}, DoUpdates: clause.AssignmentColumns([]string{"position", "updated_at"}),
		}).Create(&row).Error
	})
	if err == nil {
		s.notify(TopicSettings)
	}
	return s.failed("store a setting", err)
}
