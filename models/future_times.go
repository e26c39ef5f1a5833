package models

import (
	"cmp"
	"context"
	"slices"
	"time"

	"gorm.io/gorm"

	"sohbet/models/database"
)

// Times that a wrong clock wrote into threads. The times of messages are kept as they are: the order of a thread is that of its ids. The
// times by which threads are listed are derived from them, and replaced by a time at which the thread's newest message can have been
// written: that of the message stored before it.

const repairBatch = 500

// clockSet is the earliest time that a clock can show. A machine that has lost its clock starts long before it, and then every stored time
// seems to be in the future.
var clockSet = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// future returns the time from which a stored time was written by a wrong clock; ok is false if the clock itself is wrong.
func (s *Store) future() (limit time.Time, ok bool) {
	now := s.Now()
	return stamp(now).Add(clockAhead), now.After(clockSet)
}

// RepairTimes corrects the times of threads that are in the future.
func (s *Store) RepairTimes(ctx context.Context) error {
	limit, ok := s.future()
	for ok {
		var ids []string
		err := database.Retry(ctx, func() error {
			return s.db.Read.WithContext(ctx).Model(&Thread{}).
				Where("last_message_at > ? OR last_activity > ? OR waiting_since > ?", limit, limit, limit).Limit(repairBatch).Pluck("id", &ids).Error
		})
		if err != nil || len(ids) == 0 {
			return s.failed("find times in the future", err)
		}
		if err := s.repairTimes(ctx, ids, limit); err != nil {
			return err
		}
	}
	return nil
}

// repairListed corrects the threads listed first if their last message is in the future, and reports whether there were any.
func (s *Store) repairListed(ctx context.Context, list []Thread) (bool, error) {
	limit, ok := s.future()
	var ids []string
	for _, t := range list {
		if !ok || t.LastMessageAt == nil || !t.LastMessageAt.After(limit) {
			break
		}
		ids = append(ids, t.ID)
	}
	if len(ids) == 0 {
		return false, nil
	}
	return true, s.repairTimes(ctx, ids, limit)
}

func (s *Store) repairTimes(ctx context.Context, ids []string, limit time.Time) error {
	err := s.transaction(ctx, func(tx *gorm.DB) error {
		threads, err := lockThreads(tx, ids)
		if err != nil {
			return err
		}
		slices.SortFunc(threads, func(a, b Thread) int { return cmp.Compare(a.LastMessageID, b.LastMessageID) })
		var last time.Time
		for _, t := range threads { // in the order of their messages, which the new times keep
			at, err := writtenBy(tx, t.LastMessageID, limit)
			if err != nil {
				return err
			}
			if !at.After(last) {
				at = last.Add(time.Millisecond)
			}
			last = at
			if err := tx.Model(&Thread{}).Where("id = ?", t.ID).Updates(t.withoutFuture(limit, at)).Error; err != nil {
				return err
			}
		}
		return nil
	})
	s.activity.forgetAfter(limit, ids...)
	s.changed(ids)
	return s.failed("correct times in the future", err)
}

// withoutFuture returns the columns of a thread that are after limit, with the time to store instead.
func (t Thread) withoutFuture(limit, at time.Time) map[string]any {
	changed := map[string]any{"last_activity": t.LastActivity} // never empty
	if t.LastActivity.After(limit) {
		changed["last_activity"] = at
	}
	if t.LastMessageAt != nil && t.LastMessageAt.After(limit) {
		changed["last_message_at"] = at
	}
	if t.WaitingSince != nil && t.WaitingSince.After(limit) {
		changed["waiting_since"] = at
	}
	return changed
}

// writtenBy returns a time at which a message can have been written: that of the message stored before it, or just before the one stored
// after it, whose time is not in the future.
func writtenBy(tx *gorm.DB, id int64, limit time.Time) (time.Time, error) {
	var found []Message
	past := func() *gorm.DB {
		return tx.Select("id", "created_at").Where("created_at <= ?", limit.Add(-clockAhead)).Limit(1)
	}
	if err := past().Where("id < ?", id).Order("id DESC").Find(&found).Error; err != nil || len(found) == 1 {
		if err == nil {
			return stamp(found[0].CreatedAt), nil
		}
		return time.Time{}, err
	}
	err := past().Where("id > ?", id).Order("id").Find(&found).Error
	if err == nil && len(found) == 1 {
		return stamp(found[0].CreatedAt).Add(-time.Second), nil
	}
	return limit.Add(-clockAhead - time.Second), err
}

// clampFuture replaces the last activity of a thread if it is in the future, so that the next one counts.
func (t *Thread) clampFuture(now time.Time) {
	if t.LastActivity.After(now.Add(clockAhead)) {
		t.LastActivity = stamp(now)
	}
}
