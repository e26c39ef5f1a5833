package models

import (
	"context"
	"time"

	"gorm.io/gorm"
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
		err := again(ctx, func() error {
			return s.read.WithContext(ctx).Model(&Thread{}).Where("created_at <= ?", until).
				Order("id").Limit(clearThreads).Pluck("id", &ids).Error
		})
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
// crash leaves behind is an empty one, which RemoveEmpty finds.
func (s *Store) clear(ctx context.Context, ids []string) (cleared int64, err error) {
	defer func() {
		s.changed(ids)
		s.touches.forget(ids...)
	}()
	var hidden int64
	err = s.transaction(ctx, func(tx *gorm.DB) error {
		if _, err := lockThreads(tx, ids); err != nil {
			return err
		}
		done := tx.Model(&Thread{}).Where("id IN ?", ids).Updates(map[string]any{
			"message_count": 0, "unread_count": 0, "last_message": "", "last_sender": "", "last_type": "", "waiting_since": nil,
		})
		hidden = done.RowsAffected
		return done.Error
	})
	if err != nil || hidden == 0 {
		return 0, s.failed("clear threads", err)
	}
	for {
		var gone []Message
		err := s.transaction(ctx, func(tx *gorm.DB) (err error) {
			gone, err = deleteSome(tx, ids)
			return err
		})
		if err != nil {
			return 0, s.failed("clear messages", err)
		}
		s.discard(gone)
		if len(gone) < clearMessages {
			break
		}
	}
	var gone []Message
	err = s.transaction(ctx, func(tx *gorm.DB) error {
		gone = nil
		rows, err := lockThreads(tx, ids)
		if err != nil {
			return err
		}
		if err := tx.Clauses(returnFiles).Where("thread_id IN ?", ids).Delete(&gone).Error; err != nil {
			return err
		}
		cleared = int64(len(rows))
		return dropThreads(tx, rows)
	})
	if err != nil {
		return 0, s.failed("clear threads", err)
	}
	s.discard(gone)
	return cleared, nil
}
