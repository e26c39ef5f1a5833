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

// Spend takes one of a budget that all processes share and that outlives them: of burst at most, one comes back every so often.
// In any span of time no more are spent than burst and what comes back in that span. When there is none left, wait is the time
// until there will be.
//
// Only the moment at which the budget will be whole again is stored (the generic cell rate algorithm, ITU-T I.371): each
// spending moves it on by every.
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
		// Where it exists this changes nothing, but holds it until the end.
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

// Refund gives back n of a budget.
func (s *Store) Refund(ctx context.Context, name string, every time.Duration, n int) error {
	err := s.transaction(ctx, func(tx *gorm.DB) error {
		var row budgetRow
		err := tx.Clauses(clause.Locking{Strength: "UPDATE"}).Where("name = ?", name).Limit(1).Find(&row).Error
		if err != nil || row.Name == "" { // it is whole
			return err
		}
		return tx.Model(&budgetRow{}).Where("name = ?", name).Update("whole_at", stamp(row.WholeAt.UTC().Add(-every*time.Duration(n)))).Error
	})
	return s.failed("refund a budget", err)
}
