package chat

import (
	"context"
	"log/slog"
	"strings"
	"time"
	"unicode/utf8"

	"sohbet/models"
)

type threadUpdated struct {
	ID     string `json:"id"`
	Status string `json:"status"`
}

type threadStatus struct {
	ThreadID string `json:"thread_id"`
	Status   string `json:"status"`
}

type teamStatus struct {
	Away bool `json:"away"`
}

// SetStatus closes a thread, or opens it again: status is models.StatusActive or models.StatusClosed. Agents hear
// "thread_updated", the thread's room "thread_status".
func (s *Service) SetStatus(ctx context.Context, a Actor, threadID, status string) error {
	if err := teamOnly(a); err != nil {
		return err
	}
	if err := a.reach(threadID); err != nil {
		return err
	}
	if status != models.StatusActive && status != models.StatusClosed {
		return invalid("status", "status must be active or closed.")
	}
	t, err := s.store.Thread(ctx, threadID)
	if err != nil {
		return Public(err)
	}
	if t.Status == status {
		return nil
	}
	if _, err := s.store.UpdateThread(ctx, threadID, models.ThreadPatch{Status: &status}); err != nil {
		return Public(err)
	}
	s.tellStatus(threadID, status)
	return nil
}

func (s *Service) tellStatus(threadID, status string) {
	s.publisher.Publish(Publication{
		ThreadID: threadID, Thread: []*Event{{"thread_status", threadStatus{threadID, status}}},
		Agents: []*Event{{"thread_updated", threadUpdated{threadID, status}}},
	})
}

// Edit gives a message of the team a new text. The thread's room and all agents hear "message_edited" with the message.
// What a visitor wrote is theirs.
func (s *Service) Edit(ctx context.Context, a Actor, threadID string, messageID int64, text string) (Message, error) {
	if err := teamOnly(a); err != nil {
		return Message{}, err
	}
	if err := a.reach(threadID); err != nil {
		return Message{}, err
	}
	old, err := s.store.Message(ctx, messageID)
	if err == nil && old.ThreadID != threadID {
		err = models.ErrNotFound
	}
	if err != nil {
		return Message{}, Public(err)
	}
	switch {
	case old.SenderType != string(Agent) && old.SenderType != string(Telegram):
		return Message{}, unauthorized("Only messages of the team can be changed.")
	case utf8.RuneCountInString(text) > models.MaxContentText:
		return Message{}, invalid("content_text", "The message is too long: it may have 10,000 characters at most.")
	case strings.ContainsRune(text, 0):
		return Message{}, invalid("content_text", "The message holds a NUL character, which cannot be stored.")
	case old.ContentType == textType && strings.TrimSpace(text) == "":
		return Message{}, invalid("content_text", "The message is empty.")
	case old.ContentText == text:
		return s.wireOne(ctx, old), nil
	}
	m, err := s.store.EditMessage(ctx, threadID, messageID, text, s.now())
	if err != nil {
		return Message{}, s.notSaved(ctx, err)
	}
	message := s.wireOne(ctx, m)
	edited := []*Event{{"message_edited", message}}
	s.publisher.Publish(Publication{ThreadID: threadID, Thread: edited, Agents: edited})
	return message, nil
}

const (
	awaySwitch = "away"
	awayOn     = "on"
	awayOff    = "off"
)

// Away reports whether the team answers later.
func (s *Service) Away() bool { return s.away.Load() }

// SetAway says whether the team answers later. All agents and all visitors hear "team_status".
func (s *Service) SetAway(ctx context.Context, a Actor, away bool) error {
	if err := teamOnly(a); err != nil {
		return err
	}
	position := awayOff
	if away {
		position = awayOn
	}
	if err := s.store.SetSwitch(ctx, awaySwitch, position); err != nil {
		return Public(err)
	}
	s.turnAway(away)
	return nil
}

// turnAway tells everybody here, if it is news.
func (s *Service) turnAway(away bool) {
	if s.away.Swap(away) == away {
		return
	}
	event := []*Event{{"team_status", teamStatus{away}}}
	s.publisher.Publish(Publication{Agents: event})
	for _, id := range s.presence.all() {
		s.publisher.Publish(Publication{ThreadID: id, Thread: event, Side: Visitor})
	}
}

const awayEvery = 5 * time.Second

// WatchAway follows the switch that [Service.SetAway] turns, as another process may have turned it, until ctx ends.
func (s *Service) WatchAway(ctx context.Context) {
	tick := time.NewTicker(awayEvery)
	defer tick.Stop()
	for {
		position, err := s.store.SwitchPosition(ctx, awaySwitch)
		switch {
		case err == nil:
			s.turnAway(position == awayOn)
		case ctx.Err() == nil:
			s.log.Debug("cannot see whether the team is away", slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
