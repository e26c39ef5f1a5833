package models

import (
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"sohbet/models/database"
)

// subtractAll subtracts deleted messages from the counts of locked threads, and returns those that have no messages left. The deleted
// messages were stored before a time.
func (s *Store) subtractAll(tx *gorm.DB, rows []Thread, deleted map[string][]*Message, before time.Time) (empty []Thread, err error) {
	newest, err := s.newestIDs(tx, rows)
	if err != nil {
		return nil, err
	}
	var values strings.Builder
	var args []any
	for _, row := range rows {
		if newest[row.ID] == 0 {
			empty = append(empty, row)
			continue
		}
		if newest[row.ID] != row.LastMessageID || row.WaitingSince != nil && row.WaitingSince.Before(before) {
			if err := s.subtractMessages(tx, row, deleted[row.ID]); err != nil {
				return nil, err
			}
			continue
		}
		next := row.withoutMessages(deleted[row.ID])
		values.WriteString(", (CAST(? AS varchar(50)), CAST(? AS bigint), CAST(? AS bigint))")
		args = append(args, row.ID, next.MessageCount, next.UnreadCount)
	}
	if len(args) == 0 {
		return empty, nil
	}
	return empty, tx.Exec("WITH v (id, messages, unread) AS (VALUES "+values.String()[2:]+") "+
		"UPDATE threads SET message_count = v.messages, unread_count = v.unread, rev = rev + 1 FROM v WHERE threads.id = v.id", args...).Error
}

// newestIDs returns the id of the newest message of each of the threads that has one.
func (s *Store) newestIDs(tx *gorm.DB, rows []Thread) (map[string]int64, error) {
	ids := make([]string, len(rows))
	for i, row := range rows {
		ids[i] = row.ID
	}
	newest := "(SELECT max(m.id) FROM messages m WHERE m.thread_id = threads.id AND m.id > threads.cleared_until)"
	if s.db.Dialect == database.Postgres { // as in between
		newest = "(SELECT m.id FROM messages m WHERE (m.thread_id, m.id) > (threads.id, threads.cleared_until) " +
			"AND (m.thread_id, m.id) < (threads.id, 9223372036854775807) ORDER BY m.thread_id DESC, m.id DESC LIMIT 1)"
	}
	var found []struct {
		ID     string
		Newest int64
	}
	err := tx.Model(&Thread{}).Select("id", "coalesce("+newest+", 0) AS newest").Where("id IN ?", ids).Find(&found).Error
	all := make(map[string]int64, len(found))
	for _, f := range found {
		all[f.ID] = f.Newest
	}
	return all, err
}

// subtractMessages subtracts deleted messages from a locked thread's counts; messages are left.
func (s *Store) subtractMessages(tx *gorm.DB, row Thread, deleted []*Message) (err error) {
	var last Message
	if err := s.between(tx, row.ID, 0, 0).Order("thread_id DESC, id DESC").Limit(1).Take(&last).Error; err != nil {
		return err
	}
	row = row.withoutMessages(deleted)
	row.Rev++
	columns := []string{"message_count", "unread_count", "waiting_since", "rev"}
	if row.WaitingSince != nil { // the message it refers to may be deleted
		if row.WaitingSince, err = s.waiting(tx, row.ID); err != nil {
			return err
		}
	}
	if last.ID != row.LastMessageID { // the clock was once set back: the message with the highest id was not the youngest, and is deleted
		text, readable := s.cipher.Open(last.ContentText)
		row.LastMessage = last.ContentText
		if short := cut(text, LastMessageRunes); readable && len(short) < len(text) {
			if row.LastMessage, err = s.cipher.Seal(short); err != nil {
				return err
			}
		}
		row.LastMessageID, row.LastSender, row.LastType, row.LastMessageAt = last.ID, last.SenderType, last.ContentType, &last.CreatedAt
		columns = append(columns, "last_message_id", "last_message", "last_sender", "last_type", "last_message_at")
	}
	return tx.Select(columns).Where("id = ?", row.ID).Updates(&row).Error
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

// deleteSome deletes up to eraseMost messages of the threads and returns them.
func deleteSome(tx *gorm.DB, threads []string) (gone []Message, err error) {
	some := tx.Session(&gorm.Session{NewDB: true}).Model(&Message{}).Select("id").Where("thread_id IN ?", threads).Limit(eraseMost)
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
	if err := queueTopicDeletions(tx, tx.Session(&gorm.Session{NewDB: true}).Model(&Thread{}).Select("id").Where("id IN ?", ids)); err != nil {
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
func queueTopicDeletions(tx, threads *gorm.DB) error {
	var topics []TelegramThread
	if err := tx.Where("thread_id IN (?) AND topic_id <> 0", threads).Order("id").Find(&topics).Error; err != nil || len(topics) == 0 {
		return err
	}
	rows := make([]OutboxRow, len(topics))
	for i, t := range topics {
		rows[i] = topicDeletion(t)
	}
	return tx.CreateInBatches(&rows, 200).Error
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
