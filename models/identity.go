package models

import (
	"context"
	"errors"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// MaxExternalID is the width of the id under which a site that embeds the chat knows somebody.
const MaxExternalID = 128

// IdentityThread returns the thread of somebody whom the site knows that was active last, or ErrNotFound.
func (s *Store) IdentityThread(ctx context.Context, externalID string) (Thread, error) {
	var t Thread
	err := again(ctx, func() error {
		return s.read.WithContext(ctx).Where("user_id = (?)", s.read.Model(&User{}).Select("id").Where("external_id = ?", externalID)).
			Order("last_activity DESC, id DESC").Take(&t).Error
	})
	if err != nil {
		return Thread{}, s.failed("find somebody's thread", err)
	}
	s.readyThread(&t)
	return t, nil
}

// OpenAs opens a thread for somebody whom the site knows, or returns the one that they have: of two that ask at once, one opens.
func (s *Store) OpenAs(ctx context.Context, externalID string, n NewThread) (t Thread, opened bool, err error) {
	if err := errors.Join(n.check(), checkText("external_id", externalID, MaxExternalID)); err != nil {
		return Thread{}, false, err
	}
	err = s.transaction(ctx, func(tx *gorm.DB) error {
		user, err := lockIdentity(tx, externalID)
		if err != nil {
			return err
		}
		var found []Thread
		err = tx.Where("user_id = ?", user.ID).Order("last_activity DESC, id DESC").Limit(1).Find(&found).Error
		if err != nil || len(found) == 1 {
			if err == nil {
				t = found[0]
			}
			return err
		}
		at := stamp(time.Now())
		row := threadRow{Thread: n.thread(at), SearchKey: searchKey(n.DisplayName, n.PhoneNumber)}
		row.UserID, row.AddressHash = user.ID, s.blocks.hash(s.blocks.keys[0], n.Address)
		if err := row.sealPage(s.texts); err != nil {
			return err
		}
		t, opened = row.Thread, true
		return tx.Create(&row).Error
	})
	if err != nil {
		return Thread{}, false, s.failed("open somebody's thread", err)
	}
	s.changed([]string{t.ID})
	s.readyThread(&t)
	return t, opened, nil
}

// Identify says whose a thread is that its visitor opened before the site said who they are. It reports false, and changes
// nothing, if the thread is somebody else's.
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
		user, err := lockIdentity(tx, externalID)
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
	return theirs, s.failed("note whose a thread is", err)
}

// lockIdentity finds or makes the user that a site knows somebody as, and holds it.
func lockIdentity(tx *gorm.DB, externalID string) (User, error) {
	for try := 0; ; try++ {
		now := stamp(time.Now())
		made := User{Username: newHandle(), ExternalID: &externalID, CreatedAt: now, LastSeen: now}
		err := tx.Clauses(clause.OnConflict{Columns: []clause.Column{{Name: "external_id"}}, DoNothing: true}).Create(&made).Error
		if err != nil {
			return User{}, err
		}
		var user User
		err = tx.Clauses(clause.Locking{Strength: "NO KEY UPDATE"}).Where("external_id = ?", externalID).Take(&user).Error
		if errors.Is(err, gorm.ErrRecordNotFound) && try < 3 {
			continue // their last thread was being deleted
		}
		return user, err
	}
}

// dropUsers deletes those of some users who have no thread any more. Somebody whom the site knows may have others.
func dropUsers(tx *gorm.DB, ids []int64) error {
	// Held first, so that whoever is opening a thread for one of them is done and seen.
	var held []User
	if err := tx.Clauses(clause.Locking{Strength: "UPDATE"}).Select("id").Where("id IN ?", ids).Order("id").Find(&held).Error; err != nil {
		return err
	}
	return tx.Where("id IN ? AND NOT EXISTS (SELECT 1 FROM threads WHERE threads.user_id = users.id)", ids).Delete(&User{}).Error
}
