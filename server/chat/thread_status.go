package chat

import (
	"context"
	"encoding/json"
	"time"

	"sohbet/models"
	"sohbet/server/apperr"
)

// threadUpdated is the payload of "thread_updated". It contains only the fields that changed.
type threadUpdated struct {
	ID            string        `json:"id"`
	Status        string        `json:"status,omitempty"`
	DisplayName   *string       `json:"display_name,omitempty"`
	PhoneNumber   *string       `json:"phone_number,omitempty"`
	Email         *string       `json:"email,omitempty"`
	PageURL       *string       `json:"page_url,omitempty"`
	PageTitle     *string       `json:"page_title,omitempty"`
	Rating        *int64        `json:"rating,omitempty"`
	RatingComment *string       `json:"rating_comment,omitempty"`
	WaitingSince  *waitingSince `json:"waiting_since,omitempty"`
	UnreadCount   *int64        `json:"unread_count,omitempty"`
}

// waitingSince is a time, or null when no visitor message waits for an answer.
type waitingSince struct{ at *time.Time }

func (w waitingSince) MarshalJSON() ([]byte, error) { return json.Marshal(optional(w.at)) }

// optional converts a time that may be null.
func optional(at *time.Time) *Time {
	if at == nil {
		return nil
	}
	t := Time(*at)
	return &t
}

func (s *Service) publishUpdated(u threadUpdated, except string) {
	s.publisher.Publish(Publication{Except: except, Agents: []*Event{{"thread_updated", u}}})
}

type threadStatus struct {
	ThreadID string `json:"thread_id"`
	Status   string `json:"status"`
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
	updated, err := s.store.UpdateThread(ctx, threadID, models.ThreadPatch{Status: &status})
	if err != nil {
		return Public(err)
	}
	u := threadUpdated{ID: threadID, Status: status}
	if t.WaitingSince != nil && updated.WaitingSince == nil {
		u.WaitingSince = &waitingSince{}
	}
	s.publishStatus(u)
	return nil
}

func (s *Service) publishStatus(u threadUpdated) {
	s.publisher.Publish(Publication{
		ThreadID: u.ID, Thread: []*Event{{"thread_status", threadStatus{u.ID, u.Status}}},
		Agents: []*Event{{"thread_updated", u}},
	})
}
