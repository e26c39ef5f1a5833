package chat

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"sohbet/models"
	"sohbet/server/apperr"
	"sohbet/server/audit"
)

// threadUpdated is the payload of "thread_updated": the whole thread object, except for whether the visitor is online.
type threadUpdated struct {
	ThreadView
	Online *bool `json:"online,omitempty"` // hides the one of ThreadView
}

// optional converts a time that may be null.
func optional(at *time.Time) *Time {
	if at == nil {
		return nil
	}
	t := Time(*at)
	return &t
}

// publishThread sends agents the state of a thread.
func (s *Service) publishThread(t models.Thread) {
	s.publisher.Publish(Publication{ThreadID: t.ID, Rev: t.Rev, State: true, Agents: []*Event{s.threadEvent(t)}})
}

func (s *Service) threadEvent(t models.Thread) *Event {
	return &Event{"thread_updated", threadUpdated{ThreadView: s.view(t)}}
}

// publishCurrent is like publishThread, and reads the thread.
func (s *Service) publishCurrent(ctx context.Context, threadID string) {
	t, err := s.store.Thread(ctx, threadID)
	switch {
	case err == nil:
		s.publishThread(t)
	case !errors.Is(err, models.ErrNotFound):
		s.log.WarnContext(ctx, "failed to read a changed thread", slog.Any("error", err))
	}
}

type threadStatus struct {
	ThreadID string `json:"thread_id"`
	Status   string `json:"status"`
	Rev      int64  `json:"rev"`
}

// SetStatus closes or reopens a thread: status is models.StatusActive or models.StatusClosed. It emits "thread_updated" to agents and
// "thread_status" to the thread's room.
func (s *Service) SetStatus(ctx context.Context, a Actor, threadID, status string) error {
	if err := teamOnly(a); err != nil {
		return err
	}
	if err := a.reach(threadID); err != nil {
		return err
	}
	if status != models.StatusActive && status != models.StatusClosed {
		return apperr.Invalid("status", "status must be active or closed.")
	}
	t, err := s.store.Thread(ctx, threadID)
	if err != nil {
		return Public(err)
	}
	if t.Status == status {
		return nil
	}
	updated, err := s.store.UpdateThread(ctx, threadID, models.ThreadPatch{Status: &status, StatusBy: a.AgentID})
	if err != nil {
		return Public(err)
	}
	event := audit.ThreadReopen
	if status == models.StatusClosed {
		event = audit.ThreadClose
	}
	s.logAudit(ctx, a, audit.Event{Name: event, ThreadID: threadID})
	s.publishStatus(updated)
	return nil
}

func (s *Service) publishStatus(t models.Thread) {
	s.publisher.Publish(Publication{ThreadID: t.ID, Rev: t.Rev, State: true, Thread: []*Event{{"thread_status", threadStatus{t.ID, t.Status, t.Rev}}}})
	s.publishThread(t)
}
