package chat

import (
	"context"
	"errors"
	"log/slog"
	"strings"

	"sohbet/models"
	"sohbet/server/apperr"
)

// claim claims the file of a message that is about to be stored. A file sent by a visitor must be stored here and belong to no other
// thread; an external URL sent by an agent is appended to the text, so that no page loads it.
func (s *Service) claim(ctx context.Context, a Actor, p *Post) (Attachment, error) {
	if p.FileURL == "" || s.files == nil {
		return Attachment{}, nil
	}
	file, err := s.files.Claim(ctx, p.FileURL, p.ThreadID, a.Role != Visitor)
	var known *apperr.Error
	switch {
	case err == nil:
		if file.Kind != "" { // the stored kind replaces the client's guess, which is based on the file name
			p.Type = file.Kind
		}
		return file, nil
	case !errors.As(err, &known) || known.Code != apperr.CodeNotFound:
		return Attachment{}, s.notSaved(ctx, err)
	case a.Role == Visitor || ours(p.FileURL):
		return Attachment{}, apperr.Invalid("file_url", "This file is not stored here, or not any more. Please send it again.")
	}
	p.Text, p.Type, p.FileURL = withLink(p.Text, p.FileURL), textType, ""
	return Attachment{}, p.check()
}

// ours reports whether a URL refers to a file of this server.
func ours(address string) bool { return strings.HasPrefix(address, "/") }

// below prefixes the message's local file URLs with the base path for browsers. They are stored without it, because it may change.
func (m *Message) below(base string) {
	for _, address := range []*string{&m.FileURL, &m.FilePath, &m.Thumb} {
		if ours(*address) {
			*address = base + *address
		}
	}
}

// withLink returns a caption followed by the URL it belongs to.
func withLink(caption, address string) string {
	if strings.TrimSpace(caption) == "" {
		return address
	}
	return caption + "\n" + address
}

func (s *Service) toWireOne(ctx context.Context, m models.Message) Message {
	return s.toWire(ctx, []models.Message{m})[0]
}

// toWireFor is toWire for one reader: agents also see who edited a message.
func (s *Service) toWireFor(ctx context.Context, a Actor, messages []models.Message) []Message {
	out := s.toWire(ctx, messages)
	if a.Role != Visitor {
		for i, m := range messages {
			out[i].EditedBy = s.reference(m.EditedBy)
		}
	}
	return out
}

// toWire converts stored messages to wire format, with the metadata of their files. A message with an external file becomes a text with
// the URL.
func (s *Service) toWire(ctx context.Context, messages []models.Message) []Message {
	out := make([]Message, len(messages))
	var urls []string
	for i, m := range messages {
		out[i] = ToWire(m)
		out[i].Agent = s.reference(m.AgentID)
		if m.FileURL != "" {
			urls = append(urls, m.FileURL)
		}
	}
	defer func() {
		for i := range out {
			out[i].below(s.base)
		}
	}()
	if s.files == nil || len(urls) == 0 {
		return out
	}
	known, err := s.files.Describe(ctx, urls)
	if err != nil { // the messages are returned anyway
		s.log.LogAttrs(ctx, slog.LevelWarn, "failed to read file metadata; messages are sent without it", slog.Any("error", err))
		return out
	}
	for i := range out {
		m := &out[i]
		file, stored := known[m.FileURL]
		m.Attachment = file
		if m.FileURL != "" && !stored && !ours(m.FileURL) { // earlier versions let visitors send any URL
			m.ContentText = withLink(m.ContentText, m.FileURL)
			m.ContentType, m.Type, m.FileURL, m.FilePath = textType, textType, "", ""
		}
	}
	return out
}

// Attachment is the metadata of a file that a message refers to.
type Attachment struct {
	Kind   string `json:"-"`                   // the content type of messages with this file; "" = unknown
	Name   string `json:"file_name,omitempty"` // name given by the sender
	Type   string `json:"file_type,omitempty"` // media type
	Size   int64  `json:"file_size,omitempty"` // bytes
	Thumb  string `json:"thumb_url,omitempty"`
	Width  int    `json:"width,omitempty"` // pixels of an image
	Height int    `json:"height,omitempty"`
}

// Files is the part of the file service that chat uses.
type Files interface {
	// Claim records that a message of a thread is about to refer to a URL. It fails with apperr.CodeNotFound unless that is a stored file not
	// yet referred to by another thread; shared allows a file of another thread.
	Claim(ctx context.Context, url, threadID string, shared bool) (Attachment, error)
	// Describe returns the metadata of files by URL. URLs missing from the result are not stored.
	Describe(ctx context.Context, urls []string) (map[string]Attachment, error)
}
