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
	expireBatch = 500 // messages per transaction
	emptyBatch  = 100 // threads per transaction
)

// Expired lists what one call of Expire deleted in a thread.
type Expired struct {
	ThreadID string
	Messages []int64
	Cleared  bool // no message was left, so the thread was deleted with its user and links
}

// Expire deletes a batch of messages stored before a time, oldest first, and the threads that become empty by it. more reports whether
// there may be others; call it again after a pause for other writers.
func (s *Store) Expire(ctx context.Context, before time.Time) (expired []Expired, more bool, err error) {
	var found []Message
	err = database.Retry(ctx, func() error { // also reads thread_id, so that threads can be locked before their messages
		return s.expiredQuery(ctx, before).Find(&found).Error
	})
	if err != nil || len(found) == 0 {
		return nil, false, s.failed("find old messages", err)
	}
	ids := make([]int64, len(found))
	var threads []string
	known := make(map[string]bool)
	for i, m := range found {
		ids[i] = m.ID
		if !known[m.ThreadID] {
			known[m.ThreadID] = true
			threads = append(threads, m.ThreadID)
		}
	}
	var gone []Message
	err = s.transaction(ctx, func(tx *gorm.DB) error {
		gone, expired = nil, nil
		rows, err := lockThreads(tx, threads)
		if err != nil {
			return err
		}
		if err := tx.Clauses(returnFiles).Where("id IN ?", ids).Delete(&gone).Error; err != nil {
			return err
		}
		if err := deleteTelegramRows(tx, gone); err != nil {
			return err
		}
		byThread := make(map[string][]*Message, len(rows))
		for i := range gone {
			byThread[gone[i].ThreadID] = append(byThread[gone[i].ThreadID], &gone[i])
		}
		var empty []Thread
		for _, row := range rows {
			deleted := byThread[row.ID]
			if len(deleted) == 0 { // another process deleted them first
				continue
			}
			left, err := s.subtractMessages(tx, row, deleted)
			if err != nil {
				return err
			}
			e := Expired{ThreadID: row.ID, Cleared: !left}
			for _, m := range deleted {
				e.Messages = append(e.Messages, m.ID)
			}
			expired = append(expired, e)
			if !left {
				empty = append(empty, row)
			}
		}
		return dropThreads(tx, empty)
	})
	s.changed(threads)
	if err != nil {
		return nil, false, s.failed("delete old messages", err)
	}
	s.discard(gone)
	return expired, len(found) == expireBatch, nil
}

func (s *Store) expiredQuery(ctx context.Context, before time.Time) *gorm.DB {
	return s.db.Read.WithContext(ctx).Model(&Message{}).Select("id", "thread_id").
		Where("created_at < ?", stamp(before)).Order("created_at").Limit(expireBatch)
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

// RemoveEmpty deletes a batch of threads without messages whose visitor was last active before a time, and returns their ids. A thread
// emptied by [Store.ClearThread] is deleted if its last message was written before written; with the zero time such threads are kept.
func (s *Store) RemoveEmpty(ctx context.Context, before, written time.Time) (removed []string, more bool, err error) {
	before = stamp(before)
	if !written.IsZero() { // stamp would turn a zero time into now
		written = stamp(written)
	}
	var ids []string
	err = database.Retry(ctx, func() error { return s.emptyQuery(ctx, before, written).Pluck("id", &ids).Error })
	if err != nil || len(ids) == 0 {
		return nil, false, s.failed("find empty threads", err)
	}
	var gone []Message
	err = s.transaction(ctx, func(tx *gorm.DB) error {
		gone, removed = nil, nil
		rows, err := lockThreads(tx, ids)
		if err != nil {
			return err
		}
		var empty []Thread
		var names []string
		for _, row := range rows { // a message may have arrived before the row was locked
			due := row.LastMessageAt == nil || row.LastMessageAt.Before(written)
			if due && row.MessageCount == 0 && row.LastActivity.Before(before) && s.activity.last(row.ID).Before(before) {
				empty, names = append(empty, row), append(names, row.ID)
			}
		}
		if len(empty) == 0 {
			return nil
		}
		// A crash during the deletion of a thread leaves messages that its count does not include.
		if gone, err = deleteSome(tx, names); err != nil || len(gone) == clearMessages {
			return err
		}
		removed = names
		return dropThreads(tx, empty)
	})
	s.changed(ids)
	if err != nil {
		return nil, false, s.failed("remove empty threads", err)
	}
	s.discard(gone)
	return removed, len(gone) == clearMessages || len(ids) == emptyBatch && len(removed) > 0, nil
}

// emptyQuery repeats the condition of the partial index idx_threads_empty.
func (s *Store) emptyQuery(ctx context.Context, before, written time.Time) *gorm.DB {
	return s.db.Read.WithContext(ctx).Model(&Thread{}).Where("message_count = 0").Where("last_message_at IS NULL OR last_message_at < ?", written).
		Where("last_activity < ?", before).Order("last_activity, id").Limit(emptyBatch)
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

// lockThreads locks thread rows in the order of their ids. Every transaction that locks several threads uses this order, which prevents
// deadlocks. LastMessage is returned as stored (encrypted).
func lockThreads(tx *gorm.DB, ids []string) ([]Thread, error) {
	var rows []Thread
	err := tx.Clauses(clause.Locking{Strength: "UPDATE"}).Where("id IN ?", ids).Order("id").Find(&rows).Error
	return rows, err
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
