package models

import (
	"context"
	"crypto/rand"
	"crypto/sha256"

	"sohbet/models/database"
)

// Invalidator passes cache invalidations between processes that share a database. Without it a process notices changes of others only
// later: threads within CacheTTL, blocks and sessions within pollInterval. The methods must not block.
type Invalidator interface {
	// Current reports whether this process is notified immediately when others change a thread. Only then threads are cached.
	Current() bool
	// Changed is called after a commit that changed a thread. Commits of the writer are left out: messages and moved marks are published
	// anyway, and the receiver of those calls [Store.Forget].
	Changed(threadID string)
	// Notify is called after a commit that changed something other than threads, with one of the topics below. In the other processes it
	// calls the functions subscribed to the topic.
	Notify(topic string)
	Subscribe(topic string, fn func())
}

// Topics of an [Invalidator].
const (
	TopicSecurity = "security" // blocks or sessions
	TopicOutbox   = "outbox"   // rows are waiting to be sent
	TopicRetry    = "retry"    // waiting outbox rows may be retried at once
	TopicSettings = "settings"
)

// SetInvalidator sets the invalidator, before the store is used.
func (s *Store) SetInvalidator(i Invalidator) {
	i.Subscribe(TopicSecurity, s.poller.soon)
	i.Subscribe(TopicOutbox, func() { s.outboxChanged(false) })
	i.Subscribe(TopicRetry, func() { s.outboxChanged(true) })
	s.invalidator.Store(&i)
}

// notify notifies the other processes of a change.
func (s *Store) notify(topic string) {
	if i := s.invalidator.Load(); i != nil {
		(*i).Notify(topic)
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
