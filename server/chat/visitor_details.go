package chat

import (
	"context"

	"sohbet/models"
)

// VisitorDetails are the details about a visitor that agents see.
type VisitorDetails struct {
	Browser     string          `json:"browser"`  // a name such as "Firefox 140"; "" = unknown
	Platform    string          `json:"platform"` // a name such as "Android"; "" = unknown
	Locale      string          `json:"locale"`
	PageURL     string          `json:"page_url"`
	PageTitle   string          `json:"page_title"`
	FirstSeen   Time            `json:"first_seen"` // in this or an earlier thread
	DisplayName string          `json:"display_name"`
	PhoneNumber string          `json:"phone_number"`
	Email       string          `json:"email"`
	Identity    *Identity       `json:"identity"`   // null = no signed identity
	Sessions    int64           `json:"talks"`      // number of sessions, in this and earlier threads
	BlockedBy   *AgentReference `json:"blocked_by"` // null = not blocked, or by the team without saying who
	Earlier     []Earlier       `json:"earlier"`    // their other threads, most recent activity first, at most models.MaxEarlier
}

// Identity is a visitor's user id on the embedding site.
type Identity struct {
	ID       string `json:"id"`
	Verified bool   `json:"verified"`
}

// Earlier is another thread of the same person.
type Earlier struct {
	ID           string `json:"id"`
	CreatedAt    Time   `json:"created_at"`
	LastActivity Time   `json:"last_activity"`
	LastMessage  string `json:"last_message"`
	MessageCount int64  `json:"message_count"`
	Status       string `json:"status"`
	Rating       int64  `json:"rating"`

	LastMessageTime *Time `json:"last_message_time"`
}

// VisitorDetails returns the details about the visitor of a thread. Other threads are included if they have the same identity, phone number or
// e-mail address; only the identity is verified.
func (s *Service) VisitorDetails(ctx context.Context, a Actor, threadID string) (VisitorDetails, error) {
	t, err := s.watched(ctx, a, threadID)
	if err != nil {
		return VisitorDetails{}, err
	}
	p, err := s.store.Person(ctx, t)
	if err != nil {
		return VisitorDetails{}, Public(err)
	}
	f := VisitorDetails{
		Browser: t.Browser, Platform: t.Platform, Locale: t.Locale, PageURL: t.PageURL, PageTitle: t.PageTitle, FirstSeen: Time(p.FirstSeen),
		DisplayName: t.DisplayName, PhoneNumber: t.PhoneNumber, Email: t.Email, Sessions: p.Sessions, Earlier: make([]Earlier, len(p.Earlier)),
	}
	if p.ExternalID != "" {
		f.Identity = &Identity{ID: p.ExternalID, Verified: true}
	}
	if t.Blocked {
		by, err := s.store.BlockedBy(ctx, threadID)
		if err != nil {
			return VisitorDetails{}, Public(err)
		}
		f.BlockedBy = s.reference(by)
	}
	for i, e := range p.Earlier {
		f.Earlier[i] = Earlier{
			ID: e.ID, CreatedAt: Time(e.CreatedAt), LastActivity: Time(e.LastActivity), LastMessage: e.LastMessage,
			MessageCount: e.MessageCount, Status: e.Status, Rating: e.Rating, LastMessageTime: optional(e.LastMessageAt),
		}
	}
	return f, nil
}

// watched returns a thread after checking that the actor is an agent.
func (s *Service) watched(ctx context.Context, a Actor, threadID string) (models.Thread, error) {
	if err := agentOnly(a); err != nil {
		return models.Thread{}, err
	}
	if err := a.reach(threadID); err != nil {
		return models.Thread{}, err
	}
	t, err := s.store.Thread(ctx, threadID)
	return t, publicOrNil(err)
}
