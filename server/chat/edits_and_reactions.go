package chat

import (
	"context"
	"strings"
	"unicode/utf8"

	"sohbet/models"
	"sohbet/server/apperr"
)

// Edit replaces the text of a message of the team; visitors' messages cannot be edited. It emits "message_edited" with the message to
// the thread's room and all agents.
func (s *Service) Edit(ctx context.Context, a Actor, threadID string, messageID int64, text string) (Message, error) {
	if err := teamOnly(a); err != nil {
		return Message{}, err
	}
	if err := a.reach(threadID); err != nil {
		return Message{}, err
	}
	old, err := s.store.Message(ctx, messageID)
	if err == nil && old.ThreadID != threadID {
		err = models.ErrNotFound
	}
	if err != nil {
		return Message{}, Public(err)
	}
	switch {
	case old.SenderType != string(Agent) && old.SenderType != string(Telegram):
		return Message{}, apperr.Unauthorized("Only messages of the team can be changed.")
	case utf8.RuneCountInString(text) > models.MaxContentText:
		return Message{}, apperr.Invalid("content_text", "The message is too long: it may have 10,000 characters at most.")
	case strings.ContainsRune(text, 0):
		return Message{}, apperr.Invalid("content_text", "The message holds a NUL character, which cannot be stored.")
	case old.ContentType == textType && strings.TrimSpace(text) == "":
		return Message{}, apperr.Invalid("content_text", "The message is empty.")
	case old.ContentText == text:
		return s.toWireFor(ctx, a, []models.Message{old})[0], nil
	}
	if err := s.mayStore(ctx, a, threadID, text); err != nil {
		return Message{}, err
	}
	m, err := s.store.EditMessage(ctx, threadID, messageID, text, a.AgentID, s.now())
	if err != nil {
		return Message{}, s.notSaved(ctx, err)
	}
	message := s.toWireOne(ctx, m)
	s.publisher.Publish(Publication{ThreadID: threadID, Side: Visitor, Thread: []*Event{{"message_edited", message}}})
	message.EditedBy = s.reference(m.EditedBy)
	edited := []*Event{{"message_edited", message}}
	s.publisher.Publish(Publication{ThreadID: threadID, Side: Agent, Thread: edited, Agents: edited})
	s.publishCurrent(ctx, threadID) // it may be the last message
	return message, nil
}

// React stores the team's reaction to a message, "" for none. It emits "message_reaction" with the message to the thread's room and all
// agents.
func (s *Service) React(ctx context.Context, a Actor, threadID string, messageID int64, reaction string) error {
	if err := teamOnly(a); err != nil {
		return err
	}
	if err := a.reach(threadID); err != nil {
		return err
	}
	m, err := s.store.SetReaction(ctx, threadID, messageID, reaction, a.AgentID)
	if err != nil {
		return Public(err)
	}
	reacted := []*Event{{"message_reaction", s.toWireOne(ctx, m)}}
	s.publisher.Publish(Publication{ThreadID: threadID, Thread: reacted, Agents: reacted})
	return nil
}
