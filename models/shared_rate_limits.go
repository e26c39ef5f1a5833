package models

import (
	"context"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

type budgetRow struct {
	Name    string `gorm:"primaryKey"`
	WholeAt time.Time
}

func (budgetRow) TableName() string { return "budgets" }

// Spend takes one token from a rate limit that all processes share and that survives restarts: at most burst tokens, one refilled per
// every. If none is left, ok is false and wait is the time until the next one.
//
// Only the time at which the limit will be fully refilled is stored (the generic cell rate algorithm, ITU-T I.371): each spent token
// moves it forward by every.
func (s *Store) Spend(ctx context.Context, name string, now time.Time, every time.Duration, burst int) (ok bool, wait time.Duration, err error) {
	if err := checkText("budget", name, 100); err != nil {
		return false, 0, err
	}
	now = stamp(now)
	span := every * time.Duration(burst)
	err = s.transaction(ctx, func(tx *gorm.DB) error {
		if err := tx.Where("whole_at <= ? AND name <> ?", now, name).Delete(&budgetRow{}).Error; err != nil {
			return err
		}
		row := budgetRow{Name: name, WholeAt: now}
		// An upsert that changes nothing locks an existing row until the transaction ends.
		hold := clause.OnConflict{Columns: []clause.Column{{Name: "name"}}, DoUpdates: clause.AssignmentColumns([]string{"name"})}
		if err := tx.Clauses(hold).Create(&row).Error; err != nil {
			return err
		}
		if err := tx.Where("name = ?", name).Take(&row).Error; err != nil {
			return err
		}
		whole := row.WholeAt.UTC()
		if whole.Before(now) {
			whole = now
		}
		if latest := now.Add(span); whole.After(latest) { // the clock was set back
			whole = latest
		}
		whole = whole.Add(every)
		if ok = !whole.After(now.Add(span)); !ok {
			wait = whole.Add(-span).Sub(now)
			return nil
		}
		return tx.Model(&budgetRow{}).Where("name = ?", name).Update("whole_at", stamp(whole)).Error
	})
	if err != nil {
		return false, 0, s.failed("spend of a budget", err)
	}
	return ok, wait, nil
}

// Refund returns n tokens to a limit.
func (s *Store) Refund(ctx context.Context, name string, every time.Duration, n int) error {
	err := s.transaction(ctx, func(tx *gorm.DB) error {
		var row budgetRow
		err := tx.Clauses(clause.Locking{Strength: "UPDATE"}).Where("name = ?", name).Limit(1).Find(&row).Error
		if err != nil || row.Name == "" { // no row: it is fully refilled
			return err
		}
		return tx.Model(&budgetRow{}).Where("name = ?", name).Update("whole_at", stamp(row.WholeAt.UTC().Add(-every*time.Duration(n)))).Error
	})
	return s.failed("refund a budget", err)
}
