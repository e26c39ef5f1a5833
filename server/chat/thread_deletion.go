package chat

import (
	"context"

	"sohbet/server/audit"
)

// Clear deletes the messages of a thread; the thread stays in the list. It emits "thread_cleared" with kept to its room and all agents.
func (s *Service) Clear(ctx context.Context, a Actor, threadID string) error {
	return s.empty(ctx, a, cleared{ThreadID: threadID, Kept: true}, s.store.ClearThread, audit.ThreadClear)
}

// Delete deletes a thread and everything in it. It emits "thread_cleared" to its room and all agents.
func (s *Service) Delete(ctx context.Context, a Actor, threadID string) error {
	return s.empty(ctx, a, cleared{ThreadID: threadID}, s.store.DeleteThread, audit.ThreadDelete)
}

func (s *Service) empty(ctx context.Context, a Actor, e cleared, act func(context.Context, string) error, event string) error {
	if err := agentOnly(a); err != nil {
		return err
	}
	if err := a.reach(e.ThreadID); err != nil {
		return err
	}
	if err := act(ctx, e.ThreadID); err != nil {
		return Public(err)
	}
	s.logAudit(ctx, a, event)
	s.publishCleared(e)
	return nil
}

// ClearAll deletes every thread and returns their number.
func (s *Service) ClearAll(ctx context.Context, a Actor) (int64, error) {
	if err := agentOnly(a); err != nil {
		return 0, err
	}
	n, err := s.store.ClearAll(ctx)
	if err != nil {
		return n, Public(err)
	}
	s.logAudit(ctx, a, audit.ThreadsClear)
	s.ClearedAll()
	s.topics.Notify(topicCleared)
	return n, nil
}

// ClearedAll notifies all clients at this process that every thread was deleted.
func (s *Service) ClearedAll() {
	for _, id := range append(s.presence.all(false), "") { // "": agents, the whole list
		e := []*Event{{"thread_cleared", cleared{ThreadID: id}}}
		s.publisher.Publish(Publication{ThreadID: id, Thread: e, Agents: e, Here: true})
	}
}

func (s *Service) publishCleared(c cleared) {
	e := []*Event{{"thread_cleared", c}}
	s.publisher.Publish(Publication{ThreadID: c.ThreadID, Thread: e, Agents: e})
}
