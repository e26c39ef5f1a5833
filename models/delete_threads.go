package models

import (
	"context"
	"time"

	"gorm.io/gorm"

	"sohbet/models/database"
)

const (
	clearMessages = 2000 // rows per transaction, so that other writers are not blocked for long
	clearThreads  = 100
)

// ClearThread deletes the messages and notes of a thread and its links to Telegram messages; the thread itself stays, at its place in
// the list. It returns ErrNotFound if there is none. Counts are correct after each transaction, so a crash leaves a thread with fewer
// messages. Messages appended meanwhile are kept.
func (s *Store) ClearThread(ctx context.Context, id string) error {
	until := int64(0)
	for {
		var gone []Message
		err := s.transaction(ctx, func(tx *gorm.DB) error {
			rows, err := lockThreads(tx, []string{id})
			if err != nil {
				return err
			}
			if len(rows) == 0 {
				return ErrNotFound
			}
			if until == 0 {
				until = rows[0].LastMessageID
			}
			gone, err = s.clearSome(tx, rows[0], until)
			return err
		})
		s.changed([]string{id})
		if err != nil {
			return s.failed("clear a thread", err)
		}
		s.discard(gone)
		if len(gone) < clearMessages {
			return nil
		}
	}
}

// clearSome deletes the oldest messages of a locked thread up to an id, at most clearMessages, and together with the last of them the
// notes.
func (s *Store) clearSome(tx *gorm.DB, row Thread, until int64) (gone []Message, err error) {
	oldest := s.between(tx.Session(&gorm.Session{NewDB: true}), row.ID, 0, until+1).Select("id").Order("thread_id, id").Limit(clearMessages)
	if err := tx.Clauses(returnFiles).Where("id IN (?)", oldest).Delete(&gone).Error; err != nil {
		return nil, err
	}
	if err := deleteTelegramRows(tx, gone); err != nil {
		return nil, err
	}
	deleted := make([]*Message, len(gone))
	for i := range gone {
		deleted[i] = &gone[i]
	}
	left, err := s.subtractMessages(tx, row, deleted)
	if err != nil {
		return nil, err
	}
	if !left {
		empty := row.withoutAnyMessage()
		err := tx.Select(emptiedColumns).Where("id = ?", row.ID).Updates(&empty).Error
		if err != nil {
			return nil, err
		}
	}
	if len(gone) < clearMessages {
		err = tx.Where("thread_id = ?", row.ID).Delete(&Note{}).Error
	}
	return gone, err
}

// emptiedColumns are what [Thread.withoutAnyMessage] changes.
var emptiedColumns = []string{"message_count", "unread_count", "last_message", "last_sender", "last_type", "waiting_since"}

// DeleteThread deletes a thread with its messages, notes, links and user. It returns ErrNotFound if there is none. Messages appended
// meanwhile are deleted too.
func (s *Store) DeleteThread(ctx context.Context, id string) error {
	n, err := s.remove(ctx, []string{id})
	if err == nil && n == 0 {
		return ErrNotFound
	}
	return err
}

// ClearAll deletes every thread that existed when it was called and returns their number.
func (s *Store) ClearAll(ctx context.Context) (int64, error) {
	var total int64
	until := stamp(time.Now())
	for {
		var ids []string
		err := database.Retry(ctx, func() error {
			return s.db.Read.WithContext(ctx).Model(&Thread{}).Where("created_at <= ?", until).
				Order("id").Limit(clearThreads).Pluck("id", &ids).Error
		})
		if err != nil {
			return total, s.failed("clear all threads", err)
		}
		if len(ids) == 0 {
			return total, nil
		}
		n, err := s.remove(ctx, ids)
		total += n
		if err != nil {
			return total, err
		}
	}
}

// remove deletes most messages in small transactions, and the rest together with the threads in a last one. The threads first leave the
// list and their counts are set to zero, so a thread left half-deleted by a crash looks like one without messages, which RemoveEmpty
// deletes.
func (s *Store) remove(ctx context.Context, ids []string) (removed int64, err error) {
	defer func() {
		s.changed(ids)
		s.activity.forget(ids...)
	}()
	var hidden int64
	err = s.transaction(ctx, func(tx *gorm.DB) error {
		if _, err := lockThreads(tx, ids); err != nil {
			return err
		}
		empty := Thread{}.withoutAnyMessage()
		done := tx.Select(emptiedColumns, "last_message_at").Where("id IN ?", ids).Updates(&empty)
		hidden = done.RowsAffected
		return done.Error
	})
	if err != nil || hidden == 0 {
		return 0, s.failed("delete threads", err)
	}
	for {
		var gone []Message
		err := s.transaction(ctx, func(tx *gorm.DB) (err error) {
			gone, err = deleteSome(tx, ids)
			return err
		})
		if err != nil {
			return 0, s.failed("delete messages", err)
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
		removed = int64(len(rows))
		return dropThreads(tx, rows)
	})
	if err != nil {
		return 0, s.failed("delete threads", err)
	}
	s.discard(gone)
	return removed, nil
}
