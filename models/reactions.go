package models

import (
	"context"

	"gorm.io/gorm"
)

// MaxReaction is the maximum length of a message's reaction in characters.
const MaxReaction = 64

// SetReaction stores the team's reaction to a message, "" for none, on behalf of an agent, or with 0 of the team, and returns the message. It
// returns ErrNotFound if the thread has no such message.
func (s *Store) SetReaction(ctx context.Context, threadID string, id int64, reaction string, by AgentID) (m Message, err error) {
	if err := checkText("reaction", reaction, MaxReaction); err != nil {
		return Message{}, err
	}
	err = s.transaction(ctx, func(tx *gorm.DB) error {
		threads, err := lockThreads(tx, []string{threadID})
		if err != nil {
			return err
		}
		m = Message{}
		if err := tx.Where("id = ? AND thread_id = ?", id, threadID).Where(visible).Take(&m).Error; err != nil {
			return err
		}
		m.Rev = threads[0].Rev + 1 // exists: messages refer to it
		if err := tx.Model(&Thread{}).Where("id = ?", threadID).Update("rev", m.Rev).Error; err != nil {
			return err
		}
		return tx.Model(&Message{}).Where("id = ?", id).Updates(map[string]any{"reaction": reaction, "reacted_by": by, "rev": m.Rev}).Error
	})
	s.settled(threadID, err)
	if err != nil {
		return Message{}, s.failed("store a reaction", err)
	}
	m = s.decryptMessages([]Message{m})[0]
	m.Reaction, m.ReactedBy = reaction, by
	return m, nil
}
