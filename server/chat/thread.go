package chat

import (
	"github.com/google/uuid"

	"sohbet/models"
)

// ThreadView is docs/protocol.md, "Thread object".
type ThreadView struct {
	ID              string `json:"id"`
	UserID          int64  `json:"user_id"`
	DisplayName     string `json:"display_name"`
	PhoneNumber     string `json:"phone_number"`
	Status          string `json:"status"`
	CreatedAt       Time   `json:"created_at"`
	LastActivity    Time   `json:"last_activity"`
	LastActivityAt  Time   `json:"last_activity_at"`
	LastMessage     string `json:"last_message"`
	LastMessageTime *Time  `json:"last_message_time"`
	LastMessageID   int64  `json:"last_message_id"`
	LastSender      string `json:"last_sender"`
	LastType        string `json:"last_type"`
	MessageCount    int64  `json:"message_count"`
	UnreadCount     int64  `json:"unread_count"`
	Online          bool   `json:"online"`
	OnlineVersion   int64  `json:"online_version,omitempty"`
	PageURL         string `json:"page_url"`
	Locale          string `json:"locale"`
	VisitorReadID   int64  `json:"visitor_read_id"`
	Blocked         bool   `json:"blocked"`

	VisitorReceivedID int64  `json:"visitor_received_id"`
	WaitingSince      *Time  `json:"waiting_since"`
	Email             string `json:"email"`
	PageTitle         string `json:"page_title"`
	Rating            int64  `json:"rating"` // 0 = none
	RatingComment     string `json:"rating_comment"`
	Rev               int64  `json:"rev"`

	Assignee *AgentReference `json:"assignee"`
	StatusBy *AgentReference `json:"status_by"`
}

func (s *Service) view(t models.Thread) ThreadView {
	return ThreadView{
		ID: t.ID, UserID: t.UserID, DisplayName: t.DisplayName, PhoneNumber: t.PhoneNumber, Status: t.Status,
		CreatedAt: Time(t.CreatedAt), LastActivity: Time(t.LastActivity), LastActivityAt: Time(t.LastActivity),
		LastMessage: t.LastMessage, LastSender: t.LastSender, LastType: t.LastType, MessageCount: t.MessageCount, UnreadCount: t.UnreadCount,
		PageURL: t.PageURL, Locale: t.Locale, VisitorReadID: t.VisitorReadID,
		Blocked: t.Blocked, LastMessageTime: optional(t.LastMessageAt), LastMessageID: t.LastMessageID,
		VisitorReceivedID: t.VisitorReceivedID, WaitingSince: optional(t.WaitingSince),
		Email: t.Email, PageTitle: t.PageTitle, Rating: t.Rating, RatingComment: t.RatingComment, Rev: t.Rev, Assignee: s.reference(t.AssigneeID), StatusBy: s.reference(t.StatusBy),
	}
}

// ValidThreadID reports whether id is a thread id: a UUID in canonical lower-case form (RFC 9562 §4).
func ValidThreadID(id string) bool {
	u, err := uuid.Parse(id)
	return err == nil && u.String() == id
}

// newThreadID returns a random (version 4) UUID: the visitor's only credential.
func newThreadID() string { return uuid.NewString() }
