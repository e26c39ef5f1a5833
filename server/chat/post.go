package chat

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"sohbet/models"
	"sohbet/models/names"
	"sohbet/server/apperr"
)

// queueWait is how long a message may wait for space in the store's queue before its sender gets an error.
const queueWait = 10 * time.Second

// PostAsync validates a message, queues it for storing and returns. done then runs once: with the message after it was committed and
// published, or with the error that prevented storing it. For messages posted by one goroutine done runs in order. done must not block.
//
// A returned error means that nothing was queued and done will not run.
func (s *Service) PostAsync(ctx context.Context, a Actor, p Post, done func(Message, error)) error {
	if p.ThreadID == "" {
		p.ThreadID, _ = a.Threads.Only()
	}
	if err := a.reach(p.ThreadID); err != nil {
		return err
	}
	if err := s.admit(ctx, a, p.ThreadID); err != nil {
		return err
	}
	if stored, found := strings.CutPrefix(p.FileURL, s.base); found && ours(stored) {
		p.FileURL = stored
	}
	if err := p.check(); err != nil {
		return err
	}
	if a.Role == Visitor {
		if ok, wait := s.messages.Allow(p.ThreadID, a.Address); !ok {
			return apperr.Limited(wait)
		}
	}
	if err := s.mayStore(ctx, a, p.ThreadID, p.Text, p.FileURL); err != nil {
		return err
	}
	file, err := s.claim(ctx, a, &p)
	if err != nil {
		return err
	}
	m := models.NewMessage{
		ThreadID: p.ThreadID, ClientID: p.ClientID, ContentText: p.Text, ContentType: p.Type,
		FilePath: p.FileURL, FileURL: p.FileURL, SenderType: string(a.Role), AgentID: a.AgentID, CreatedAt: s.now(),
	}
	if a.Role == Visitor {
		if a.SocketID != "" {
			// An agent may have deleted the thread meanwhile; the visitor's message then creates it again. Over HTTP no thread was
			// joined, so an unknown id does not create a thread.
			profile, _ := a.Threads.profile(p.ThreadID)
			m.OpenThread = profile.thread(p.ThreadID, a)
		} else if err := s.store.RecordAddress(ctx, p.ThreadID, a.Address); err != nil && !errors.Is(err, models.ErrNotFound) {
			s.log.WarnContext(ctx, "failed to store an address", slog.Any("error", err))
		}
	}
	ctx, cancel := context.WithTimeout(ctx, queueWait)
	defer cancel()
	err = s.store.Append(ctx, m, func(r models.Appended, err error) { s.posted(ctx, a, file, r, err, done) })
	if err != nil {
		return s.notSaved(ctx, err)
	}
	return nil
}

// posted runs in the store's delivery goroutine, so that messages are published in commit order.
func (s *Service) posted(ctx context.Context, a Actor, file Attachment, r models.Appended, err error, done func(Message, error)) {
	if err != nil {
		done(Message{}, s.notSaved(ctx, err))
		return
	}
	m := ToWire(r.Message)
	m.Agent = s.reference(r.Message.AgentID)
	m.Attachment = file
	m.below(s.base)
	if r.Duplicate {
		s.repeated(a, r, m, func() { done(m, nil) })
		return
	}
	s.accepted.Add(1)
	if r.Opened {
		s.announceThread(r.Thread, "")
	}
	if r.Reopened {
		s.publishStatus(r.Thread)
	}
	p := announcement(r.Message, r.Follows, m, r.Thread)
	p.Except, p.Then = a.SocketID, func() { done(m, nil) }
	s.publisher.Publish(p)
	if r.Assigned {
		s.logAssigned(ctx, a, r.Thread.ID, r.Thread.AssigneeID)
	}
	if (r.Waits || r.Assigned) && !r.Reopened {
		s.publishThread(r.Thread)
	}
	if a.Role == Telegram && a.AgentID != 0 && s.wrote != nil {
		s.wrote(a.AgentID)
	}
	if a.Role == Visitor && s.notifier != nil {
		s.notifier.Notify(Notice{ThreadID: r.Thread.ID, DisplayName: r.Thread.DisplayName, Preview: noticeText(r.Message), ContentType: r.Message.ContentType, To: s.answering(r.Thread)})
	}
}

// repeated answers a message that was stored before. It is published again, because the process that stored it may have crashed before
// publishing it, or the outcome of its commit was unknown; the broker does not deliver it to sockets that already received it.
func (s *Service) repeated(a Actor, r models.Appended, m Message, then func()) {
	p := announcement(r.Message, -1, m, r.Thread)
	p.Except, p.Then = a.SocketID, then
	s.publisher.Publish(p)
}

func (s *Service) notSaved(ctx context.Context, err error) error {
	e := saveFailed(err)
	if e.Code == apperr.CodeSaveFailed {
		level := slog.LevelError
		if errors.Is(e.Err, models.ErrUnavailable) { // the store logs an outage once, not for each message
			level = slog.LevelDebug
		}
		s.log.Log(ctx, level, "message not saved", slog.Any("error", e.Err))
	}
	return e
}

// Post is like PostAsync and waits for the outcome. If ctx ends first the message may still be stored: sending it again with the same
// ClientID is safe.
func (s *Service) Post(ctx context.Context, a Actor, p Post) (Message, error) {
	type outcome struct {
		m   Message
		err error
	}
	result := make(chan outcome, 1)
	if err := s.PostAsync(ctx, a, p, func(m Message, err error) { result <- outcome{m, err} }); err != nil {
		return Message{}, err
	}
	select {
	case r := <-result:
		return r.m, r.err
	case <-ctx.Done():
		return Message{}, ctx.Err()
	}
}

// thread returns the thread to open for a visitor with this profile.
func (p Profile) thread(id string, a Actor) *models.NewThread {
	name := names.OfVisitor(p.DisplayName, p.Locale) // empty for a visitor who resumed a thread that was deleted afterwards
	return &models.NewThread{
		ID: id, DisplayName: name, PhoneNumber: p.PhoneNumber, PageURL: p.PageURL, PageTitle: p.PageTitle, Locale: p.Locale,
		Browser: a.Browser, Platform: a.Platform, Address: a.Address,
	}
}

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
	case strings.ContainsRune(p.ClientID, 0):
		return apperr.Invalid("client_id", "client_id holds a NUL character, which cannot be stored.")
	case strings.ContainsRune(p.Text, 0):
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
