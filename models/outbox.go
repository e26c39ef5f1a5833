package models

import (
	"context"
	"strconv"
	"time"

	"gorm.io/gorm"

	"sohbet/models/database"
)

// ChannelTelegram is the outbox channel of the Telegram bridge.
const ChannelTelegram = "telegram"

// Kinds of outbox rows for Telegram.
const (
	OutboxMessage = "message" // send the message
	OutboxEdit    = "edit"    // the message has a new text
	OutboxTopic   = "topic"   // the thread's name or status changed

	// OutboxTopicDeletion deletes the topic of a deleted thread: MessageID is the topic, ThreadID is a [TopicsOfChat].
	OutboxTopicDeletion = "topic_deletion"
)

// TopicsOfChat is the ThreadID of outbox rows that delete topics of a chat. They share one key, so that clearing many threads does not
// delay messages. It cannot be the id of a thread.
func TopicsOfChat(chatID int64) string { return "topics of " + strconv.FormatInt(chatID, 10) }

func topicDeletion(t TelegramThread) OutboxRow {
	return OutboxRow{Channel: ChannelTelegram, ThreadID: TopicsOfChat(t.ChatID), MessageID: t.TopicID, Kind: OutboxTopicDeletion, CreatedAt: stamp(time.Now())}
}

// OutboxRow is one pending delivery of a channel. Rows with the same channel, destination and thread are delivered in the order of
// their ids.
type OutboxRow struct {
	ID          int64
	Channel     string
	Destination string // "" if the channel has one destination
	ThreadID    string // "" if the row belongs to no conversation
	MessageID   int64
	Kind        string // interpreted by the channel
	Parts       int    // parts of the message already sent
	Tries       int    // failed attempts caused by the row itself
	DueAt       *time.Time
	SetAsideAt  *time.Time // when it was set aside until an agent retries it; nil = pending
	Reason      string     // why it was set aside; contains no message text
	CreatedAt   time.Time
}

// TableName returns the name of the table.
func (OutboxRow) TableName() string { return "outbox" }

// OutboxKey identifies rows of a channel that are delivered in order.
type OutboxKey struct{ Destination, ThreadID string }

// Key returns the row's key.
func (r OutboxRow) Key() OutboxKey { return OutboxKey{r.Destination, r.ThreadID} }

// mirrored reports whether messages of a sender type are sent to Telegram. Messages written in Telegram are there already.
func mirrored(senderType string) bool { return senderType == Visitor || senderType == Admin }

// OutboxListen registers f for a channel. It is called after each commit of this process that queued rows of the channel, with their
// keys; without keys when another process queued rows; and with retry when all pending rows may be tried at once. A channel has one
// listener; it must not block. Nil removes it.
func (s *Store) OutboxListen(channel string, f func(keys []OutboxKey, retry bool)) {
	s.outboxMu.Lock()
	defer s.outboxMu.Unlock()
	if f == nil {
		delete(s.outboxListeners, channel)
		return
	}
	if s.outboxListeners == nil {
		s.outboxListeners = make(map[string]func([]OutboxKey, bool))
	}
	s.outboxListeners[channel] = f
}

// outboxQueued notifies the sender of the channel, in whichever process it runs, of committed rows.
func (s *Store) outboxQueued(rows ...OutboxRow) {
	keys := make(map[string][]OutboxKey, 1)
	for _, row := range rows {
		keys[row.Channel] = append(keys[row.Channel], row.Key())
	}
	s.outboxMu.Lock()
	for channel, list := range keys {
		if f := s.outboxListeners[channel]; f != nil {
			f(list, false)
		}
	}
	s.outboxMu.Unlock()
	s.notify(TopicOutbox)
}

// outboxChanged notifies the listeners of this process that another process queued rows, or that pending rows may be retried.
func (s *Store) outboxChanged(retry bool) {
	s.outboxMu.Lock()
	defer s.outboxMu.Unlock()
	for _, f := range s.outboxListeners {
		f(nil, retry)
	}
}

// outboxWaiting selects the pending rows of a channel.
func (s *Store) outboxWaiting(ctx context.Context, channel string) *gorm.DB {
	return s.db.Read.WithContext(ctx).Model(&OutboxRow{}).Where("channel = ? AND set_aside_at IS NULL", channel)
}

// OutboxKeys returns the keys of pending rows with an id above after, those with the oldest rows first, and the highest of these ids,
// or after if there is none.
func (s *Store) OutboxKeys(ctx context.Context, channel string, after int64) (keys []OutboxKey, newest int64, err error) {
	var found []struct {
		Destination, ThreadID string
		Oldest, Newest        int64
	}
	err = database.Retry(ctx, func() error {
		return s.outboxWaiting(ctx, channel).Select("destination, thread_id, MIN(id) AS oldest, MAX(id) AS newest").
			Where("id > ?", after).Group("destination, thread_id").Order("oldest").Find(&found).Error
	})
	newest = after
	for _, f := range found {
		keys, newest = append(keys, OutboxKey{f.Destination, f.ThreadID}), max(newest, f.Newest)
	}
	return keys, newest, s.failed("read the outbox", err)
}

// OutboxRows returns the first pending rows of a key, in order.
func (s *Store) OutboxRows(ctx context.Context, channel string, k OutboxKey, limit int) ([]OutboxRow, error) {
	var rows []OutboxRow
	err := database.Retry(ctx, func() error { return s.outboxRowsQuery(ctx, channel, k, limit).Find(&rows).Error })
	return rows, s.failed("read the outbox", err)
}

func (s *Store) outboxRowsQuery(ctx context.Context, channel string, k OutboxKey, limit int) *gorm.DB {
	return s.outboxWaiting(ctx, channel).Where("thread_id = ? AND destination = ?", k.ThreadID, k.Destination).Order("id").Limit(limit)
}

// OutboxBegin records, before a row is sent, that it is not to be sent by another process before due, unless this attempt is recorded to
// have failed by a zero due. An SQLite file is used by one process only, which knows what it is sending.
func (s *Store) OutboxBegin(ctx context.Context, id int64, due time.Time) error {
	if s.db.Dialect == database.SQLite {
		return nil
	}
	var at any
	if !due.IsZero() {
		at = stamp(due)
	}
	err := s.transaction(ctx, func(tx *gorm.DB) error { return tx.Model(&OutboxRow{}).Where("id = ?", id).Update("due_at", at).Error })
	return s.failed("begin an outbox row", err)
}

// OutboxDone deletes delivered rows.
func (s *Store) OutboxDone(ctx context.Context, ids ...int64) error {
	err := s.transaction(ctx, func(tx *gorm.DB) error { return tx.Where("id IN ?", ids).Delete(&OutboxRow{}).Error })
	return s.failed("remove outbox rows", err)
}

// OutboxLater counts a failed attempt of a row; after a restart it is not retried before due.
func (s *Store) OutboxLater(ctx context.Context, id int64, due time.Time) error {
	err := s.transaction(ctx, func(tx *gorm.DB) error {
		return tx.Model(&OutboxRow{}).Where("id = ?", id).
			Updates(map[string]any{"tries": gorm.Expr("tries + 1"), "due_at": stamp(due)}).Error
	})
	return s.failed("postpone an outbox row", err)
}

// maxReason is the maximum length of the column reason in runes.
const maxReason = 300

// OutboxSetAside excludes a row from delivery until [Store.OutboxSendAgain].
func (s *Store) OutboxSetAside(ctx context.Context, id int64, reason string, at time.Time) error {
	err := s.transaction(ctx, func(tx *gorm.DB) error {
		return tx.Model(&OutboxRow{}).Where("id = ?", id).
			Updates(map[string]any{"set_aside_at": stamp(at), "reason": cut(reason, maxReason), "due_at": nil}).Error
	})
	return s.failed("set aside an outbox row", err)
}

// OutboxAside returns the rows of a channel that were set aside, of one thread or, with "", of all, oldest first.
func (s *Store) OutboxAside(ctx context.Context, channel, threadID string) ([]OutboxRow, error) {
	var rows []OutboxRow
	err := database.Retry(ctx, func() error {
		db := s.db.Read.WithContext(ctx).Where("channel = ? AND set_aside_at IS NOT NULL", channel) // the condition of the partial index idx_outbox_set_aside
		if threadID != "" {
			db = db.Where("thread_id = ?", threadID)
		}
		return db.Order("id").Limit(maxPage).Find(&rows).Error
	})
	return rows, s.failed("read what was set aside", err)
}

// OutboxSendAgain makes rows that were set aside pending again; being older, they go before the others of their thread. It selects the
// rows of one message, or with "" and 0 all rows of the channel, and returns their number.
func (s *Store) OutboxSendAgain(ctx context.Context, channel, threadID string, messageID int64) (int, error) {
	var rows []OutboxRow
	err := s.transaction(ctx, func(tx *gorm.DB) error {
		rows = nil
		db := tx.Where("channel = ? AND set_aside_at IS NOT NULL", channel)
		if threadID != "" {
			db = db.Where("thread_id = ? AND message_id = ?", threadID, messageID)
		}
		if err := db.Order("id").Find(&rows).Error; err != nil || len(rows) == 0 {
			return err
		}
		ids := make([]int64, len(rows))
		for i, row := range rows {
			ids[i] = row.ID
		}
		return tx.Model(&OutboxRow{}).Where("id IN ?", ids).Updates(map[string]any{"set_aside_at": nil, "reason": "", "tries": 0, "due_at": nil}).Error
	})
	if err == nil && len(rows) > 0 {
		s.outboxQueued(rows...)
	}
	return len(rows), s.failed("send outbox rows again", err)
}

// OutboxRetry makes all pending rows due immediately.
func (s *Store) OutboxRetry(ctx context.Context) error {
	err := database.Retry(ctx, func() error {
		return s.db.Write.WithContext(ctx).Model(&OutboxRow{}).Where("due_at IS NOT NULL").Update("due_at", nil).Error
	})
	s.outboxChanged(true)
	s.notify(TopicRetry)
	return s.failed("retry the outbox", err)
}

// Backlog counts the undelivered rows of a channel.
type Backlog struct {
	Rows   int64
	Oldest time.Time // when the oldest row was written; zero if there is none
	Aside  int64     // rows set aside; not counted in Rows
}

// OutboxBacklog counts the undelivered rows of a channel.
func (s *Store) OutboxBacklog(ctx context.Context, channel string) (Backlog, error) {
	var b Backlog
	var first []OutboxRow
	err := database.Retry(ctx, func() error {
		if err := s.outboxWaiting(ctx, channel).Count(&b.Rows).Error; err != nil {
			return err
		}
		err := s.db.Read.WithContext(ctx).Model(&OutboxRow{}).Where("channel = ? AND set_aside_at IS NOT NULL", channel).Count(&b.Aside).Error
		if err != nil {
			return err
		}
		return s.outboxWaiting(ctx, channel).Order("id").Limit(1).Find(&first).Error
	})
	if len(first) == 1 {
		b.Oldest = first[0].CreatedAt.UTC()
	}
	return b, s.failed("count the outbox", err)
}
