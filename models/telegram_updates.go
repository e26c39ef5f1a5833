package models

import (
	"context"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"sohbet/models/database"
)

// ReceivedUpdate is one Telegram update, stored before it is processed. Payload is the original JSON, stored encrypted and cleared once
// the update is done.
type ReceivedUpdate struct {
	BotID      int64
	UpdateID   int64
	Payload    string
	Tries      int
	ReceivedAt time.Time
	DoneAt     *time.Time
}

// TableName returns the name of the table.
func (ReceivedUpdate) TableName() string { return "telegram_updates" }

// RecordUpdates stores updates durably. Updates that are already stored are not changed.
func (s *Store) RecordUpdates(ctx context.Context, list []ReceivedUpdate) error {
	if len(list) == 0 {
		return nil
	}
	rows := append([]ReceivedUpdate(nil), list...)
	for i := range rows {
		sealed, err := s.cipher.Seal(rows[i].Payload)
		if err != nil {
			return err
		}
		rows[i].Payload, rows[i].ReceivedAt = sealed, stamp(rows[i].ReceivedAt)
	}
	err := database.Retry(ctx, func() error {
		return s.db.Write.WithContext(ctx).Clauses(clause.OnConflict{DoNothing: true}).CreateInBatches(&rows, 100).Error
	})
	return s.failed("record updates", err)
}

// PendingUpdates returns stored updates that are not done, in the order of their Telegram ids.
func (s *Store) PendingUpdates(ctx context.Context, botID int64, limit int) (list []ReceivedUpdate, err error) {
	err = database.Retry(ctx, func() error {
		return s.db.Read.WithContext(ctx).Where("bot_id = ? AND done_at IS NULL", botID).Order("bot_id, update_id").Limit(limit).Find(&list).Error
	})
	for i := range list {
		text, ok := s.cipher.Open(list[i].Payload)
		if !ok {
			text = "" // its key was removed from SECRET_KEY
		}
		list[i].Payload = text
	}
	return list, s.failed("read updates", err)
}

// UpdateDone marks an update as processed and clears its payload.
func (s *Store) UpdateDone(ctx context.Context, u ReceivedUpdate, now time.Time) error {
	return s.changeUpdate(ctx, u, map[string]any{"done_at": stamp(now), "payload": ""})
}

// UpdateTried counts a failed attempt to process an update.
func (s *Store) UpdateTried(ctx context.Context, u ReceivedUpdate) error {
	return s.changeUpdate(ctx, u, map[string]any{"tries": gorm.Expr("tries + 1")})
}

func (s *Store) changeUpdate(ctx context.Context, u ReceivedUpdate, columns map[string]any) error {
	err := database.Retry(ctx, func() error {
		return s.db.Write.WithContext(ctx).Model(&ReceivedUpdate{}).Where("bot_id = ? AND update_id = ?", u.BotID, u.UpdateID).Updates(columns).Error
	})
	return s.failed("change an update", err)
}

// PurgeUpdates deletes updates processed before a time and returns their number.
func (s *Store) PurgeUpdates(ctx context.Context, before time.Time) (int64, error) {
	gone := s.db.Write.WithContext(ctx).Where("done_at < ?", stamp(before)).Delete(&ReceivedUpdate{})
	return gone.RowsAffected, s.failed("purge updates", gone.Error)
}
