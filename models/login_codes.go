package models

import (
	"context"
	"errors"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"sohbet/models/database"
)

// SaveCode stores the hash of a sign-in code and replaces an earlier code with the same binding, the id of the request in the browser's
// cookie. It returns the id of the row.
func (s *Store) SaveCode(ctx context.Context, hash []byte, binding string, expires time.Time) (int64, error) {
	if err := checkText("binding", binding, 255); err != nil {
		return 0, err
	}
	code := OneTimeCode{Hash: hash, Binding: binding, ExpiresAt: stamp(expires), CreatedAt: stamp(s.Now())}
	err := database.Retry(ctx, func() error {
		return s.db.Write.WithContext(ctx).Clauses(clause.OnConflict{
			Columns:   []clause.Column{{Name: "binding"}},
			DoUpdates: clause.AssignmentColumns([]string{"hash", "expires_at", "tries", "used_at", "created_at"}),
		}).Create(&code).Error
	})
	return code.ID, s.failed("save a code", err)
}

// TryCode counts one attempt against the code of a binding and calls match to compare the hash. The attempt is stored before match
// runs, and success uses the code up, so of any number of simultaneous attempts at most maxTries are compared and at most one succeeds.
// For a code that is missing, expired, used or tried too often it returns ok = false and no tries left.
func (s *Store) TryCode(ctx context.Context, binding string, now time.Time, maxTries int, match func(hash []byte) bool) (ok bool, triesLeft int, err error) {
	now = stamp(now)
	var code OneTimeCode
	err = s.transaction(ctx, func(tx *gorm.DB) error { // if retried, an attempt counts twice at worst
		code = OneTimeCode{}
		err := tx.Clauses(clause.Locking{Strength: "UPDATE"}).
			Where("binding = ? AND used_at IS NULL AND expires_at > ? AND tries < ?", binding, now, maxTries).
			Take(&code).Error
		if err != nil {
			return err
		}
		code.Tries++
		return tx.Model(&OneTimeCode{}).Where("id = ?", code.ID).Update("tries", code.Tries).Error
	})
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return false, 0, nil
	}
	if err != nil {
		return false, 0, s.failed("try a code", err)
	}
	left := maxTries - code.Tries
	if !match(code.Hash) {
		return false, left, nil
	}
	// The hash is compared again because a newer code may have replaced the row meanwhile.
	used := s.db.Write.WithContext(ctx).Model(&OneTimeCode{}).
		Where("id = ? AND used_at IS NULL AND hash = ?", code.ID, code.Hash).Update("used_at", now)
	if used.Error != nil {
		return false, left, s.failed("use a code", used.Error)
	}
	return used.RowsAffected == 1, left, nil
}

// PurgeCodes deletes codes that are used or expired and returns their number.
func (s *Store) PurgeCodes(ctx context.Context, now time.Time) (int64, error) {
	gone := s.db.Write.WithContext(ctx).Where("expires_at <= ? OR used_at IS NOT NULL", stamp(now)).Delete(&OneTimeCode{})
	return gone.RowsAffected, s.failed("purge codes", gone.Error)
}
