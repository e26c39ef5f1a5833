package chat

import (
	"context"

	"sohbet/models"
	"sohbet/server/apperr"
	"sohbet/server/audit"
)

// MaxHistory is the maximum number of messages in one history request.
const MaxHistory = 100

// History returns messages of a thread, oldest first, and whether there are more in the requested direction.
func (s *Service) History(ctx context.Context, a Actor, threadID string, q models.MessageQuery) ([]Message, bool, error) {
	if err := a.reach(threadID); err != nil {
		return nil, false, err
	}
	switch {
	case q.BeforeID < 0 || q.AfterID < 0:
		return nil, false, apperr.Invalid("before_id", "before_id and after_id must be ids of messages.")
	case q.BeforeID > 0 && q.AfterID > 0:
		return nil, false, apperr.Invalid("after_id", "Ask for what is before or after a message, not both.")
	case q.Limit < 0:
		return nil, false, apperr.Invalid("limit", "limit must be between 1 and 100.")
	}
	q.Limit = min(q.Limit, MaxHistory)
	messages, more, err := s.store.Messages(ctx, threadID, q)
	if err != nil {
		return nil, false, Public(err)
	}
	return s.toWire(ctx, messages), more, nil
}

// Beginning returns the first messages of a thread: the page that a client which has no messages yet requests with after_id 0.
func (s *Service) Beginning(ctx context.Context, a Actor, threadID string, limit int) ([]Message, bool, error) {
	if limit < 0 {
		return nil, false, apperr.Invalid("limit", "limit must be between 1 and 100.")
	}
	if limit == 0 || limit > MaxHistory {
		limit = MaxHistory
	}
	return s.History(ctx, a, threadID, models.MessageQuery{Oldest: true, Limit: limit})
}

// MessagePage returns one page of a thread, page 1 being the oldest, and the total number of messages.
func (s *Service) MessagePage(ctx context.Context, a Actor, threadID string, page, perPage int) ([]Message, int64, error) {
	if err := a.reach(threadID); err != nil {
		return nil, 0, err
	}
	messages, total, err := s.store.MessagePage(ctx, threadID, page, perPage)
	if err != nil {
		return nil, 0, Public(err)
	}
	return s.toWire(ctx, messages), total, nil
}

// Threads lists threads, newest message first.
func (s *Service) Threads(ctx context.Context, a Actor, q models.ThreadQuery) ([]ThreadView, error) {
	if err := agentOnly(a); err != nil {
		return nil, err
	}
	threads, err := s.store.Threads(ctx, q)
	if err != nil {
		return nil, Public(err)
	}
	views := make([]ThreadView, len(threads))
	ids := make([]string, len(threads))
	for i, t := range threads {
		views[i], ids[i] = s.view(t), t.ID
	}
	for i, online := range s.online(ctx, ids) {
		views[i].Online = online
	}
	return views, nil
}

// Typing notifies the other side that the actor started or stopped typing. Nothing is stored.
func (s *Service) Typing(_ context.Context, a Actor, threadID string, on bool) error {
	if threadID == "" {
		threadID, _ = a.Threads.Only()
	}
	if err := a.reach(threadID); err != nil {
		return err
	}
	if err := s.admit(a, threadID); err != nil {
		return err
	}
	profile, _ := a.Threads.profile(threadID)
	s.publishToOtherSide(a, threadID, &Event{"typing", typing{
		ThreadID: threadID, SenderType: a.Role, DisplayName: profile.DisplayName, Typing: on,
	}}, true)
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
	moved, err := s.store.MarkRead(ctx, threadID, a.side(), lastID)
	if err != nil {
		return Public(err)
	}
	if !moved {
		return nil
	}
	s.publishToOtherSide(a, threadID, &Event{"read", readMark{ThreadID: threadID, LastID: lastID, Reader: a.Role}}, false)
	if a.Role == Agent { // the message counts as read on all consoles
		if t, err := s.store.Thread(ctx, threadID); err == nil {
			s.publishUpdated(threadUpdated{ID: threadID, UnreadCount: &t.UnreadCount}, a.SocketID)
		}
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
	mark, moved, err := s.store.MarkReceived(ctx, threadID, a.side(), lastID)
	if err != nil {
		return Public(err)
	}
	if moved {
		s.publishToOtherSide(a, threadID, &Event{"delivered", deliveredMark{ThreadID: threadID, LastID: mark, By: a.side()}}, false)
	}
	return nil
}

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
	if s.others != nil {
		s.others.ClearedAll()
	}
	return n, nil
}

// ClearedAll notifies all clients at this process that every thread was deleted.
func (s *Service) ClearedAll() {
	for _, id := range append(s.presence.all(), "") { // "": agents, the whole list
		e := []*Event{{"thread_cleared", cleared{ThreadID: id}}}
		s.publisher.Publish(Publication{ThreadID: id, Thread: e, Agents: e, Here: true})
	}
}

func (s *Service) publishCleared(c cleared) {
	e := []*Event{{"thread_cleared", c}}
	s.publisher.Publish(Publication{ThreadID: c.ThreadID, Thread: e, Agents: e})
}
