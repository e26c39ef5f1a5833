package chat

import (
	"context"

	"sohbet/server/apperr"
)

// Typing notifies the other side that the actor started or stopped typing. Nothing is stored.
func (s *Service) Typing(ctx context.Context, a Actor, threadID string, on bool) error {
	if threadID == "" {
		threadID, _ = a.Threads.Only()
	}
	if err := a.reach(threadID); err != nil {
		return err
	}
	if err := s.admit(ctx, a, threadID); err != nil {
		return err
	}
	profile, _ := a.Threads.profile(threadID)
	s.publishToOtherSide(a, threadID, &Event{"typing", typing{
		ThreadID: threadID, SenderType: a.Role, DisplayName: profile.DisplayName, Typing: on,
	}}, true)
	return nil
}

// AgentTyping tells the other agents that an agent started or stopped typing: a message, which the visitor is told as well, or a note.
func (s *Service) AgentTyping(ctx context.Context, a Actor, threadID string, on, note bool) error {
	if err := agentOnly(a); err != nil {
		return err
	}
	if !note {
		if err := s.Typing(ctx, a, threadID, on); err != nil {
			return err
		}
	} else if err := a.reach(threadID); err != nil {
		return err
	}
	s.publisher.Publish(Publication{Except: a.SocketID, Volatile: true, Agents: []*Event{{"agent_typing", agentTyping{
		ThreadID: threadID, Agent: s.reference(a.AgentID), Typing: on, Note: note,
	}}}})
	return nil
}

// Read stores the newest message that the actor has read and, if it changed, notifies the other side; for an agent also the other
// agents.
func (s *Service) Read(ctx context.Context, a Actor, threadID string, lastID int64) error {
	if err := a.reach(threadID); err != nil {
		return err
	}
	if lastID <= 0 {
		return apperr.Invalid("last_id", "last_id must be the id of a message.")
	}
	t, moved, err := s.store.MarkRead(ctx, threadID, a.side(), lastID)
	if err != nil {
		return Public(err)
	}
	if !moved {
		return nil
	}
	s.publishToOtherSide(a, threadID, &Event{"read", readMark{ThreadID: threadID, LastID: lastID, Reader: a.Role, Rev: t.Rev}}, false)
	if a.Role == Agent { // the message counts as read on all consoles
		s.publishThread(t)
	}
	return nil
}

// Delivered stores the newest message that the actor's client has received and, if it changed, notifies the other side. A read message
// counts as received.
func (s *Service) Delivered(ctx context.Context, a Actor, threadID string, lastID int64) error {
	if err := a.reach(threadID); err != nil {
		return err
	}
	if lastID <= 0 {
		return apperr.Invalid("last_id", "last_id must be the id of a message.")
	}
	t, moved, err := s.store.MarkReceived(ctx, threadID, a.side(), lastID)
	if err != nil {
		return Public(err)
	}
	if moved {
		mark := t.VisitorReceivedID
		if a.Role != Visitor {
			mark = t.AgentReceivedID
		}
		s.publishToOtherSide(a, threadID, &Event{"delivered", deliveredMark{ThreadID: threadID, LastID: mark, By: a.side(), Rev: t.Rev}}, false)
	}
	return nil
}
