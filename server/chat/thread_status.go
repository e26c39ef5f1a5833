package chat

import (
	"context"
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"

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
	if _, err := s.store.UpdateThread(ctx, threadID, models.ThreadPatch{Status: &status}); err != nil {
		return Public(err)
	}
	u := threadUpdated{ID: threadID, Status: status}
	if t.WaitingSince != nil { // closing a thread ends the visitor's wait
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
		return s.toWireOne(ctx, old), nil
	}
	if err := s.mayStore(ctx, a, threadID, text); err != nil {
		return Message{}, err
	}
	m, err := s.store.EditMessage(ctx, threadID, messageID, text, s.now())
	if err != nil {
		return Message{}, s.notSaved(ctx, err)
	}
	message := s.toWireOne(ctx, m)
	edited := []*Event{{"message_edited", message}}
	s.publisher.Publish(Publication{ThreadID: threadID, Thread: edited, Agents: edited})
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
	m, err := s.store.SetReaction(ctx, threadID, messageID, reaction)
	if err != nil {
		return Public(err)
	}
	reacted := []*Event{{"message_reaction", s.toWireOne(ctx, m)}}
	s.publisher.Publish(Publication{ThreadID: threadID, Thread: reacted, Agents: reacted})
	return nil
}
