package chat

import (
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"sohbet/models"
	"sohbet/server/apperr"
)

// Time is a time in wire format: RFC 3339, UTC, always with three digits of milliseconds.
type Time time.Time

// MarshalText implements encoding.TextMarshaler.
func (t Time) MarshalText() ([]byte, error) {
	return time.Time(t).UTC().AppendFormat(nil, "2006-01-02T15:04:05.000Z"), nil
}

// Message is docs/protocol.md, "Message object", aliases included.
type Message struct {
	ID          int64  `json:"id"`
	ClientID    string `json:"client_id"`
	ThreadID    string `json:"thread_id"`
	SenderType  string `json:"sender_type"`
	Sender      string `json:"sender"`
	ContentType string `json:"content_type"`
	Type        string `json:"type"`
	ContentText string `json:"content_text"`
	FileURL     string `json:"file_url"`
	FilePath    string `json:"file_path"`
	CreatedAt   Time   `json:"created_at"`
	EditedAt    *Time  `json:"edited_at,omitempty"`
	Reaction    string `json:"reaction,omitempty"` // the team's, an emoji
	Attachment
}

// ToWire converts a stored message to wire format.
func ToWire(m models.Message) Message {
	w := Message{
		ID: m.ID, ClientID: m.ClientID, ThreadID: m.ThreadID,
		SenderType: m.SenderType, Sender: m.SenderType,
		ContentType: m.ContentType, Type: m.ContentType,
		ContentText: m.ContentText, FileURL: m.FileURL, FilePath: m.FileURL,
		CreatedAt: Time(m.CreatedAt), Reaction: m.Reaction,
	}
	if m.EditedAt != nil {
		at := Time(*m.EditedAt)
		w.EditedAt = &at
	}
	return w
}

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
	LastSender      string `json:"last_sender"`
	LastType        string `json:"last_type"`
	MessageCount    int64  `json:"message_count"`
	UnreadCount     int64  `json:"unread_count"`
	Online          bool   `json:"online"`
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
}

func (s *Service) view(t models.Thread) ThreadView {
	v := ThreadView{
		ID: t.ID, UserID: t.UserID, DisplayName: t.DisplayName, PhoneNumber: t.PhoneNumber, Status: t.Status,
		CreatedAt: Time(t.CreatedAt), LastActivity: Time(t.LastActivity), LastActivityAt: Time(t.LastActivity),
		LastMessage: t.LastMessage, LastSender: t.LastSender, LastType: t.LastType, MessageCount: t.MessageCount, UnreadCount: t.UnreadCount,
		PageURL: t.PageURL, Locale: t.Locale, VisitorReadID: t.VisitorReadID,
		Blocked: s.store.Blocked(t.ID, ""), LastMessageTime: optional(t.LastMessageAt),
		VisitorReceivedID: t.VisitorReceivedID, WaitingSince: optional(t.WaitingSince),
		Email: t.Email, PageTitle: t.PageTitle, Rating: t.Rating, RatingComment: t.RatingComment,
	}
	return v
}

const (
	textType    = "text"
	previewSize = 50 // runes
)

var contentTypes = []string{textType, "image", "audio", "file"}

// ValidThreadID reports whether id is a thread id: a UUID in canonical lower-case form (RFC 9562 §4).
func ValidThreadID(id string) bool {
	u, err := uuid.Parse(id)
	return err == nil && u.String() == id
}

// newThreadID returns a random (version 4) UUID: the visitor's only credential.
func newThreadID() string { return uuid.NewString() }

// Post is a message to post. An empty Type means "text", or "file" if FileURL is set.
type Post struct {
	ThreadID, Text, Type, FileURL, ClientID string
}

// check validates a post and fills in its type.
func (p *Post) check() error {
	if p.Type == "" {
		p.Type = textType
		if p.FileURL != "" {
			p.Type = "file"
		}
	}
	switch {
	case !slices.Contains(contentTypes, p.Type):
		return apperr.Invalid("content_type", "content_type must be text, image, audio or file.")
	case utf8.RuneCountInString(p.ClientID) > models.MaxClientID:
		return apperr.Invalid("client_id", "client_id must have at most 64 characters.")
	case utf8.RuneCountInString(p.Text) > models.MaxContentText:
		return apperr.Invalid("content_text", "The message is too long: it may have 10,000 characters at most.")
	case strings.ContainsRune(p.Text, 0) || strings.ContainsRune(p.ClientID, 0):
		return apperr.Invalid("content_text", "The message holds a NUL character, which cannot be stored.")
	case p.Type == textType && strings.TrimSpace(p.Text) == "":
		return apperr.Invalid("content_text", "The message is empty.")
	case p.Type != textType && p.FileURL == "":
		return apperr.Invalid("file_url", "A message of this type needs a file_url.")
	case p.FileURL != "" && !loadable(p.FileURL):
		return apperr.Invalid("file_url", "file_url must be a file uploaded here, of at most 255 characters.")
	}
	return nil
}

// loadable reports whether a URL may be sent to browsers to load a file from: an upload of this server or http(s), never javascript: or
// the like.
func loadable(address string) bool {
	if len(address) > models.MaxFileURL || strings.ContainsFunc(address, func(r rune) bool { return r <= ' ' || r == '\\' }) {
		return false
	}
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	if u.Scheme == "" && u.Host == "" {
		return strings.HasPrefix(u.Path, "/uploads/") && !strings.Contains(u.Path, "..")
	}
	return (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.User == nil
}

// fit shortens or removes values that check would refuse, for a profile supplied by the embedding site: the visitor cannot correct it.
func (p *Profile) fit() {
	clean := func(text string) string {
		return strings.Join(strings.Fields(strings.ReplaceAll(strings.ToValidUTF8(text, ""), "\x00", " ")), " ")
	}
	p.DisplayName, p.PhoneNumber, p.Email = clean(p.DisplayName), clean(p.PhoneNumber), strings.TrimSpace(p.Email)
	if name := []rune(p.DisplayName); len(name) > models.MaxDisplayName {
		p.DisplayName = string(name[:models.MaxDisplayName])
	}
	if utf8.RuneCountInString(p.PhoneNumber) > models.MaxPhoneNumber {
		p.PhoneNumber = ""
	}
	if !validEmail(p.Email) {
		p.Email = ""
	}
}

// check normalizes a profile. Values that the visitor typed must be valid; values that the browser added are shortened or removed.
func (p *Profile) check(named bool) error {
	p.DisplayName = strings.Join(strings.Fields(p.DisplayName), " ")
	p.PhoneNumber = strings.TrimSpace(p.PhoneNumber)
	switch {
	case named && p.DisplayName == "":
		return apperr.Invalid("display_name", "Please tell us your name.")
	case utf8.RuneCountInString(p.DisplayName) > models.MaxDisplayName:
		return apperr.Invalid("display_name", "The name is too long: it may have 100 characters at most.")
	case utf8.RuneCountInString(p.PhoneNumber) > models.MaxPhoneNumber:
		return apperr.Invalid("phone_number", "The phone number is too long: it may have 20 characters at most.")
	case p.Email != "" && !validEmail(p.Email):
		return apperr.Invalid("email", "This is not an e-mail address.")
	case strings.ContainsRune(p.DisplayName+p.PhoneNumber, 0):
		return apperr.Invalid("display_name", "The name holds a character that cannot be stored.")
	}
	if named {
		p.DisplayName = models.VisitorName(p.DisplayName, p.Locale)
	}
	p.PageURL, p.PageTitle = webAddress(p.PageURL), pageTitle(p.PageTitle)
	if len(p.Locale) > models.MaxLocale || strings.ContainsRune(p.Locale, 0) {
		p.Locale = ""
	}
	return nil
}

// webAddress returns an http or https URL unchanged, and "" for anything else.
func webAddress(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || len(address) > models.MaxPageURL || !utf8.ValidString(address) {
		return ""
	}
	return address
}

// pageTitle returns a page's title as one line, truncated to the column width.
func pageTitle(title string) string {
	title = strings.Join(strings.Fields(strings.ReplaceAll(strings.ToValidUTF8(title, ""), "\x00", "")), " ")
	if runes := []rune(title); len(runes) > models.MaxPageTitle {
		title = string(runes[:models.MaxPageTitle-1]) + "…"
	}
	return title
}

// preview shortens a message for "new_message_notification".
func preview(m models.Message) string {
	text := oneLine(m.ContentText, previewSize)
	if text == "" && m.ContentType != textType {
		text = "[" + m.ContentType + "]"
	}
	return text
}

// noticeSize is how many runes of a message a push notification shows.
const noticeSize = 120

func noticeText(m models.Message) string { return oneLine(m.ContentText, noticeSize) }

// oneLine returns the beginning of a text as one line.
func oneLine(text string, size int) string {
	text = strings.Join(strings.Fields(text), " ")
	if runes := []rune(text); len(runes) > size {
		text = string(runes[:size-1]) + "…"
	}
	return text
}
