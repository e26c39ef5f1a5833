package chat

import (
	"context"
	"errors"
	"log/slog"

	"sohbet/models"
)

// claim holds a file for the message that is going to name it.
func (s *Service) claim(ctx context.Context, url string) (Attachment, error) {
	if url == "" || s.files == nil {
		return Attachment{}, nil
	}
	file, err := s.files.Claim(ctx, url)
	var known *Error
	if errors.As(err, &known) && known.Code == CodeNotFound {
		return Attachment{}, invalid("file_url", "This file is not stored here, or not any more. Please send it again.")
	}
	if err != nil {
		return Attachment{}, s.notSaved(ctx, err)
	}
	return file, nil
}

func (s *Service) wireOne(ctx context.Context, m models.Message) Message {
	return s.wire(ctx, []models.Message{m})[0]
}

// wire gives stored messages the form that clients know, with what is known of the files that they name.
func (s *Service) wire(ctx context.Context, messages []models.Message) []Message {
	out := make([]Message, len(messages))
	var urls []string
	for i, m := range messages {
		out[i] = Wire(m)
		if m.FileURL != "" {
			urls = append(urls, m.FileURL)
		}
	}
	if s.files == nil || len(urls) == 0 {
		return out
	}
	known, err := s.files.Describe(ctx, urls)
	if err != nil { // the messages are what was asked for
		s.log.LogAttrs(ctx, slog.LevelWarn, "files of messages are shown without their names", slog.Any("error", err))
		return out
	}
	for i := range out {
		out[i].Attachment = known[out[i].FileURL]
	}
	return out
}
