package models

import (
	"context"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

const (
	clearMessages = 2000 // rows a transaction, so that writers get their turn in between
	clearThreads  = 100
)

// ClearThread deletes a thread with its messages, links and user. ErrNotFound if there is none.
// A message that is appended while the thread is being cleared goes with it.
func (s *Store) ClearThread(ctx context.Context, id string) error {
	n, err := s.clear(ctx, []string{id})
	if err == nil && n == 0 {
		return ErrNotFound
	}
	return err
}

// ClearAll deletes every thread that existed when it was called and says how many those were.
func (s *Store) ClearAll(ctx context.Context) (int64, error) {
	var total int64
	until := stamp(time.Now())
	for {
		var ids []string
		err := s.read.WithContext(ctx).Model(&Thread{}).Where("created_at <= ?", until).
			Order("id").Limit(clearThreads).Pluck("id", &ids).Error
		if err != nil {
			return total, s.failed("clear all threads", err)
		}
		if len(ids) == 0 {
			return total, nil
		}
		n, err := s.clear(ctx, ids)
		total += n
		if err != nil {
			return total, err
		}
	}
}

// clear deletes most messages in small transactions and the rest with the threads in a last one.
// The threads leave the list and their counts go to zero first, so a half-cleared thread that a
// crash leaves behind is an empty one.
func (s *Store) clear(ctx context.Context, ids []string) (cleared int64, err error) {
	defer func() {
		for _, id := range ids {
			s.cache.changed(id)
		}
		s.touches.forget(ids...)
	}()
	db := s.write.WithContext(ctx)
	var hidden int64
	err = db.Transaction(func(tx *gorm.DB) error {
		if _, err := lockThreads(tx, ids); err != nil {
			return err
		}
		done := tx.Model(&Thread{}).Where("id IN ?", ids).Updates(map[string]any{
			"message_count": 0, "unread_count": 0, "last_message": "", "last_sender": "", "last_type": "",
		})
		hidden = done.RowsAffected
		return done.Error
	})
	if err != nil || hidden == 0 {
		return 0, s.failed("clear threads", err)
	}
	for {
		some := db.Model(&Message{}).Select("id").Where("thread_id IN ?", ids).Limit(clearMessages)
		gone := db.Where("id IN (?)", some).Delete(&Message{})
		if gone.Error != nil {
			return 0, s.failed("clear messages", gone.Error)
		}
		if gone.RowsAffected < clearMessages {
			break
		}
	}
	err = db.Transaction(func(tx *gorm.DB) error {
		rows, err := lockThreads(tx, ids)
		if err != nil {
			return err
		}
		users := make([]int64, len(rows))
		for i := range rows {
			users[i] = rows[i].UserID
		}
		for _, gone := range []*gorm.DB{
			tx.Where("thread_id IN ?", ids).Delete(&Message{}),
			tx.Where("thread_id IN ?", ids).Delete(&TelegramLink{}),
			tx.Where("id IN ?", ids).Delete(&Thread{}),
			tx.Where("id IN ?", users).Delete(&User{}),
		} {
			if gone.Error != nil {
				return gone.Error
			}
		}
		cleared = int64(len(rows))
		return nil
	})
	if err != nil {
		return 0, s.failed("clear threads", err)
	}
	return cleared, nil
}

// lockThreads locks thread rows in the order of their ids, as everybody does who locks several, so
// that two transactions never wait for each other. It fills only ID and UserID.
func lockThreads(tx *gorm.DB, ids []string) ([]Thread, error) {
	var rows []Thread
	err := tx.Clauses(clause.Locking{Strength: "UPDATE"}).Select("id", "user_id").
		Where("id IN ?", ids).Order("id").Find(&rows).Error
	return rows, err
}
