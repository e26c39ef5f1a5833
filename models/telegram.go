package models

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"sohbet/models/database"
)

// TelegramThread maps a thread to Telegram. ShortID is shown under each message there; unlike the thread's id, with which
// anybody can read and write the conversation, it grants no access and reveals nothing about that id.
type TelegramThread struct {
	ID          int64
	ThreadID    string
	ShortID     string
	ChatID      int64 // chat that has the topic
	TopicID     int64 // 0 = none
	TopicName   string
	TopicStatus string // the topic's status in Telegram: StatusActive or StatusClosed
	CreatedAt   time.Time
}

// Short ids avoid characters that are mistaken for others, and vowels, so that they never form a word.
const (
	shortAlphabet = "23456789bcdfghjkmnpqrstvwxz"
	shortLength   = 7 // 27⁷ ≈ 10¹⁰ ids
)

func newShortID() string {
	b := make([]byte, 0, shortLength)
	var draw [32]byte
	for len(b) < shortLength {
		_, _ = rand.Read(draw[:]) // cannot fail: crypto/rand crashes the program instead
		for _, r := range draw {
			if limit := byte(256 / len(shortAlphabet) * len(shortAlphabet)); r < limit && len(b) < shortLength { // rejection sampling, so that every character is equally likely
				b = append(b, shortAlphabet[int(r)%len(shortAlphabet)])
			}
		}
	}
	return string(b)
}

// TelegramThread returns the mapping of a thread to Telegram, creating it if there is none; fresh reports whether it was created. It
// returns ErrNotFound if there is no such thread.
func (s *Store) TelegramThread(ctx context.Context, threadID string) (t TelegramThread, fresh bool, err error) {
	for range 5 { // a short id may be taken
		err = s.transaction(ctx, func(tx *gorm.DB) error {
			fresh = false
			found, err := lockThreads(tx, []string{threadID})
			if err != nil {
				return err
			}
			if len(found) == 0 {
				return ErrNotFound
			}
			t = TelegramThread{}
			err = tx.Where("thread_id = ?", threadID).Take(&t).Error
			if !errors.Is(err, gorm.ErrRecordNotFound) {
				return err
			}
			t = TelegramThread{ThreadID: threadID, ShortID: newShortID(), CreatedAt: stamp(s.Now())}
			done := tx.Clauses(clause.OnConflict{DoNothing: true}).Create(&t)
			fresh = done.RowsAffected == 1
			if done.Error == nil && !fresh {
				return errShortTaken
			}
			return done.Error
		})
		if !errors.Is(err, errShortTaken) {
			break
		}
	}
	return t, fresh, s.failed("read a thread's Telegram mapping", err)
}

var errShortTaken = errors.New("the short id is taken")

// TelegramThreadByShortID finds a thread by its short id, or returns ErrNotFound.
func (s *Store) TelegramThreadByShortID(ctx context.Context, shortID string) (TelegramThread, error) {
	return s.telegramThread(ctx, "short_id = ?", shortID)
}

// TelegramThreadByTopic finds the thread of a topic, or returns ErrNotFound.
func (s *Store) TelegramThreadByTopic(ctx context.Context, chatID, topicID int64) (TelegramThread, error) {
	return s.telegramThread(ctx, "chat_id = ? AND topic_id = ?", chatID, topicID)
}

func (s *Store) telegramThread(ctx context.Context, condition string, args ...any) (t TelegramThread, err error) {
	err = database.Retry(ctx, func() error { return s.db.Read.WithContext(ctx).Where(condition, args...).Take(&t).Error })
	return t, s.failed("find a thread by its Telegram mapping", err)
}

// SetTopic stores the topic of a thread: ChatID, TopicID, TopicName and TopicStatus. If the thread was deleted meanwhile, the topic is
// queued for deletion too, and the error is ErrNotFound.
func (s *Store) SetTopic(ctx context.Context, t TelegramThread) error {
	var gone bool
	err := s.transaction(ctx, func(tx *gorm.DB) error {
		done := tx.Model(&TelegramThread{}).Where("thread_id = ?", t.ThreadID).
			Select("chat_id", "topic_id", "topic_name", "topic_status").Updates(&t)
		gone = done.Error == nil && done.RowsAffected == 0
		if !gone || t.TopicID == 0 {
			return done.Error
		}
		row := topicDeletion(t)
		return tx.Create(&row).Error
	})
	if err == nil && gone {
		err = ErrNotFound
	}
	return s.failed("note a topic", err)
}

// Link links messages in Telegram to a thread. It does nothing if the thread is no longer stored.
func (s *Store) Link(ctx context.Context, l TelegramLink) error {
	err := s.transaction(ctx, func(tx *gorm.DB) error {
		found, err := lockThreads(tx, []string{l.ThreadID})
		if err != nil || len(found) == 0 {
			return err
		}
		fresh := l
		return tx.Create(&fresh).Error
	})
	return s.failed("link a message", err)
}

// Linked finds the link of a message in Telegram, or returns ErrNotFound.
func (s *Store) Linked(ctx context.Context, chatID, telegramMessageID int64) (l TelegramLink, err error) {
	err = database.Retry(ctx, func() error {
		return s.db.Read.WithContext(ctx).Where("chat_id = ? AND telegram_message_id = ?", chatID, telegramMessageID).Where(linked).Order("id DESC").Take(&l).Error
	})
	return l, s.failed("find a link", err)
}

// FirstLink finds the link of a thread's first message in a topic of a chat, or returns ErrNotFound.
func (s *Store) FirstLink(ctx context.Context, threadID string, chatID, topicID int64) (l TelegramLink, err error) {
	err = database.Retry(ctx, func() error {
		return s.db.Read.WithContext(ctx).Where("thread_id = ? AND chat_id = ? AND topic_id = ?", threadID, chatID, topicID).Where(linked).Order("id").Take(&l).Error
	})
	return l, s.failed("find a link", err)
}

// LinksOf returns the Telegram messages of a message, in the order in which its parts were sent.
func (s *Store) LinksOf(ctx context.Context, messageID int64) (list []TelegramLink, err error) {
	err = database.Retry(ctx, func() error {
		return s.db.Read.WithContext(ctx).Where("message_id = ? AND message_id <> 0", messageID).Where(linked).Order("id").Find(&list).Error
	})
	return list, s.failed("find links", err)
}

// OutboxSent records in one transaction that Telegram accepted rows of one thread, as the Telegram messages in links. The rows are
// deleted or, with part, the first of them advances to its next part, unless another process has advanced it. delivered is the id up to which Telegram has every message of the
// thread, 0 if the thread was deleted.
func (s *Store) OutboxSent(ctx context.Context, rows []OutboxRow, links []TelegramLink, part bool) (delivered int64, err error) {
	ids := make([]int64, len(rows))
	for i, row := range rows {
		ids[i] = row.ID
	}
	err = s.transaction(ctx, func(tx *gorm.DB) error {
		delivered = 0
		found, err := lockThreads(tx, []string{rows[0].ThreadID})
		if err != nil {
			return err
		}
		if len(found) == 1 && len(links) > 0 { // a thread that was cleared meanwhile gets no links
			fresh := append([]TelegramLink(nil), links...)
			if err := tx.Create(&fresh).Error; err != nil {
				return err
			}
		}
		if part {
			err = tx.Model(&OutboxRow{}).Where("id = ? AND parts = ?", ids[0], rows[0].Parts).Updates(map[string]any{"parts": rows[0].Parts + 1, "tries": 0, "due_at": nil}).Error
		} else {
			err = tx.Where("id IN ?", ids).Delete(&OutboxRow{}).Error
		}
		if err != nil || len(found) == 0 {
			return err
		}
		// The thread is locked, so no message can be added to the outbox between the two queries.
		var first *int64
		err = tx.Model(&OutboxRow{}).Where("thread_id = ? AND channel = ? AND kind = ?", rows[0].ThreadID, ChannelTelegram, OutboxMessage).
			Select("MIN(message_id)").Scan(&first).Error
		delivered = found[0].LastMessageID
		if first != nil {
			delivered = min(delivered, *first-1)
		}
		return err
	})
	return delivered, s.failed("record sent outbox rows", err)
}

// QueueTopic queues an update of the topic of a thread.
func (s *Store) QueueTopic(ctx context.Context, threadID string) error {
	row := OutboxRow{Channel: ChannelTelegram, ThreadID: threadID, Kind: OutboxTopic, CreatedAt: stamp(s.Now())}
	err := s.transaction(ctx, func(tx *gorm.DB) error {
		fresh := row
		return tx.Create(&fresh).Error
	})
	if err == nil {
		s.outboxQueued(row)
	}
	return s.failed("queue a topic", err)
}

// LinkedMessages returns the ids of the messages that a message in Telegram shows, in order.
func (s *Store) LinkedMessages(ctx context.Context, chatID, telegramMessageID int64) (ids []int64, err error) {
	err = database.Retry(ctx, func() error {
		return s.db.Read.WithContext(ctx).Model(&TelegramLink{}).Where("chat_id = ? AND telegram_message_id = ? AND message_id <> 0", chatID, telegramMessageID).
			Where(linked).Order("message_id").Pluck("message_id", &ids).Error
	})
	return ids, s.failed("find links", err)
}
