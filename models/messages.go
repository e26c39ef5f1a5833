package models

import (
	"context"
	"math"
	"slices"

	"gorm.io/gorm"

	"sohbet/models/database"
)

// maxPageBytes is the maximum size of stored text in one page of messages, except that a page has at least one message.
const maxPageBytes = 512 << 10

// Messages returns messages of a thread, oldest first, and whether there are more in the requested direction. A page of long messages
// may hold fewer than the limit. A thread that is empty or does not exist gives an empty list.
func (s *Store) Messages(ctx context.Context, threadID string, q MessageQuery) ([]Message, bool, error) {
	limit := pageSize(q.Limit)
	if q.AfterID > 0 || q.BeforeID > 0 || q.Oldest || limit > cachedPageSize {
		return s.readMessages(ctx, threadID, q, limit)
	}
	newest, ok := s.cache.page(threadID)
	if !ok {
		ticket := s.cache.ticket(threadID)
		list, more, err := s.readMessages(ctx, threadID, q, cachedPageSize)
		if err != nil {
			return nil, false, err
		}
		newest = page{messages: list, more: more}
		s.cache.keepPage(ticket, threadID, newest)
	}
	// Clone: the cached slice is shared.
	skip := max(0, len(newest.messages)-limit)
	return slices.Clone(newest.messages[skip:]), newest.more || skip > 0, nil
}

func (s *Store) readMessages(ctx context.Context, threadID string, q MessageQuery, limit int) ([]Message, bool, error) {
	var list []Message
	var more bool
	err := database.Retry(ctx, func() (err error) {
		list, more, err = readPage(s.messagesQuery(ctx, threadID, q).Limit(limit+1), limit)
		return err
	})
	if err != nil {
		return nil, false, s.failed("read messages", err)
	}
	if !q.ascending() {
		slices.Reverse(list)
	}
	return s.decryptMessages(list), more, nil
}

// readPage reads rows one by one, so that at most maxPageBytes of them are in memory.
func readPage(query *gorm.DB, limit int) (list []Message, more bool, err error) {
	rows, err := query.Rows()
	if err != nil {
		return nil, false, err
	}
	defer rows.Close()
	list = make([]Message, 0, min(limit, 128))
	bytes := 0
	for rows.Next() {
		if len(list) == limit || bytes > maxPageBytes {
			return list, true, rows.Close()
		}
		var m Message
		if err := query.ScanRows(rows, &m); err != nil {
			return nil, false, err
		}
		bytes += len(m.ContentText)
		list = append(list, m)
	}
	return list, false, rows.Err()
}

// MessagesBetween returns a thread's messages with after < id <= upTo, oldest first and at most limit, and whether there are more. It
// bypasses the cache.
func (s *Store) MessagesBetween(ctx context.Context, threadID string, after, upTo int64, limit int) ([]Message, bool, error) {
	var list []Message
	err := database.Retry(ctx, func() error {
		list = nil
		return s.between(s.db.Read.WithContext(ctx), threadID, after, upTo+1).Order("thread_id, id").Limit(limit + 1).Find(&list).Error
	})
	if err != nil {
		return nil, false, s.failed("read messages", err)
	}
	more := len(list) > limit
	return s.decryptMessages(list[:min(limit, len(list))]), more, nil
}

func (s *Store) messagesQuery(ctx context.Context, threadID string, q MessageQuery) *gorm.DB {
	db := s.between(s.db.Read.WithContext(ctx), threadID, q.AfterID, q.BeforeID)
	if q.ascending() {
		return db.Order("thread_id, id")
	}
	return db.Order("thread_id DESC, id DESC")
}

// between selects a thread's messages after one id and before another; 0 leaves an end open. Deleted messages are left out.
func (s *Store) between(db *gorm.DB, threadID string, after, before int64) *gorm.DB {
	greatest := "max"
	if s.db.Dialect == database.Postgres {
		greatest = "greatest"
	}
	return s.stored(db, threadID, gorm.Expr("(SELECT "+greatest+"(?, cleared_until) FROM threads WHERE id = ?)", max(after, 0), threadID), before)
}

// stored is between with the messages whose rows still exist.
//
// PostgreSQL gets the thread as bounds of a row range: with thread_id = 'x' it may walk the primary key and skip the rows of other
// threads, which is very slow for a thread without recent messages. SQLite would use only the first column of such a range, and picks
// the right index anyway.
func (s *Store) stored(db *gorm.DB, threadID string, after any, before int64) *gorm.DB {
	db = db.Model(&Message{})
	if before <= 0 {
		before = math.MaxInt64
	}
	if s.db.Dialect == database.Postgres {
		return db.Where("(thread_id, id) > (?, ?) AND (thread_id, id) < (?, ?)", threadID, after, threadID, before)
	}
	return db.Where("thread_id = ? AND id > ? AND id < ?", threadID, after, before)
}

// MessagePage returns a numbered page, page 1 being the oldest, and the number of messages in the thread. It uses OFFSET; prefer
// Messages, which does not.
func (s *Store) MessagePage(ctx context.Context, threadID string, page, perPage int) ([]Message, int64, error) {
	t, err := s.Thread(ctx, threadID)
	if err == ErrNotFound {
		return []Message{}, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	size := pageSize(perPage)
	skip := int64(max(page, 1)-1) * int64(size)
	list := []Message{}
	if skip >= t.MessageCount {
		return list, t.MessageCount, nil
	}
	err = database.Retry(ctx, func() error {
		list = list[:0]
		return s.between(s.db.Read.WithContext(ctx), threadID, 0, 0).Order("thread_id, id").Offset(int(skip)).Limit(size).Find(&list).Error
	})
	if err != nil {
		return nil, 0, s.failed("read messages", err)
	}
	return s.decryptMessages(list), t.MessageCount, nil
}

// Message returns one message, or ErrNotFound.
func (s *Store) Message(ctx context.Context, id int64) (Message, error) {
	var m Message
	if err := database.Retry(ctx, func() error { return s.db.Read.WithContext(ctx).Where("id = ?", id).Where(visible).Take(&m).Error }); err != nil {
		return Message{}, s.failed("read a message", err)
	}
	return s.decryptMessages([]Message{m})[0], nil
}

// NewestID returns the id of the newest message in any thread, 0 if there is none.
func (s *Store) NewestID(ctx context.Context) (int64, error) {
	var id int64
	err := database.Retry(ctx, func() error {
		return s.db.Read.WithContext(ctx).Model(&Message{}).Select("COALESCE(MAX(id), 0)").Scan(&id).Error
	})
	return id, s.failed("read the newest id", err)
}

// NewestIDs returns the id of the newest message of each thread that has one with an id greater than after. Threads are independent of
// each other: a message with a smaller id than another thread's may be committed later.
func (s *Store) NewestIDs(ctx context.Context, after int64) (map[string]int64, error) {
	var rows []struct {
		ThreadID string
		Newest   int64
	}
	err := database.Retry(ctx, func() error {
		return s.db.Read.WithContext(ctx).Model(&Message{}).Select("thread_id", "MAX(id) AS newest").Where("id > ?", after).Group("thread_id").Find(&rows).Error
	})
	found := make(map[string]int64, len(rows))
	for _, row := range rows {
		found[row.ThreadID] = row.Newest
	}
	return found, s.failed("read the newest ids", err)
}

// Revisions returns the revisions of threads, without those that are not stored.
func (s *Store) Revisions(ctx context.Context, threads []string) (map[string]int64, error) {
	var rows []Thread
	err := database.Retry(ctx, func() error {
		return s.db.Read.WithContext(ctx).Select("id", "rev").Where("id IN ?", threads).Find(&rows).Error
	})
	revisions := make(map[string]int64, len(rows))
	for _, row := range rows {
		revisions[row.ID] = row.Rev
	}
	return revisions, s.failed("read revisions", err)
}
