package models

import (
	"context"
	"time"

	"gorm.io/gorm"
)

// EditMessage replaces a message's text on behalf of an agent, or with 0 of the team, and returns the updated message. It returns
// ErrNotFound if the thread has no such message.
func (s *Store) EditMessage(ctx context.Context, threadID string, id int64, text string, by AgentID, at time.Time) (Message, error) {
	if err := checkText("content_text", text, MaxContentText); err != nil {
		return Message{}, err
	}
	sealed := NewMessage{ContentText: text}
	if err := sealed.seal(s.cipher); err != nil {
		return Message{}, err
	}
	at = stamp(at)
	var m Message
	var queued []OutboxRow
	err := s.transaction(ctx, func(tx *gorm.DB) error {
		threads, err := lockThreads(tx, []string{threadID})
		if err != nil {
			return err
		}
		m, queued = Message{}, nil
		if err := tx.Where("id = ? AND thread_id = ?", id, threadID).Where(visible).Take(&m).Error; err != nil {
			return err
		}
		t := threads[0] // exists: messages refer to it
		t.Rev++
		m.Rev = t.Rev
		err = tx.Model(&Message{}).Where("id = ?", id).Updates(map[string]any{"content_text": sealed.sealed, "edited_at": at, "edited_by": by, "rev": m.Rev}).Error
		if err != nil {
			return err
		}
		columns := []string{"rev"}
		if t.LastMessageID == id {
			t.LastMessage = sealed.preview
			columns = append(columns, "last_message")
		}
		if err := tx.Select(columns).Where("id = ?", threadID).Updates(&t).Error; err != nil {
			return err
		}
		if !s.telegram || !mirrored(m.SenderType) {
			return nil
		}
		queued = []OutboxRow{{Channel: ChannelTelegram, ThreadID: threadID, MessageID: id, Kind: OutboxEdit, CreatedAt: at}}
		return tx.Create(&queued).Error
	})
	s.settled(threadID, err)
	if err != nil {
		return Message{}, s.failed("edit a message", err)
	}
	if queued != nil {
		s.outboxQueued(queued...)
	}
	m = s.decryptMessages([]Message{m})[0]
	m.ContentText, m.EditedAt, m.EditedBy = text, &at, by
	return m, nil
}
