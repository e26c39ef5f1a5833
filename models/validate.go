package models

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"sohbet/models/encryption"
)

// checkText refuses what PostgreSQL would refuse (overlong text, invalid UTF-8, NUL), so that an invalid row is found before it joins a
// batch and both databases behave the same.
func checkText(field, value string, maxRunes int) error {
	if len(value) > maxRunes && utf8.RuneCountInString(value) > maxRunes {
		return &InvalidError{Field: field, Reason: fmt.Sprintf("longer than %d characters", maxRunes)}
	}
	if !utf8.ValidString(value) {
		return &InvalidError{Field: field, Reason: "not valid UTF-8"}
	}
	if strings.IndexByte(value, 0) >= 0 {
		return &InvalidError{Field: field, Reason: "contains a NUL character"}
	}
	return nil
}

func checkThreadID(id string) error {
	if id == "" {
		return &InvalidError{Field: "thread_id", Reason: "missing"}
	}
	return checkText("thread_id", id, MaxThreadID)
}

func (n NewThread) check() error {
	for _, err := range [...]error{
		checkThreadID(n.ID),
		checkText("display_name", n.DisplayName, MaxDisplayName),
		checkText("phone_number", n.PhoneNumber, MaxPhoneNumber),
		checkText("page_url", n.PageURL, MaxPageURL),
		checkText("locale", n.Locale, MaxLocale),
		checkText("page_title", n.PageTitle, MaxPageTitle),
		checkText("browser", n.Browser, MaxAgentWord),
		checkText("platform", n.Platform, MaxAgentWord),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

// prepare fills in defaults, checks every column and encrypts the text, outside of any transaction.
func (m *NewMessage) prepare(c *encryption.Cipher) error {
	if m.ContentType == "" {
		m.ContentType = "text"
	}
	m.CreatedAt = stamp(m.CreatedAt)
	if m.SenderType == "" {
		return &InvalidError{Field: "sender_type", Reason: "missing"}
	}
	for _, err := range [...]error{
		checkThreadID(m.ThreadID),
		checkText("client_id", m.ClientID, MaxClientID),
		checkText("content_text", m.ContentText, MaxContentText),
		checkText("content_type", m.ContentType, MaxKind),
		checkText("file_path", m.FilePath, MaxFileURL),
		checkText("file_url", m.FileURL, MaxFileURL),
		checkText("sender_type", m.SenderType, MaxKind),
	} {
		if err != nil {
			return err
		}
	}
	if m.OpenThread != nil {
		open := *m.OpenThread
		open.ID = m.ThreadID
		m.OpenThread = &open
		if err := open.check(); err != nil {
			return err
		}
	}
	return m.seal(c)
}

func (p ThreadPatch) check() error {
	for _, f := range [...]struct {
		name  string
		value *string
		max   int
	}{
		{"display_name", p.DisplayName, MaxDisplayName},
		{"phone_number", p.PhoneNumber, MaxPhoneNumber},
		{"page_url", p.PageURL, MaxPageURL},
		{"locale", p.Locale, MaxLocale},
		{"page_title", p.PageTitle, MaxPageTitle},
		{"email", p.Email, MaxEmail},
		{"browser", p.Browser, MaxAgentWord},
		{"platform", p.Platform, MaxAgentWord},
		{"rating_comment", p.RatingComment, MaxComment},
	} {
		if f.value == nil {
			continue
		}
		if err := checkText(f.name, *f.value, f.max); err != nil {
			return err
		}
	}
	if p.Rating != nil && (*p.Rating < 0 || *p.Rating > MaxRating) {
		return &InvalidError{Field: "rating", Reason: "not between 0 and 5"}
	}
	if p.Status != nil && *p.Status != StatusActive && *p.Status != StatusClosed {
		return &InvalidError{Field: "status", Reason: "neither active nor closed"}
	}
	return nil
}

// cut truncates s to at most n runes.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}
