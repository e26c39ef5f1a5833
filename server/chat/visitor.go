package chat

import (
	"context"
	"log/slog"
	"net/mail"
	"regexp"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"sohbet/models"
	"sohbet/server/apperr"
)

// visitorOnly returns an error unless the actor is the visitor of the thread.
func (s *Service) visitorOnly(a Actor, threadID string) error {
	if a.Role != Visitor {
		return apperr.Unauthorized("Only the visitor can do this.")
	}
	if err := a.reach(threadID); err != nil {
		return err
	}
	return s.admit(a, threadID)
}

// mailDomain matches two or more labels of letters, digits and hyphens, in any script.
var mailDomain = regexp.MustCompile(`^([\p{L}\p{N}]([\p{L}\p{N}-]{0,61}[\p{L}\p{N}])?\.)+[\p{L}\p{N}]([\p{L}\p{N}-]{0,61}[\p{L}\p{N}])?$`)

// validEmail reports whether a mailbox has the form of RFC 5321 §4.1.2, with a domain that can be on the internet.
func validEmail(email string) bool {
	at := strings.LastIndexByte(email, '@')
	if at < 1 || at > 64 || len(email) > models.MaxEmail || !utf8.ValidString(email) || !mailDomain.MatchString(email[at+1:]) {
		return false
	}
	parsed, err := mail.ParseAddress(email)
	return err == nil && parsed.Name == "" && parsed.Address == email
}

// Contact stores a visitor's e-mail address, phone number or both. It emits "thread_updated" to agents.
func (s *Service) Contact(ctx context.Context, a Actor, threadID, email, phone string) error {
	if err := s.visitorOnly(a, threadID); err != nil {
		return err
	}
	email, phone = strings.TrimSpace(email), strings.TrimSpace(phone)
	u, patch := threadUpdated{ID: threadID}, models.ThreadPatch{}
	switch {
	case email == "" && phone == "":
		return apperr.Invalid("email", "Please leave an e-mail address or a phone number.")
	case email != "" && !validEmail(email):
		return apperr.Invalid("email", "This is not an e-mail address.")
	case utf8.RuneCountInString(phone) > models.MaxPhoneNumber:
		return apperr.Invalid("phone_number", "The phone number is too long: it may have 20 characters at most.")
	case strings.ContainsRune(phone, 0) || !utf8.ValidString(phone):
		return apperr.Invalid("phone_number", "The phone number holds a character that cannot be stored.")
	}
	if email != "" {
		u.Email, patch.Email = &email, &email
	}
	if phone != "" {
		u.PhoneNumber, patch.PhoneNumber = &phone, &phone
	}
	if err := s.mayStore(ctx, a, threadID, email, phone); err != nil {
		return err
	}
	t, err := s.store.UpdateThread(ctx, threadID, patch)
	if err != nil {
		return s.notSaved(ctx, err)
	}
	s.publishUpdated(u, a.SocketID)
	s.confirmContact(ctx, a, t, email, phone)
	return nil
}

// confirmContact posts a system message with the contact details that were stored, in the visitor's language. A failure is only logged.
func (s *Service) confirmContact(ctx context.Context, a Actor, t models.Thread, email, phone string) {
	if s.text == nil {
		return
	}
	if ok, _ := s.messages.Allow(t.ID, a.Address); !ok {
		return
	}
	how := strings.Trim(email+" · "+phone, " ·")
	m := models.NewMessage{
		ThreadID: t.ID, ContentText: strings.ReplaceAll(s.text(t.Locale, "system.contact"), "{how}", how), ContentType: textType,
		SenderType: string(System), CreatedAt: s.now(),
	}
	ctx, cancel := context.WithTimeout(ctx, queueWait)
	defer cancel()
	err := s.store.Append(ctx, m, func(r models.Appended, err error) {
		s.posted(ctx, Actor{Role: System}, Attachment{}, r, err, func(Message, error) {})
	})
	if err != nil {
		_ = s.notSaved(ctx, err) // logs the error
	}
}

// Rate stores a visitor's rating: a score from 1 to models.MaxRating, and an optional comment. A later rating replaces it. It emits
// "thread_updated" to agents.
func (s *Service) Rate(ctx context.Context, a Actor, threadID string, score int64, comment string) error {
	if err := s.visitorOnly(a, threadID); err != nil {
		return err
	}
	switch {
	case score < 1 || score > models.MaxRating:
		return apperr.Invalid("score", "score must be a whole number from 1 to 5.")
	case utf8.RuneCountInString(comment) > models.MaxComment:
		return apperr.Invalid("comment", "The comment is too long: it may have 1,000 characters at most.")
	case strings.ContainsRune(comment, 0):
		return apperr.Invalid("comment", "The comment holds a NUL character, which cannot be stored.")
	}
	if err := s.mayStore(ctx, a, threadID, comment); err != nil {
		return err
	}
	if _, err := s.store.UpdateThread(ctx, threadID, models.ThreadPatch{Rating: &score, RatingComment: &comment}); err != nil {
		return s.notSaved(ctx, err)
	}
	s.publishUpdated(threadUpdated{ID: threadID, Rating: &score, RatingComment: &comment}, a.SocketID)
	return nil
}

// pageEvery is the minimum interval between stored page changes of a visitor.
const pageEvery = 5 * time.Second

// pages throttles page changes by socket and thread. Of the changes within an interval only the last is stored, at its end.
type pages struct {
	every   time.Duration
	mu      sync.Mutex
	waiting map[pageKey]*page // nil = none pending in this interval
}

type pageKey struct{ socket, thread string }

type page struct{ url, title, address string } // address: the visitor's network address

// Page stores the page a visitor is on, at most once per pageEvery and socket. It emits "thread_updated" to agents.
func (s *Service) Page(ctx context.Context, a Actor, threadID, address, title string) error {
	if err := s.visitorOnly(a, threadID); err != nil {
		return err
	}
	if address = webAddress(address); address == "" {
		return apperr.Invalid("page_url", "page_url must be an http or https address.")
	}
	p := page{url: address, title: pageTitle(title), address: a.Address}
	key := pageKey{a.SocketID, threadID}
	s.pages.mu.Lock()
	if _, busy := s.pages.waiting[key]; busy {
		s.pages.waiting[key] = &p
		s.pages.mu.Unlock()
		return nil
	}
	if s.pages.waiting == nil {
		s.pages.waiting = make(map[pageKey]*page)
	}
	s.pages.waiting[key] = nil
	s.pages.mu.Unlock()
	time.AfterFunc(s.pages.every, func() { s.laterPage(key) })
	return s.notePage(ctx, key, p)
}

// laterPage stores the pending page at the end of an interval, if there is one.
func (s *Service) laterPage(key pageKey) {
	s.pages.mu.Lock()
	p := s.pages.waiting[key]
	if p == nil {
		delete(s.pages.waiting, key)
		s.pages.mu.Unlock()
		return
	}
	s.pages.waiting[key] = nil
	s.pages.mu.Unlock()
	time.AfterFunc(s.pages.every, func() { s.laterPage(key) })
	ctx, cancel := context.WithTimeout(context.Background(), queueWait)
	defer cancel()
	if err := s.notePage(ctx, key, *p); err != nil {
		s.log.Debug("failed to store a visitor's page", slog.Any("error", err))
	}
}

func (s *Service) notePage(ctx context.Context, key pageKey, p page) error {
	t, err := s.store.Thread(ctx, key.thread)
	if err == nil && (t.PageURL != p.url || t.PageTitle != p.title) {
		if err := s.mayStore(ctx, Actor{Role: Visitor, Address: p.address}, key.thread, p.url, p.title); err != nil {
			return err
		}
		if _, err = s.store.UpdateThread(ctx, key.thread, models.ThreadPatch{PageURL: &p.url, PageTitle: &p.title}); err == nil {
			s.publishUpdated(threadUpdated{ID: key.thread, PageURL: &p.url, PageTitle: &p.title}, key.socket)
		}
	}
	if err != nil {
		return s.notSaved(ctx, err)
	}
	return nil
}
