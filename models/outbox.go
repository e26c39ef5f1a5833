package models

import (
	"context"
	"time"

	"gorm.io/gorm"
)

// What an outbox row asks for.
const (
	OutboxMessage = "message" // send the message
	OutboxEdit    = "edit"    // the message has a new text
	OutboxTopic   = "topic"   // name and state of the thread changed
)

// OutboxRow is one thing that Telegram has yet to hear. Rows of one thread are sent in the order of their ids.
type OutboxRow struct {
	ID        int64
	ThreadID  string
	MessageID int64
	Kind      string
	Parts     int // parts of the message that have been sent
	Tries     int
	DueAt     *time.Time // not before; nil = at once
	CreatedAt time.Time
}

// TableName names the table.
func (OutboxRow) TableName() string { return "telegram_outbox" }

// mirrored reports whether Telegram has to hear of messages of a sender. What was written there is known there.
func mirrored(senderType string) bool { return senderType == Visitor || senderType == Admin }

// enqueue puts what was stored into the outbox, in the same transaction.
func (t *transaction) enqueue(ctx context.Context, conn gorm.ConnPool) error {
	if !t.writer.store.telegram {
		return nil
	}
	rows := make([]OutboxRow, 0, len(t.jobs))
	for i := range t.outcomes {
		out := &t.outcomes[i]
		if t.jobs[i].kind != appendJob || out.err != nil || out.Duplicate || !mirrored(out.Message.SenderType) {
			continue
		}
		if out.Reopened {
			rows = append(rows, OutboxRow{ThreadID: out.Message.ThreadID, Kind: OutboxTopic, CreatedAt: out.Message.CreatedAt})
		}
		rows = append(rows, OutboxRow{ThreadID: out.Message.ThreadID, MessageID: out.Message.ID, Kind: OutboxMessage, CreatedAt: out.Message.CreatedAt})
	}
	if len(rows) == 0 {
		return nil
	}
	t.queued = true
	return t.writer.sql.enqueue(ctx, conn, rows)
}

// rouse wakes the sender, in whichever process it is.
func (s *Store) rouse() {
	s.wake()
	if s.telegram {
		s.turned(TurnedOutbox)
	}
}

// wake wakes the sender here.
func (s *Store) wake() {
	select {
	case s.outbox <- struct{}{}:
	default:
	}
}

// OutboxReady receives when this process has put something into the outbox, or has [Store.Heard] that another one did.
func (s *Store) OutboxReady() <-chan struct{} { return s.outbox }

// OutboxNext returns the oldest rows, leaving out threads whose first row is not due yet. Those of one thread
// stand in their order; nothing but rows of that thread may have to wait when one of them fails.
func (s *Store) OutboxNext(ctx context.Context, now time.Time, limit int) ([]OutboxRow, error) {
	var rows []OutboxRow
	err := again(ctx, func() error { return s.outboxQuery(ctx, now).Limit(limit).Find(&rows).Error })
	return rows, s.failed("read the outbox", err)
}

// outboxQuery repeats the condition of idx_telegram_outbox_due literally.
func (s *Store) outboxQuery(ctx context.Context, now time.Time) *gorm.DB {
	db := s.read.WithContext(ctx)
	waiting := db.Session(&gorm.Session{NewDB: true}).Model(&OutboxRow{}).Select("thread_id").Where("due_at IS NOT NULL AND due_at > ?", stamp(now))
	return db.Model(&OutboxRow{}).Where("thread_id NOT IN (?)", waiting).Order("id")
}

// OutboxSent notes that a part of a row is in Telegram, as the messages that links name. With the last part the
// row is done.
func (s *Store) OutboxSent(ctx context.Context, row OutboxRow, links []TelegramLink, last bool) error {
	err := s.transaction(ctx, func(tx *gorm.DB) error {
		found, err := lockThreads(tx, []string{row.ThreadID})
		if err != nil {
			return err
		}
		if len(found) == 1 && len(links) > 0 { // a thread that was cleared meanwhile has no links any more
			fresh := append([]TelegramLink(nil), links...)
			if err := tx.Create(&fresh).Error; err != nil {
				return err
			}
		}
		if last {
			return tx.Where("id = ?", row.ID).Delete(&OutboxRow{}).Error
		}
		return tx.Model(&OutboxRow{}).Where("id = ?", row.ID).Updates(map[string]any{"parts": row.Parts + 1, "tries": 0, "due_at": nil}).Error
	})
	return s.failed("note what was sent", err)
}

// OutboxDone removes a row that has nothing left to send.
func (s *Store) OutboxDone(ctx context.Context, id int64) error {
	err := again(ctx, func() error { return s.write.WithContext(ctx).Where("id = ?", id).Delete(&OutboxRow{}).Error })
	return s.failed("remove an outbox row", err)
}

// OutboxLater counts a try that failed and keeps the row's thread waiting until a time.
func (s *Store) OutboxLater(ctx context.Context, id int64, due time.Time) error {
	err := again(ctx, func() error {
		return s.write.WithContext(ctx).Model(&OutboxRow{}).Where("id = ?", id).
			Updates(map[string]any{"tries": gorm.Expr("tries + 1"), "due_at": stamp(due)}).Error
	})
	return s.failed("put an outbox row off", err)
}

// OutboxWake makes all rows due: Telegram is there again.
func (s *Store) OutboxWake(ctx context.Context) error {
	defer s.rouse()
	err := again(ctx, func() error {
		return s.write.WithContext(ctx).Model(&OutboxRow{}).Where("due_at IS NOT NULL").Update("due_at", nil).Error
	})
	return s.failed("wake the outbox", err)
}

// Backlog is what waits in the outbox.
type Backlog struct {
	Rows   int64
	Oldest time.Time // when its oldest row was written; zero if there is none
}

// OutboxBacklog counts what waits.
func (s *Store) OutboxBacklog(ctx context.Context) (Backlog, error) {
	var b Backlog
	var first []OutboxRow
	err := again(ctx, func() error {
		err := s.read.WithContext(ctx).Model(&OutboxRow{}).Count(&b.Rows).Error
		if err != nil {
			return err
		}
		return s.read.WithContext(ctx).Order("id").Limit(1).Find(&first).Error
	})
	if len(first) == 1 {
		b.Oldest = first[0].CreatedAt.UTC()
	}
	return b, s.failed("count the outbox", err)
}
