package models

import (
	"context"
	"slices"
	"time"

	"gorm.io/gorm"

	"sohbet/models/database"
)

const (
	expireBatch   = 500 // messages per transaction, at most
	expireThreads = 20  // threads per transaction, at most
	emptyBatch    = 100 // threads per transaction
)

// Expired lists what one call of Expire deleted in a thread.
type Expired struct {
	ThreadID string
	Messages []int64
	Cleared  bool  // no message was left, so the thread was deleted with its user and links
	LastID   int64 // the thread's newest message
	Rev      int64 // the thread's revision after the change
	Marked   bool  // its unread count or WaitingSince changed
}

// Expire deletes a batch of messages stored before a time, and the threads that become empty by it. more reports whether there may be
// others; call it again after a pause for other writers. It begins with the threads of the oldest messages and deletes all that expired in
// one thread before the next, so that a thread's row and its part of each index are written once and not for every message.
func (s *Store) Expire(ctx context.Context, before time.Time) (expired []Expired, more bool, err error) {
	var found, newest []Message
	size := s.expiring.rows()
	err = database.Retry(ctx, func() error { // also reads thread_id, so that threads can be locked before their messages
		if err := s.expiredQuery(ctx, before, expireThreads).Order("created_at").Find(&found).Error; err != nil {
			return err
		}
		return s.expiredQuery(ctx, before, 1).Order("created_at DESC").Find(&newest).Error
	})
	if err != nil || len(found) == 0 {
		return nil, false, s.failed("find old messages", err)
	}
	var threads []string
	var until int64 // ids grow with time, unless the clock was set back
	for _, m := range append(newest, found...) {
		until = max(until, m.ID)
	}
	for _, m := range found {
		if !slices.Contains(threads, m.ThreadID) {
			threads = append(threads, m.ThreadID)
		}
	}
	var gone []Message
	complete := false
	began := time.Now()
	err = s.transaction(ctx, func(tx *gorm.DB) error {
		gone, expired, complete = nil, nil, false
		start := time.Now()
		rows, err := lockThreads(tx, threads)
		if err != nil {
			return err
		}
		for i, id := range threads {
			var some []Message
			old := s.stored(tx.Session(&gorm.Session{NewDB: true}), id, 0, until+1).Select("id").Where("created_at < ?", stamp(before)).
				Order("thread_id, id").Limit(size - len(gone))
			if err := tx.Clauses(returnFiles).Where("id IN (?)", old).Delete(&some).Error; err != nil {
				return err
			}
			if gone = append(gone, some...); len(gone) == size || time.Since(start) > paceTarget {
				break
			}
			complete = i == len(threads)-1
		}
		if err := deleteTelegramRows(tx, gone); err != nil {
			return err
		}
		clearedUntil := make(map[string]int64, len(rows))
		for _, row := range rows {
			clearedUntil[row.ID] = row.ClearedUntil
		}
		byThread := make(map[string][]*Message, len(rows))
		for i := range gone {
			m := &gone[i]
			if until, live := clearedUntil[m.ThreadID]; live && m.ID > until { // the others were deleted already, and are not counted
				byThread[m.ThreadID] = append(byThread[m.ThreadID], m)
			}
		}
		rows = slices.DeleteFunc(rows, func(row Thread) bool { return len(byThread[row.ID]) == 0 }) // another process deleted them first
		empty, err := s.subtractAll(tx, rows, byThread, stamp(before))
		if err != nil {
			return err
		}
		for _, row := range rows {
			deleted := byThread[row.ID]
			e := Expired{ThreadID: row.ID, LastID: row.LastMessageID, Rev: row.Rev + 1, Cleared: slices.ContainsFunc(empty, func(t Thread) bool { return t.ID == row.ID })}
			e.Marked = row.WaitingSince != nil || row.withoutMessages(deleted).UnreadCount != row.UnreadCount
			for _, m := range deleted {
				e.Messages = append(e.Messages, m.ID)
			}
			expired = append(expired, e)
		}
		return s.dropExpired(tx, empty)
	})
	s.changed(threads)
	if err != nil {
		return nil, false, s.failed("delete old messages", err)
	}
	s.discard(gone)
	s.expiring.took(len(gone), time.Since(began))
	if err := s.checkpoint(ctx); err != nil {
		return expired, false, s.failed("checkpoint", err)
	}
	return expired, !complete || len(found) == expireThreads, nil
}

// CountExpired counts the messages stored before a time.
func (s *Store) CountExpired(ctx context.Context, before time.Time) (n int64, err error) {
	err = database.Retry(ctx, func() error {
		return s.db.Read.WithContext(ctx).Model(&Message{}).Where("created_at < ?", stamp(before)).Count(&n).Error
	})
	return n, s.failed("count old messages", err)
}

// dropExpired deletes locked threads of which no message is left. A thread that was cleared shortly before may still have rows of messages.
func (s *Store) dropExpired(tx *gorm.DB, empty []Thread) error {
	var hiding []string
	for _, row := range empty {
		if row.ClearedUntil > 0 {
			hiding = append(hiding, row.ID)
		}
	}
	if len(hiding) > 0 {
		if _, err := s.hideThreads(tx, "id IN ?", hiding); err != nil {
			return err
		}
		for _, id := range hiding {
			if _, err := addJob(tx, JobDelete, id, 0, 0); err != nil {
				return err
			}
		}
	}
	return dropThreads(tx, slices.DeleteFunc(empty, func(row Thread) bool { return row.ClearedUntil > 0 }))
}

func (s *Store) expiredQuery(ctx context.Context, before time.Time, limit int) *gorm.DB {
	return s.db.Read.WithContext(ctx).Model(&Message{}).Select("id", "thread_id").
		Where("created_at < ?", stamp(before)).Limit(limit)
}

// RemoveEmpty deletes a batch of threads without messages whose visitor was last active before a time, and returns them. A thread
// emptied by [Store.ClearThread] is deleted if its last message was written before written; with the zero time such threads are kept.
func (s *Store) RemoveEmpty(ctx context.Context, before, written time.Time) (removed []Expired, more bool, err error) {
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
		if gone, err = deleteSome(tx, names); err != nil || len(gone) == eraseMost {
			return err
		}
		for _, row := range empty {
			removed = append(removed, Expired{ThreadID: row.ID, LastID: row.LastMessageID, Rev: row.Rev + 1, Cleared: true})
		}
		return dropThreads(tx, empty)
	})
	s.changed(ids)
	if err != nil {
		return nil, false, s.failed("remove empty threads", err)
	}
	s.discard(gone)
	return removed, len(gone) == eraseMost || len(ids) == emptyBatch && len(removed) > 0, nil
}

// emptyQuery repeats the condition of the partial index idx_threads_empty.
func (s *Store) emptyQuery(ctx context.Context, before, written time.Time) *gorm.DB {
	return s.db.Read.WithContext(ctx).Model(&Thread{}).Where("message_count = 0").Where(live).Where("last_message_at IS NULL OR last_message_at < ?", written).
		Where("last_activity < ?", before).Order("last_activity, id").Limit(emptyBatch)
}
