package models

import (
	"context"
	"errors"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// Switch is a site-wide setting that the team changes at runtime.
type Switch struct {
	ID        int64
	Name      string
	Position  string
	UpdatedAt time.Time
}

// SwitchPosition returns the value of a setting; "" if it was never set.
func (s *Store) SwitchPosition(ctx context.Context, name string) (string, error) {
	var found Switch
	err := again(ctx, func() error { return s.read.WithContext(ctx).Where("name = ?", name).Take(&found).Error })
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return "", nil
	}
	return found.Position, s.failed("read a switch", err)
}

// SetSwitch sets the value of a setting.
func (s *Store) SetSwitch(ctx context.Context, name, position string) error {
	err := again(ctx, func() error {
		row := Switch{Name: name, Position: position, UpdatedAt: stamp(time.Now())}
		return s.write.WithContext(ctx).Clauses(clause.OnConflict{
			Columns: []clause.Column{{Name: "name"}}, DoUpdates: clause.AssignmentColumns([]string{"position", "updated_at"}),
		}).Create(&row).Error
	})
	if err == nil {
		s.notify(TopicSettings)
	}
	return s.failed("turn a switch", err)
}
