package chat

import (
	"context"
	"net/mail"
	"regexp"
	"strings"
	"sync"
	"unicode/utf8"

	"sohbet/assets/locales"
	"sohbet/models"
	"sohbet/server/apperr"
)

// mailDomain matches two or more labels of letters, digits and hyphens, in any script.
var mailDomain = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^([\p{L}\p{N}]([\p{L}\p{N}-]{0,61}[\p{L}\p{N}])?\.)+[\p{L}\p{N}]([\p{L}\p{N}-]{0,61}[\p{L}\p{N}])?$`)
})

// validEmail reports whether a mailbox has the form of RFC 5321 §4.1.2, with a domain that can be on the internet.
func validEmail(email string) bool {
	at := strings.LastIndexByte(email, '@')
	if at < 1 || at > 64 || len(email) > models.MaxEmail || !utf8.ValidString(email) || !mailDomain().MatchString(email[at+1:]) {
		return false
	}
	parsed, err := mail.ParseAddress(email)
	return err == nil && parsed.Name == "" && parsed.Address == email
}

// Contact stores a visitor's e-mail address, phone number or both. It emits "thread_updated" to agents.
func (s *Service) Contact(ctx context.Context, a Actor, threadID, email, phone string) error {
	if err := s.visitorOnly(ctx, a, threadID); err != nil {
		return err
	}
	email, phone = strings.TrimSpace(email), strings.TrimSpace(phone)
	var patch models.ThreadPatch
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
		patch.Email = &email
	}
	if phone != "" {
		patch.PhoneNumber = &phone
	}
	if err := s.mayStore(ctx, a, threadID, email, phone); err != nil {
		return err
	}
	t, err := s.store.UpdateThread(ctx, threadID, patch)
	if err != nil {
		return s.notSaved(ctx, err)
	}
	s.publishThread(t)
	s.confirmContact(ctx, a, t, email, phone)
	return nil
}

// confirmContact posts a system message with the contact details that were stored, in the visitor's language. A failure is only logged.
func (s *Service) confirmContact(ctx context.Context, a Actor, t models.Thread, email, phone string) {
	if ok, _ := s.messages.Allow(t.ID, a.Address); !ok {
		return
	}
	how := strings.Trim(email+" · "+phone, " ·")
	m := models.NewMessage{
		ThreadID: t.ID, ContentText: locales.Text(t.Locale, "system.contact", "how", how), ContentType: textType,
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
