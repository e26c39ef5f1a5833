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
