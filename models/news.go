package models

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"time"
)

// News is how processes that share a database keep in step what they hold in memory. Without it a process finds out by
// itself, later: what it keeps of threads within CacheTTL, blocks and sessions within watchInterval. The functions must not
// block.
type News struct {
	// Hears reports whether this process hears at once what others change in a thread. Only then is the thread kept in memory.
	Hears func(threadID string) bool
	// Changed is called after a commit that changed a thread, "" for all of them. What the writer commits is left out: a
	// message or a moved mark is published anyway, and whoever hears of that calls [Store.Forget].
	Changed func(threadID string)
	// Turned is called after a commit that changed something else: one of the names below, to be handed to [Store.Heard] of
	// the others.
	Turned func(what string)
}

// What may be turned.
const (
	TurnedSecurity = "security" // blocks, sessions
	TurnedOutbox   = "outbox"   // something waits to be sent
	TurnedRetry    = "retry"    // what waits in the outbox may be tried at once
	TurnedSwitch   = "switch"
)

// Share connects the store with those of other processes.
func (s *Store) Share(n News) { s.news.Store(&n) }

// turned tells the others.
func (s *Store) turned(what string) {
	if n := s.news.Load(); n != nil {
		n.Turned(what)
	}
}

// Heard takes in what another process turned.
func (s *Store) Heard(what string) {
	switch what {
	case TurnedSecurity:
		s.watch.soon()
	case TurnedOutbox:
		s.outboxChanged(false)
	case TurnedRetry:
		s.outboxChanged(true)
	}
}

// Forget drops what memory holds of a thread: for the news that another process changed it.
func (s *Store) Forget(threadID string) { s.cache.forget(threadID) }

// ForgetAll drops what memory holds of every thread: for when there may have been news that nobody brought.
func (s *Store) ForgetAll() { s.cache.forgetAll() }

// Settle returns when everybody who queued a message that was committed before this call has been told so.
func (s *Store) Settle(ctx context.Context) error {
	_, err := s.writer.wait(ctx, &job{kind: settleJob})
	return err
}

// stateFamily is the row of security_state that all processes of one database know each other by.
const stateFamily = "family"

// Family is a secret that the processes on this database share, and nobody else: it is made once, and is in no backup.
func (s *Store) Family(ctx context.Context) ([32]byte, error) {
	var value string
	err := again(ctx, func() error {
		row := struct{ Name, Value string }{stateFamily, rand.Text()}
		err := s.write.WithContext(ctx).Exec("INSERT INTO security_state (name, value) VALUES (?, ?) ON CONFLICT (name) DO NOTHING", row.Name, row.Value).Error
		if err != nil {
			return err
		}
		return s.write.WithContext(ctx).Table("security_state").Where("name = ?", stateFamily).Select("value").Take(&value).Error
	})
	return sha256.Sum256([]byte(value)), s.failed("read what processes share", err)
}

// NewestID is the id of the newest message of all, 0 if there is none.
func (s *Store) NewestID(ctx context.Context) (int64, error) {
	var id int64
	err := again(ctx, func() error {
		return s.read.WithContext(ctx).Model(&Message{}).Select("COALESCE(MAX(id), 0)").Scan(&id).Error
	})
	return id, s.failed("read the newest id", err)
}

type newest struct {
	ID            string
	LastMessageID int64
}

// NewestIDs gives the id of the newest message of each of these threads, read from the database. A thread that is not stored
// is left out.
func (s *Store) NewestIDs(ctx context.Context, threads []string) (map[string]int64, error) {
	found := make(map[string]int64, len(threads))
	var rows []newest
	err := again(ctx, func() error {
		if s.dialect == dialectPostgres {
			var err error
			rows, err = scanNewest(s.read.Statement.ConnPool.QueryContext(ctx, postgresNewest, threads))
			return err
		}
		return s.read.WithContext(ctx).Model(&Thread{}).Select("id", "last_message_id").Where("id IN ?", threads).Find(&rows).Error
	})
	for _, row := range rows {
		found[row.ID] = row.LastMessageID
	}
	return found, s.failed("read the newest ids", err)
}

// postgresNewest is one statement for any number of threads.
const postgresNewest = "SELECT id, last_message_id FROM threads WHERE id = ANY($1::text[])"

func scanNewest(rows *sql.Rows, err error) ([]newest, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []newest
	for rows.Next() {
		var n newest
		if err := rows.Scan(&n.ID, &n.LastMessageID); err != nil {
			return nil, err
		}
		list = append(list, n)
	}
	return list, rows.Err()
}

// NewestIDsSince is NewestIDs of the threads that were active since a time, the most active first, at most limit.
func (s *Store) NewestIDsSince(ctx context.Context, since time.Time, limit int) (map[string]int64, error) {
	found := make(map[string]int64)
	var rows []newest
	err := again(ctx, func() error {
		return s.read.WithContext(ctx).Model(&Thread{}).Select("id", "last_message_id").
			Where("last_activity >= ? AND last_message_id > 0", stamp(since)).Order("last_activity DESC, id DESC").Limit(limit).Find(&rows).Error
	})
	for _, row := range rows {
		found[row.ID] = row.LastMessageID
	}
	return found, s.failed("read the newest ids", err)
}
