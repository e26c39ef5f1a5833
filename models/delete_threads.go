package models

import (
	"context"
	"slices"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

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

// ClearAll deletes every thread that existed when it was called and returns how many it deleted, also when it fails.
func (s *Store) ClearAll(ctx context.Context) (int64, error) {
	var total int64
	until := stamp(s.Now())
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

// subtractMessages subtracts deleted messages from a locked thread's counts and reports whether messages are left.
func (s *Store) subtractMessages(tx *gorm.DB, row Thread, deleted []*Message) (left bool, err error) {
	var newest []Message
	if err := s.between(tx, row.ID, 0, 0).Order("thread_id DESC, id DESC").Limit(1).Find(&newest).Error; err != nil {
		return false, err
	}
	if len(newest) == 0 {
		return false, nil
	}
	row = row.withoutMessages(deleted)
	columns := []string{"message_count", "unread_count", "waiting_since"}
	if row.WaitingSince != nil { // the message it refers to may be deleted
		if row.WaitingSince, err = s.waiting(tx, row.ID); err != nil {
			return false, err
		}
	}
	if last := newest[0]; last.ID != row.LastMessageID { // the clock was once set back: the message with the highest id was not the youngest, and is deleted
		text, readable := s.cipher.Open(last.ContentText)
		row.LastMessage = last.ContentText
		if short := cut(text, LastMessageRunes); readable && len(short) < len(text) {
			if row.LastMessage, err = s.cipher.Seal(short); err != nil {
				return false, err
			}
		}
		row.LastMessageID, row.LastSender, row.LastType, row.LastMessageAt = last.ID, last.SenderType, last.ContentType, &last.CreatedAt
		columns = append(columns, "last_message_id", "last_message", "last_sender", "last_type", "last_message_at")
	}
	return true, tx.Select(columns).Where("id = ?", row.ID).Updates(&row).Error
}

// waiting finds when the oldest visitor message not yet answered by the team was written.
func (s *Store) waiting(tx *gorm.DB, threadID string) (*time.Time, error) {
	var answers, waiting []Message
	err := s.between(tx, threadID, 0, 0).Where("sender_type IN ?", []string{Admin, telegramSender}).Order("thread_id DESC, id DESC").Limit(1).Find(&answers).Error
	if err != nil {
		return nil, err
	}
	var after int64
	if len(answers) > 0 {
		after = answers[0].ID
	}
	err = s.between(tx, threadID, after, 0).Where("sender_type = ?", Visitor).Order("thread_id, id").Limit(1).Find(&waiting).Error
	if err != nil || len(waiting) == 0 {
		return nil, err
	}
	return &waiting[0].CreatedAt, nil
}

// returnFiles makes a DELETE of messages return the columns needed to delete their files and update counts.
var returnFiles = clause.Returning{Columns: []clause.Column{
	{Name: "id"}, {Name: "thread_id"}, {Name: "sender_type"}, {Name: "file_path"}, {Name: "file_url"},
}}

// deleteSome deletes up to clearMessages messages of the threads and returns them.
func deleteSome(tx *gorm.DB, threads []string) (gone []Message, err error) {
	some := tx.Session(&gorm.Session{NewDB: true}).Model(&Message{}).Select("id").Where("thread_id IN ?", threads).Limit(clearMessages)
	err = tx.Clauses(returnFiles).Where("id IN (?)", some).Delete(&gone).Error
	return gone, err
}

// dropThreads deletes locked threads that have no messages left, with their links and users.
func dropThreads(tx *gorm.DB, rows []Thread) error {
	if len(rows) == 0 {
		return nil
	}
	ids, users := make([]string, len(rows)), make([]int64, len(rows))
	for i := range rows {
		ids[i], users[i] = rows[i].ID, rows[i].UserID
	}
	if err := queueTopicDeletions(tx, ids); err != nil {
		return err
	}
	for _, gone := range []*gorm.DB{
		tx.Where("thread_id IN ?", ids).Delete(&TelegramLink{}),
		tx.Where("thread_id IN ?", ids).Delete(&TelegramThread{}),
		tx.Where("thread_id IN ?", ids).Delete(&OutboxRow{}),
		tx.Where("thread_id IN ?", ids).Delete(&Note{}),
		tx.Where("id IN ?", ids).Delete(&Thread{}),
	} {
		if gone.Error != nil {
			return gone.Error
		}
	}
	return dropUsers(tx, users)
}

// queueTopicDeletions queues the deletion of the Telegram topics of threads that are about to be deleted.
func queueTopicDeletions(tx *gorm.DB, ids []string) error {
	var topics []TelegramThread
	if err := tx.Where("thread_id IN ? AND topic_id <> 0", ids).Order("id").Find(&topics).Error; err != nil || len(topics) == 0 {
		return err
	}
	rows := make([]OutboxRow, len(topics))
	for i, t := range topics {
		rows[i] = topicDeletion(t)
	}
	return tx.Create(&rows).Error
}

// deleteTelegramRows deletes the links of deleted messages to Telegram, and their unsent outbox rows.
func deleteTelegramRows(tx *gorm.DB, gone []Message) error {
	if len(gone) == 0 {
		return nil
	}
	ids, threads := make([]int64, len(gone)), make([]string, len(gone))
	for i, m := range gone {
		ids[i], threads[i] = m.ID, m.ThreadID
	}
	slices.Sort(threads)
	err := tx.Where("message_id IN ? AND message_id <> 0", ids).Delete(&TelegramLink{}).Error
	if err != nil {
		return err
	}
	return tx.Where("thread_id IN ? AND message_id IN ?", slices.Compact(threads), ids).Delete(&OutboxRow{}).Error
}

// changed evicts threads from the cache.
func (s *Store) changed(threads []string) {
	for _, id := range threads {
		s.cache.changed(id)
	}
}

// discard passes on the files that deleted messages referred to.
func (s *Store) discard(gone []Message) {
	if s.removed == nil {
		return
	}
	var files []string
	known := make(map[string]bool)
	for _, m := range gone {
		for _, f := range [...]string{m.FilePath, m.FileURL} {
			if f != "" && !known[f] {
				known[f] = true
				files = append(files, f)
			}
		}
	}
	if len(files) > 0 {
		s.removed(files)
	}
}
