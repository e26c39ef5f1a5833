package models

import (
	"context"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"sohbet/models/database"
)

// StartClear deletes, on behalf of an agent or with 0 of the team, the messages and notes of a thread and its links to Telegram messages;
// the thread itself stays, at its place in the list. No query returns the messages any more; the job deletes their rows, and may be the zero
// Job if there are none. Messages appended later are kept. It returns ErrNotFound if there is no such thread.
func (s *Store) StartClear(ctx context.Context, id string, by AgentID) (j Job, err error) {
	err = s.transaction(ctx, func(tx *gorm.DB) error {
		rows, err := lockThreads(tx, []string{id})
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			return ErrNotFound
		}
		h, err := s.hideMessages(tx, rows[0])
		if err != nil {
			return err
		}
		j, err = addJob(tx, JobClear, id, rows[0].MessageCount, by)
		j.Hidden = h
		return err
	})
	s.settled(id, err)
	return s.started(j, "clear a thread", err)
}

// StartDelete deletes, on behalf of an agent or with 0 of the team, a thread with its messages, notes, links and user. No query returns it
// any more; the job deletes its rows. It returns ErrNotFound if there is none. If the visitor writes again, the thread is opened again
// without the messages.
func (s *Store) StartDelete(ctx context.Context, id string, by AgentID) (j Job, err error) {
	err = s.transaction(ctx, func(tx *gorm.DB) error {
		rows, err := lockThreads(tx, []string{id})
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			return ErrNotFound
		}
		until, err := s.hideThreads(tx, "id = ?", id)
		if err != nil {
			return err
		}
		j, err = addJob(tx, JobDelete, id, rows[0].MessageCount, by)
		j.Hidden = Hidden{until, rows[0].Rev + 1}
		return err
	})
	s.settled(id, err)
	s.activity.forget(id)
	return s.started(j, "delete a thread", err)
}

// StartClearAll is StartDelete for every thread that exists when it is called. It returns their number.
func (s *Store) StartClearAll(ctx context.Context, by AgentID) (j Job, threads int64, err error) {
	until := stamp(s.Now())
	err = s.transaction(ctx, func(tx *gorm.DB) error {
		var sum struct{ Threads, Messages int64 }
		these := tx.Session(&gorm.Session{NewDB: true}).Model(&Thread{}).Select("id", "message_count").Where(live+" AND created_at <= ?", until).
			Order("id").Clauses(clause.Locking{Strength: "UPDATE"})
		if err := tx.Table("(?) AS these", these).Select("count(*) AS threads, coalesce(sum(message_count), 0) AS messages").Scan(&sum).Error; err != nil {
			return err
		}
		j, threads = Job{}, sum.Threads
		if threads == 0 {
			return nil
		}
		if _, err := s.hideThreads(tx, "created_at <= ?", until); err != nil {
			return err
		}
		j, err = addJob(tx, JobClearAll, "", sum.Messages, by)
		return err
	})
	s.cache.forgetAll()
	s.notify(TopicThreads)
	j, err = s.started(j, "delete all threads", err)
	return j, threads, err
}

// ClearThread is StartClear and its job.
func (s *Store) ClearThread(ctx context.Context, id string) error {
	j, err := s.StartClear(ctx, id, 0)
	return s.finish(ctx, j, err)
}

// DeleteThread is StartDelete and its job.
func (s *Store) DeleteThread(ctx context.Context, id string) error {
	j, err := s.StartDelete(ctx, id, 0)
	return s.finish(ctx, j, err)
}

// ClearAll is StartClearAll and its job.
func (s *Store) ClearAll(ctx context.Context) (int64, error) {
	j, n, err := s.StartClearAll(ctx, 0)
	return n, s.finish(ctx, j, err)
}

func (s *Store) finish(ctx context.Context, j Job, err error) error {
	if err != nil || !j.Unfinished() {
		return err
	}
	if err := s.Erase(ctx, j.Subject, func(int64) {}); err != nil {
		return err
	}
	return s.failed("finish a job", s.transaction(ctx, func(tx *gorm.DB) error {
		return tx.Model(&Job{}).Where("id = ?", j.ID).Update("finished_at", gorm.Expr(s.now())).Error
	}))
}

const (
	eraseThreads = 50   // per transaction
	eraseMost    = 2000 // messages of a thread per transaction
)

// Erase deletes the rows of a thread that was cleared or deleted, or with "" of all, in small transactions with pauses for other
// writers. After each it calls report with the number of deleted messages.
func (s *Store) Erase(ctx context.Context, threadID string, report func(messages int64)) error {
	size := newPace(eraseMost)
	for round := 0; ; round++ {
		if threadID == "" && round%eraseAllEvery == 0 {
			n, err := s.eraseAll(ctx)
			if err != nil {
				return s.failed("delete all messages", err)
			}
			report(n)
		}
		var ids []string
		err := database.Retry(ctx, func() error {
			db := s.db.Read.WithContext(ctx).Model(&Thread{}).Where(hidden).Order("id").Limit(eraseThreads)
			if threadID != "" {
				db = db.Where("id = ?", threadID)
			}
			return db.Pluck("id", &ids).Error
		})
		if err != nil || len(ids) == 0 {
			return s.failed("find deleted threads", err)
		}
		start := time.Now()
		n, err := s.eraseSome(ctx, ids, size)
		if err != nil {
			return s.failed("delete messages", err)
		}
		report(int64(n))
		if err := s.rest(ctx, start); err != nil {
			return err
		}
	}
}

// eraseSome deletes rows of hidden threads, one thread after the other until the transaction has taken as long as it may.
func (s *Store) eraseSome(ctx context.Context, ids []string, size *pace) (int, error) {
	var gone []Message
	var complete, cleared []string
	limit, began := size.rows(), time.Now()
	err := s.transaction(ctx, func(tx *gorm.DB) error {
		gone, complete, cleared = nil, nil, nil
		start := time.Now()
		var rows []Thread // locked before their messages, like the writer does
		if err := tx.Clauses(clause.Locking{Strength: "UPDATE"}).Where("id IN ? AND "+hidden, ids).Order("id").Find(&rows).Error; err != nil {
			return err
		}
		var drop []Thread
		for _, row := range rows {
			some, err := s.eraseMessages(tx, row, limit)
			if err != nil {
				return err
			}
			gone = append(gone, some...)
			if len(some) == limit {
				break
			}
			if complete = append(complete, row.ID); row.DeletedAt == nil {
				cleared = append(cleared, row.ID)
			} else {
				drop = append(drop, row)
			}
			if time.Since(start) > paceTarget {
				break
			}
		}
		if len(cleared) > 0 {
			if err := tx.Model(&Thread{}).Where("id IN ?", cleared).Update("cleared_until", 0).Error; err != nil {
				return err
			}
		}
		return dropThreads(tx, drop)
	})
	if err != nil {
		return 0, err
	}
	size.took(len(gone), time.Since(began))
	s.changed(cleared)
	s.discard(gone)
	return len(gone), nil
}

// eraseMessages deletes hidden messages of a locked thread, at most limit, with their links.
func (s *Store) eraseMessages(tx *gorm.DB, row Thread, limit int) (gone []Message, err error) {
	some := s.stored(tx.Session(&gorm.Session{NewDB: true}), row.ID, 0, row.ClearedUntil+1).Select("id").Order("thread_id, id").Limit(limit)
	if err := tx.Clauses(returnFiles).Where("id IN (?)", some).Delete(&gone).Error; err != nil {
		return nil, err
	}
	return gone, deleteTelegramRows(tx, gone)
}
