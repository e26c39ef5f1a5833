package models

import (
	"gorm.io/gorm"
)

// Deletion has two steps. One transaction hides the data: it sets cleared_until of the threads, up to which messages are deleted for every
// query, and deleted_at of deleted threads, which are missing for every query. A job then deletes the rows. A visitor who writes to a
// deleted thread opens it again, in the same row; then only the messages are deleted.

const (
	// live is a condition on threads that are not deleted.
	live = "threads.deleted_at IS NULL"
	// visible is a condition on messages that are not deleted.
	visible = "messages.id > (SELECT cleared_until FROM threads WHERE threads.id = messages.thread_id)"
	// hidden is a condition on threads of which rows have to be deleted, and that of the partial index idx_threads_hidden.
	hidden = "cleared_until > 0"
	// linked is a condition on links to Telegram of messages and threads that are not deleted.
	linked = "EXISTS (SELECT 1 FROM threads WHERE threads.id = telegram_links.thread_id AND " + live +
		" AND (telegram_links.message_id = 0 OR telegram_links.message_id > threads.cleared_until))"
)

// Hidden says what was deleted: the messages of a thread up to an id, by the change with a revision.
type Hidden struct{ Until, Rev int64 }

// newestID returns the highest id of any stored message, at least 1. Under the locks of some threads, every message of these threads
// has at most this id, and those stored later have higher ones.
func newestID(tx *gorm.DB) (id int64, err error) {
	err = tx.Raw("SELECT coalesce(max(id), 1) FROM messages").Scan(&id).Error
	return id, err
}

// hideThreads deletes threads for all queries, with what else refers to them. The condition selects rows of threads, which are locked.
func (s *Store) hideThreads(tx *gorm.DB, condition string, args ...any) (until int64, err error) {
	if until, err = newestID(tx); err != nil {
		return 0, err
	}
	now := stamp(s.Now())
	err = tx.Exec("UPDATE threads SET deleted_at = ?, cleared_until = ?, message_count = 0, unread_count = 0, last_message = '', last_sender = '', last_type = '', "+
		"waiting_since = NULL, last_message_at = NULL, rev = rev + 1 WHERE "+live+" AND "+condition, append([]any{now, until}, args...)...).Error
	if err != nil {
		return 0, err
	}
	these := tx.Session(&gorm.Session{NewDB: true}).Model(&Thread{}).Select("id").
		Where(condition, args...).Where("cleared_until = ? AND deleted_at = ?", until, now)
	if err := queueTopicDeletions(tx, these); err != nil {
		return 0, err
	}
	for _, gone := range []*gorm.DB{
		tx.Where("thread_id IN (?) AND message_id = 0", these).Delete(&TelegramLink{}),
		tx.Where("thread_id IN (?)", these).Delete(&TelegramThread{}),
		tx.Where("thread_id IN (?)", these).Delete(&OutboxRow{}),
		tx.Where("thread_id IN (?)", these).Delete(&Note{}),
	} {
		if gone.Error != nil {
			return 0, gone.Error
		}
	}
	return until, nil
}

// hideMessages deletes the messages and notes of a locked thread for all queries; the thread stays at its place in the list.
func (s *Store) hideMessages(tx *gorm.DB, row Thread) (Hidden, error) {
	until, err := newestID(tx)
	if err != nil {
		return Hidden{}, err
	}
	row = row.withoutAnyMessage()
	row.ClearedUntil = until
	row.Rev++
	for _, done := range []*gorm.DB{
		tx.Select("message_count", "unread_count", "last_message", "last_sender", "last_type", "waiting_since", "cleared_until", "rev").Where("id = ?", row.ID).Updates(&row),
		tx.Where("thread_id = ? AND message_id <> 0 AND message_id <= ?", row.ID, until).Delete(&OutboxRow{}),
		tx.Where("thread_id = ?", row.ID).Delete(&Note{}),
	} {
		if done.Error != nil {
			return Hidden{}, done.Error
		}
	}
	return Hidden{until, row.Rev}, nil
}

// reopenDeleted opens new threads in the rows of deleted ones. Their messages stay deleted.
func reopenDeleted(tx *gorm.DB, rows []threadRow, users []int64) error {
	for i := range rows {
		err := tx.Select("*").Omit("id", "cleared_until").Where("id = ?", rows[i].ID).Updates(&rows[i]).Error
		if err != nil {
			return err
		}
	}
	return dropUsers(tx, users)
}

// reopenDeleted opens those of the new threads that are stored as deleted, and returns the others.
func (t *transaction) reopenDeleted(tx *gorm.DB, threads []threadRow) (missing []threadRow, err error) {
	var again []threadRow
	var users []int64
	for _, row := range threads {
		if old := t.rows[row.ID].buried; old != nil {
			again, users = append(again, row), append(users, old.UserID)
		} else {
			missing = append(missing, row)
		}
	}
	if len(again) == 0 {
		return missing, nil
	}
	return missing, reopenDeleted(tx, again, users)
}

// freeClientIDs makes the client ids of deleted messages usable again.
func (t *transaction) freeClientIDs(tx *gorm.DB) error {
	for _, j := range t.jobs {
		if j.kind != appendJob || j.msg.ClientID == "" {
			continue
		}
		until := t.rows[j.msg.ThreadID].ClearedUntil
		if until == 0 {
			continue
		}
		err := firstQuery(tx, j.msg.ThreadID, j.msg.ClientID).Model(&Message{}).Where("id <= ?", until).Update("client_id", "").Error
		if err != nil {
			return err
		}
	}
	return nil
}
