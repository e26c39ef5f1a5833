package models

import (
	"context"

	"gorm.io/gorm"
)

// MaxReaction is the maximum length of a message's reaction in characters.
const MaxReaction = 64

// SetReaction stores the team's reaction to a message, "" for none, and returns the message. It returns ErrNotFound if the thread has
// no such message.
func (s *Store) SetReaction(ctx context.Context, threadID string, id int64, reaction string) (m Message, err error) {
	if err := checkText("reaction", reaction, MaxReaction); err != nil {
		return Message{}, err
	}
	err = s.transaction(ctx, func(tx *gorm.DB) error {
		if _, err := lockThreads(tx, []string{threadID}); err != nil {
			return err
		}
		m = Message{}
		if err := tx.Where("id = ? AND thread_id = ?", id, threadID).Where(visible).Take(&m).Error; err != nil {
			return err
		}
		return tx.Model(&Message{}).Where("id = ?", id).Update("reaction", reaction).Error
	})
	s.cache.changed(threadID)
	if err != nil {
		return Message{}, s.failed("store a reaction", err)
	}
	m = s.decryptMessages([]Message{m})[0]
	m.Reaction = reaction
	return m, nil
}
