package chat

import (
	"net/url"
	"strings"
	"time"

	"sohbet/models"
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
	Rev         int64  `json:"rev,omitempty"`      // the thread's at the last edit or reaction

	Agent    *AgentReference `json:"agent"`               // who wrote it; null for visitors, and for the team without saying who
	EditedBy *AgentReference `json:"edited_by,omitempty"` // never sent to visitors
	Attachment
}

// AgentReference is docs/protocol.md, "Agent reference object": all that visitors may know of an agent.
type AgentReference struct {
	ID        int64  `json:"id"`
	Name      string `json:"name"`
	AvatarURL string `json:"avatar_url"`
}

// reference returns a reference to an agent; nil for the team without saying who.
func (s *Service) reference(id models.AgentID) *AgentReference {
	if id == 0 {
		return nil
	}
	a, found := s.store.Agent(int64(id))
	if !found {
		return nil
	}
	return new(ReferTo(a, s.base))
}

// ReferTo returns what others may know of an agent; base is the URL path prefix of this server's files.
func ReferTo(a models.Agent, base string) AgentReference {
	if a.AvatarURL != "" {
		a.AvatarURL = base + a.AvatarURL
	}
	return AgentReference{ID: a.ID, Name: a.Name, AvatarURL: a.AvatarURL}
}

// ToWire converts a stored message to wire format.
func ToWire(m models.Message) Message {
	w := Message{
		ID: m.ID, ClientID: m.ClientID, ThreadID: m.ThreadID,
		SenderType: m.SenderType, Sender: m.SenderType,
		ContentType: m.ContentType, Type: m.ContentType,
		ContentText: m.ContentText, FileURL: m.FileURL, FilePath: m.FileURL,
		CreatedAt: Time(m.CreatedAt), Reaction: m.Reaction, Rev: m.Rev,
	}
	if m.EditedAt != nil {
		at := Time(*m.EditedAt)
		w.EditedAt = &at
	}
	return w
}

const (
	textType    = "text"
	previewSize = 50 // runes
)

var contentTypes = []string{textType, "image", "audio", "file"}

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
