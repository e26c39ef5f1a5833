package models

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"time"

	"sohbet/models/database"
)

// News connects the cache invalidation of processes that share a database. Without it a process notices changes of others only later:
// threads within CacheTTL, blocks and sessions within pollInterval. The functions must not block.
type News struct {
	// Hears reports whether this process is notified immediately when others change a thread. Only then is the thread cached.
	Hears func(threadID string) bool
	// Changed is called after a commit that changed a thread, or with "" for all threads. Commits of the writer are left out: messages
	// and moved marks are published anyway, and the receiver of those calls [Store.Forget].
	Changed func(threadID string)
	// Turned is called after a commit that changed something other than threads: one of the constants below, to be passed to
	// [Store.Heard] in the other processes.
	Turned func(what string)
}

// Kinds of change for News.Turned and [Store.Heard].
const (
	TurnedSecurity = "security" // rows are waiting to be sent
	TurnedOutbox   = "outbox"   // waiting outbox rows may be retried at once
	TurnedRetry    = "retry"    // what waits in the outbox may be tried at once
	TurnedSwitch   = "switch"
)

// Share sets the functions through which this store exchanges invalidations with other processes.
func (s *Store) Share(n News) { s.news.Store(&n) }

// turned notifies the other processes of a change.
func (s *Store) turned(what string) {
	if n := s.news.Load(); n != nil {
		n.Turned(what)
	}
}

// Heard applies a change that another process announced.
func (s *Store) Heard(what string) {
	switch what {
	case TurnedSecurity:
		s.poller.soon()
	case TurnedOutbox:
		s.outboxChanged(false)
	case TurnedRetry:
		s.outboxChanged(true)
	}
}

// Forget evicts a thread from the cache after another process changed it.
func (s *Store) Forget(threadID string) { s.cache.forget(threadID) }

// ForgetAll evicts every thread from the cache, for when notifications may have been missed.
func (s *Store) ForgetAll() { s.cache.forgetAll() }

// stateFamily is the row of security_state that holds the secret shared by all processes on one database.
const stateFamily = "family"

// Family returns a secret that only the processes on this database share: it is generated once and is not part of backups.
func (s *Store) Family(ctx context.Context) ([32]byte, error) {
	var value string
	err := database.Retry(ctx, func() error {
		row := struct{ Name, Value string }{stateFamily, rand.Text()}
		err := s.db.Write.WithContext(ctx).Exec("INSERT INTO security_state (name, value) VALUES (?, ?) ON CONFLICT (name) DO NOTHING", row.Name, row.Value).Error
		if err != nil {
			return err
		}
		return s.db.Write.WithContext(ctx).Table("security_state").Where("name = ?", stateFamily).Select("value").Take(&value).Error
	})
	return sha256.Sum256([]byte(value)), s.failed("read the shared secret", err)
}

// NewestID returns the id of the newest message in any thread, 0 if there is none.
func (s *Store) NewestID(ctx context.Context) (int64, error) {
	var id int64
	err := database.Retry(ctx, func() error {
		return s.db.Read.WithContext(ctx).Model(&Message{}).Select("COALESCE(MAX(id), 0)").Scan(&id).Error
	})
	return id, s.failed("read the newest id", err)
}

type newest struct {
	ID            string
	LastMessageID int64
}

// NewestIDs returns the id of the newest message of each of these threads, read from the database. Threads that are not stored are left
// out.
func (s *Store) NewestIDs(ctx context.Context, threads []string) (map[string]int64, error) {
	found := make(map[string]int64, len(threads))
	var rows []newest
	err := database.Retry(ctx, func() error {
		if s.db.Dialect == database.Postgres {
			var err error
			rows, err = scanNewest(s.db.Read.Statement.ConnPool.QueryContext(ctx, postgresNewest, threads))
			return err
		}
		return s.db.Read.WithContext(ctx).Model(&Thread{}).Select("id", "last_message_id").Where("id IN ?", threads).Find(&rows).Error
	})
	for _, row := range rows {
		found[row.ID] = row.LastMessageID
	}
	return found, s.failed("read the newest ids", err)
}

// postgresNewest takes any number of ids in one array parameter, so that it is one prepared statement.
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

// NewestIDsSince is like NewestIDs for the threads active since a time, the most recently active first, at most limit.
func (s *Store) NewestIDsSince(ctx context.Context, since time.Time, limit int) (map[string]int64, error) {
	found := make(map[string]int64)
	var rows []newest
	err := database.Retry(ctx, func() error {
		return s.db.Read.WithContext(ctx).Model(&Thread{}).Select("id", "last_message_id").
			Where("last_activity >= ? AND last_message_id > 0", stamp(since)).Order("last_activity DESC, id DESC").Limit(limit).Find(&rows).Error
	})
	for _, row := range rows {
		found[row.ID] = row.LastMessageID
	}
	return found, s.failed("read the newest ids", err)
}
