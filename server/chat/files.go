package chat

import (
	"context"
	"errors"
	"log/slog"
	"strings"

	"sohbet/models"
)

// claim holds the file of a message that is going to be stored. What a visitor names must be stored, and no other thread's; an
// address of elsewhere that an agent names becomes part of the text, so that no page loads it.
func (s *Service) claim(ctx context.Context, a Actor, p *Post) (Attachment, error) {
	if p.FileURL == "" || s.files == nil {
		return Attachment{}, nil
	}
	file, err := s.files.Claim(ctx, p.FileURL, p.ThreadID, a.Role != Visitor)
	var known *Error
	switch {
	case err == nil:
		if file.Kind != "" { // clients may take a sound for a picture by its name
			p.Type = file.Kind
		}
		return file, nil
	case !errors.As(err, &known) || known.Code != CodeNotFound:
		return Attachment{}, s.notSaved(ctx, err)
	case a.Role == Visitor || ours(p.FileURL):
		return Attachment{}, invalid("file_url", "This file is not stored here, or not any more. Please send it again.")
	}
	p.Text, p.Type, p.FileURL = withLink(p.Text, p.FileURL), textType, ""
	return Attachment{}, p.check()
}

// ours reports whether an address is of this server's own files.
func ours(address string) bool { return strings.HasPrefix(address, "/") }

// below gives the message's files, if they are this server's own, the addresses that browsers have for them. They are stored without
// the path, which may change.
func (m *Message) below(base string) {
	for _, address := range []*string{&m.FileURL, &m.FilePath, &m.Thumb} {
		if ours(*address) {
			*address = base + *address
		}
	}
}

// withLink is a caption with the address that it belongs to.
func withLink(caption, address string) string {
	if strings.TrimSpace(caption) == "" {
		return address
	}
	return caption + "\n" + address
}

func (s *Service) wireOne(ctx context.Context, m models.Message) Message {
	return s.wire(ctx, []models.Message{m})[0]
}

// wire gives stored messages the form that clients know, with what is known of the files that they name. One that names a file of
// elsewhere is a text with its address.
func (s *Service) wire(ctx context.Context, messages []models.Message) []Message {
	out := make([]Message, len(messages))
	var urls []string
	for i, m := range messages {
		out[i] = Wire(m)
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
	if err != nil { // the messages are what was asked for
		s.log.LogAttrs(ctx, slog.LevelWarn, "files of messages are shown without their names", slog.Any("error", err))
		return out
	}
	for i := range out {
		m := &out[i]
		file, stored := known[m.FileURL]
		m.Attachment = file
		if m.FileURL != "" && !stored && !ours(m.FileURL) { // visitors once could name any address
			m.ContentText = withLink(m.ContentText, m.FileURL)
			m.ContentType, m.Type, m.FileURL, m.FilePath = textType, textType, "", ""
		}
	}
	return out
}
