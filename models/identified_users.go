package models

import (
	"context"
	"errors"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"sohbet/models/database"
	"sohbet/models/names"
)

// MaxExternalID is the maximum length of the user id that an embedding site passes.
const MaxExternalID = 128

// IdentityThread returns the most recently active thread of a user identified by the embedding site, or ErrNotFound.
func (s *Store) IdentityThread(ctx context.Context, externalID string) (Thread, error) {
	var t Thread
	err := database.Retry(ctx, func() error {
		return s.db.Read.WithContext(ctx).Where("user_id = (?)", s.db.Read.Model(&User{}).Select("id").Where("external_id = ?", externalID)).
			Where(live).Order("last_activity DESC, id DESC").Take(&t).Error
	})
	if err != nil {
		return Thread{}, s.failed("find the thread of an identified user", err)
	}
	s.decryptThread(&t)
	return t, nil
}

// OpenAs opens a thread for a user identified by the embedding site, or returns the one they have. Of two concurrent calls only one
// opens a thread.
func (s *Store) OpenAs(ctx context.Context, externalID string, n NewThread) (t Thread, opened bool, err error) {
	if err := errors.Join(n.check(), checkText("external_id", externalID, MaxExternalID)); err != nil {
		return Thread{}, false, err
	}
	err = s.transaction(ctx, func(tx *gorm.DB) error {
		user, err := s.lockIdentity(tx, externalID)
		if err != nil {
			return err
		}
		var found []Thread
		err = tx.Where("user_id = ?", user.ID).Where(live).Order("last_activity DESC, id DESC").Limit(1).Find(&found).Error
		if err != nil || len(found) == 1 {
			if err == nil {
				t = found[0]
			}
			return err
		}
		at := stamp(s.Now())
		row := threadRow{Thread: n.thread(at), SearchKey: names.SearchKey(n.DisplayName, n.PhoneNumber)}
		row.UserID, row.AddressHash = user.ID, s.blocks.hasher.Hash(n.Address)
		if err := row.sealPage(s.cipher); err != nil {
			return err
		}
		if err := checkNewID(user.ID); err != nil {
			return err
		}
		t, opened = row.Thread, true
		return tx.Create(&row).Error
	})
	if err != nil {
		return Thread{}, false, s.failed("open a thread for an identified user", err)
	}
	s.changed([]string{t.ID})
	s.decryptThread(&t)
	return t, opened, nil
}

// Identify assigns a thread that was opened anonymously to an identified user. It reports false, and changes nothing, if the thread
// belongs to another user.
func (s *Store) Identify(ctx context.Context, threadID, externalID string) (theirs bool, err error) {
	if err := checkText("external_id", externalID, MaxExternalID); err != nil {
		return false, err
	}
	changed := false
	err = s.transaction(ctx, func(tx *gorm.DB) error {
		theirs, changed = false, false
		threads, err := lockThreads(tx, []string{threadID})
		if err != nil {
			return err
		}
		if len(threads) == 0 {
			return ErrNotFound
		}
		var before User
		if err := tx.Where("id = ?", threads[0].UserID).Take(&before).Error; err != nil {
			return err
		}
		if before.ExternalID != nil {
			theirs = *before.ExternalID == externalID
			return nil
		}
		user, err := s.lockIdentity(tx, externalID)
		if err != nil {
			return err
		}
		theirs, changed = true, true
		if err := tx.Model(&Thread{}).Where("id = ?", threadID).Update("user_id", user.ID).Error; err != nil {
			return err
		}
		return dropUsers(tx, []int64{before.ID})
	})
	if changed {
		s.changed([]string{threadID})
	}
	return theirs, s.failed("assign a thread to an identified user", err)
}

// lockIdentity finds or creates the user with an external id, and locks the row.
func (s *Store) lockIdentity(tx *gorm.DB, externalID string) (User, error) {
	for try := 0; ; try++ {
		now := stamp(s.Now())
		made := User{Username: newHandle(), ExternalID: &externalID, CreatedAt: now, LastSeen: now}
		err := tx.Clauses(clause.OnConflict{Columns: []clause.Column{{Name: "external_id"}}, DoNothing: true}).Create(&made).Error
		if err != nil {
			return User{}, err
		}
		var user User
		err = tx.Clauses(clause.Locking{Strength: "NO KEY UPDATE"}).Where("external_id = ?", externalID).Take(&user).Error
		if errors.Is(err, gorm.ErrRecordNotFound) && try < 3 {
			continue // the user's last thread was being deleted
		}
		return user, err
	}
}

// dropUsers deletes those of the users who have no thread left. An identified user may have others.
func dropUsers(tx *gorm.DB, ids []int64) error {
	// Lock them first, so that a concurrent OpenAs for one of them has either committed or not begun.
	var held []User
	if err := tx.Clauses(clause.Locking{Strength: "UPDATE"}).Select("id").Where("id IN ?", ids).Order("id").Find(&held).Error; err != nil {
		return err
	}
	return tx.Where("id IN ? AND NOT EXISTS (SELECT 1 FROM threads WHERE threads.user_id = users.id)", ids).Delete(&User{}).Error
}
