package chat

import (
	"context"

	"sohbet/models"
	"sohbet/server/audit"
)

// Facts are what is known of whoever a thread is with.
type Facts struct {
	Browser     string    `json:"browser"`  // a word such as "Firefox 140"; "" = not known
	Platform    string    `json:"platform"` // likewise "Android"
	Locale      string    `json:"locale"`
	PageURL     string    `json:"page_url"`
	PageTitle   string    `json:"page_title"`
	FirstSeen   Time      `json:"first_seen"` // in this thread or an earlier one
	DisplayName string    `json:"display_name"`
	PhoneNumber string    `json:"phone_number"`
	Email       string    `json:"email"`
	Identity    *Identity `json:"identity"` // null = nobody vouches for them
	Talks       int64     `json:"talks"`    // how often they began to talk, here and earlier
	Earlier     []Earlier `json:"earlier"`  // their other threads, newest activity first, at most models.MaxEarlier
}

// Identity is who a visitor is to the site that embeds the chat, by its word.
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

// Facts tells what is known of whoever a thread is with. Other threads are theirs by the same identity, phone number or e-mail
// address; only the first of these is proven.
func (s *Service) Facts(ctx context.Context, a Actor, threadID string) (Facts, error) {
	t, err := s.watched(ctx, a, threadID)
	if err != nil {
		return Facts{}, err
	}
	p, err := s.store.Person(ctx, t)
	if err != nil {
		return Facts{}, Public(err)
	}
	f := Facts{
		Browser: t.Browser, Platform: t.Platform, Locale: t.Locale, PageURL: t.PageURL, PageTitle: t.PageTitle, FirstSeen: Time(p.FirstSeen),
		DisplayName: t.DisplayName, PhoneNumber: t.PhoneNumber, Email: t.Email, Talks: p.Talks, Earlier: make([]Earlier, len(p.Earlier)),
	}
	if p.ExternalID != "" {
		f.Identity = &Identity{ID: p.ExternalID, Verified: true}
	}
	for i, e := range p.Earlier {
		f.Earlier[i] = Earlier{
			ID: e.ID, CreatedAt: Time(e.CreatedAt), LastActivity: Time(e.LastActivity), LastMessage: e.LastMessage,
			MessageCount: e.MessageCount, Status: e.Status, Rating: e.Rating, LastMessageTime: optional(e.LastMessageAt),
		}
	}
	return f, nil
}

// watched returns a thread to an agent.
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

// Export begins to hand a whole thread out: it returns the thread, and says so in the security log.
func (s *Service) Export(ctx context.Context, a Actor, threadID string) (ThreadView, error) {
	t, err := s.watched(ctx, a, threadID)
	if err != nil {
		return ThreadView{}, err
	}
	s.did(ctx, a, audit.ThreadExport)
	return s.view(t), nil
}
