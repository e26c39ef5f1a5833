package chat

import (
	"context"
	"errors"

	"sohbet/models"
)

// Backfill reads from the database the messages of a thread with after < id <= upTo, at most limit. It returns their publications as they
// were when the messages were stored, oldest first, and whether there are more: for a process that missed them.
func (s *Service) Backfill(ctx context.Context, threadID string, after, upTo int64, limit int) ([]Publication, bool, error) {
	found, more, err := s.store.MessagesBetween(ctx, threadID, after, upTo, limit)
	if err != nil {
		return nil, false, Public(err)
	}
	t, err := s.store.Thread(ctx, threadID)
	if err != nil && !errors.Is(err, models.ErrNotFound) {
		return nil, false, Public(err)
	}
	list := make([]Publication, 0, len(found))
	for i, shown := range s.toWire(ctx, found) {
		list = append(list, announcement(found[i], after, shown, t))
		after = found[i].ID
	}
	if n := len(list); n > 0 && !more && t.ID != "" {
		list[n-1].Thread = append(list[n-1].Thread, &Event{"thread_status", threadStatus{t.ID, t.Status, t.Rev}})
		list[n-1].Agents = append(list[n-1].Agents, s.threadEvent(t))
	}
	return list, more, nil
}
