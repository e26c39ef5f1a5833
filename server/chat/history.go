package chat

import (
	"context"

	"sohbet/models"
	"sohbet/server/apperr"
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
	return s.toWireFor(ctx, a, messages), more, nil
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
	return s.toWireFor(ctx, a, messages), total, nil
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
	return s.views(ctx, threads), nil
}

// views returns threads in wire format.
func (s *Service) views(ctx context.Context, threads []models.Thread) []ThreadView {
	views := make([]ThreadView, len(threads))
	ids := make([]string, len(threads))
	for i, t := range threads {
		views[i], ids[i] = s.view(t), t.ID
	}
	online, versions := s.online(ctx, ids)
	for i := range views {
		views[i].Online, views[i].OnlineVersion = online[i], versions[i]
	}
	return views
}
