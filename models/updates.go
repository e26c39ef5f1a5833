package models

import (
	"context"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// ReceivedUpdate is one update of Telegram, stored before it is acted on. Payload, the JSON as it came, is stored
// encrypted and only until the update is done.
type ReceivedUpdate struct {
	BotID      int64
	UpdateID   int64
	Payload    string
	Tries      int
	ReceivedAt time.Time
	DoneAt     *time.Time
}

// TableName names the table.
func (ReceivedUpdate) TableName() string { return "telegram_updates" }

// RecordUpdates stores updates durably. One that is stored already stays as it is.
func (s *Store) RecordUpdates(ctx context.Context, list []ReceivedUpdate) error {
	if len(list) == 0 {
		return nil
	}
	rows := append([]ReceivedUpdate(nil), list...)
	for i := range rows {
		sealed, err := s.texts.seal(rows[i].Payload)
		if err != nil {
			return err
		}
		rows[i].Payload, rows[i].ReceivedAt = sealed, stamp(rows[i].ReceivedAt)
	}
	err := again(ctx, func() error {
		return s.write.WithContext(ctx).Clauses(clause.OnConflict{DoNothing: true}).CreateInBatches(&rows, 100).Error
	})
	return s.failed("record updates", err)
}

// PendingUpdates returns recorded updates that are not done, in the order in which Telegram numbered them.
func (s *Store) PendingUpdates(ctx context.Context, botID int64, limit int) (list []ReceivedUpdate, err error) {
	err = again(ctx, func() error {
		return s.read.WithContext(ctx).Where("bot_id = ? AND done_at IS NULL", botID).Order("bot_id, update_id").Limit(limit).Find(&list).Error
	})
	for i := range list {
		text, ok := with(s.texts.keys, list[i].Payload)
		if !ok {
			text = "" // its key was dropped from SECRET_KEY
		}
		list[i].Payload = text
	}
	return list, s.failed("read updates", err)
}

// UpdateDone notes that an update has been acted on, and forgets what it said.
func (s *Store) UpdateDone(ctx context.Context, u ReceivedUpdate, now time.Time) error {
	return s.changeUpdate(ctx, u, map[string]any{"done_at": stamp(now), "payload": ""})
}

// UpdateTried counts a try that failed.
func (s *Store) UpdateTried(ctx context.Context, u ReceivedUpdate) error {
	return s.changeUpdate(ctx, u, map[string]any{"tries": gorm.Expr("tries + 1")})
}

func (s *Store) changeUpdate(ctx context.Context, u ReceivedUpdate, columns map[string]any) error {
	err := again(ctx, func() error {
		return s.write.WithContext(ctx).Model(&ReceivedUpdate{}).Where("bot_id = ? AND update_id = ?", u.BotID, u.UpdateID).Updates(columns).Error
	})
	return s.failed("note an update", err)
}

// PurgeUpdates forgets updates that were done before a time, and says how many.
func (s *Store) PurgeUpdates(ctx context.Context, before time.Time) (int64, error) {
	gone := s.write.WithContext(ctx).Where("done_at < ?", stamp(before)).Delete(&ReceivedUpdate{})
	return gone.RowsAffected, s.failed("purge updates", gone.Error)
}
