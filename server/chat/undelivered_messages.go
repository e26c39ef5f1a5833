package chat

import (
	"context"

	"sohbet/models"
)

// Undelivered is a message that a channel could not deliver after several attempts. It is set aside until an agent retries it.
type Undelivered struct {
	ThreadID  string `json:"thread_id"`
	MessageID int64  `json:"message_id"`
	Channel   string `json:"channel"` // "telegram"
	Reason    string `json:"reason"`  // the channel's error, in English
	Since     *Time  `json:"since,omitempty"`
	Waiting   bool   `json:"waiting"` // it is being retried
}

// SetAside notifies agents that a message could not be delivered.
func (s *Service) SetAside(_ context.Context, threadID string, messageID int64, channel, reason string) {
	if messageID == 0 {
		return // the row belongs to no message that a client could mark
	}
	now := Time(s.now())
	s.publishUndelivered(Undelivered{ThreadID: threadID, MessageID: messageID, Channel: channel, Reason: reason, Since: &now})
}

func (s *Service) publishUndelivered(u Undelivered) {
	s.publisher.Publish(Publication{Agents: []*Event{{"message_undelivered", u}}})
}

// Undelivered lists the messages that could not be delivered, of one thread or, with "", of all.
func (s *Service) Undelivered(ctx context.Context, a Actor, threadID string) ([]Undelivered, error) {
	if err := agentOnly(a); err != nil {
		return nil, err
	}
	rows, err := s.store.OutboxAside(ctx, models.ChannelTelegram, threadID)
	if err != nil {
		return nil, Public(err)
	}
	list := make([]Undelivered, 0, len(rows))
	for _, r := range rows {
		since := Time(*r.SetAsideAt)
		list = append(list, Undelivered{ThreadID: r.ThreadID, MessageID: r.MessageID, Channel: r.Channel, Reason: r.Reason, Since: &since})
	}
	return list, nil
}

// SendAgain retries a message that could not be delivered.
func (s *Service) SendAgain(ctx context.Context, a Actor, threadID string, messageID int64) error {
	if err := agentOnly(a); err != nil {
		return err
	}
	if err := a.reach(threadID); err != nil {
		return err
	}
	n, err := s.store.OutboxSendAgain(ctx, models.ChannelTelegram, threadID, messageID)
	if err != nil {
		return Public(err)
	}
	if n > 0 { // otherwise another agent has already retried it
		s.publishUndelivered(Undelivered{ThreadID: threadID, MessageID: messageID, Channel: models.ChannelTelegram, Waiting: true})
	}
	return nil
}
