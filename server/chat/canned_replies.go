package chat

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"strconv"
	"sync"
	"unicode/utf8"

	"sohbet/models"
	"sohbet/server/apperr"
	"sohbet/server/audit"
)

// Canned is a prepared text that agents insert into an answer by its shortcut. The console replaces placeholders in braces, such as
// {name}.
type Canned struct {
	ID        int64  `json:"id"`
	Shortcut  string `json:"shortcut"`
	Text      string `json:"text"`
	UpdatedAt Time   `json:"updated_at"`
}

func canned(c models.CannedReply) Canned {
	return Canned{ID: c.ID, Shortcut: c.Shortcut, Text: c.ContentText, UpdatedAt: Time(c.UpdatedAt)}
}

var shortcut = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[\p{L}\p{N}_-]+$`) })

// Canned lists the canned replies, ordered by shortcut.
func (s *Service) Canned(ctx context.Context, a Actor) ([]Canned, error) {
	if err := agentOnly(a); err != nil {
		return nil, err
	}
	list, err := s.store.CannedReplies(ctx)
	if err != nil {
		return nil, Public(err)
	}
	replies := make([]Canned, len(list))
	for i, c := range list {
		replies[i] = canned(c)
	}
	return replies, nil
}

// SaveCanned inserts a canned reply, or updates the one with c.ID if that is set. The error has apperr.CodeConflict if another reply has the
// shortcut, ignoring case. It emits "canned_changed" to all agents.
func (s *Service) SaveCanned(ctx context.Context, a Actor, c Canned) (Canned, error) {
	if err := agentOnly(a); err != nil {
		return Canned{}, err
	}
	if !shortcut().MatchString(c.Shortcut) || utf8.RuneCountInString(c.Shortcut) > models.MaxShortcut {
		return Canned{}, apperr.Invalid("shortcut", "The shortcut must have 1 to 32 letters, digits, - or _.")
	}
	if err := checkNote(c.Text); err != nil {
		return Canned{}, err
	}
	if err := s.mayStore(ctx, a, "", c.Text); err != nil {
		return Canned{}, err
	}
	stored, err := s.store.SaveCanned(ctx, models.CannedReply{ID: c.ID, Shortcut: c.Shortcut, ContentText: c.Text, UpdatedAt: s.now()})
	if err != nil {
		return Canned{}, cannedError(err)
	}
	s.logAudit(ctx, a, audit.Event{Name: audit.CannedSave, Detail: "#" + strconv.FormatInt(stored.ID, 10)})
	s.publishCanned()
	return canned(stored), nil
}

// DeleteCanned deletes a canned reply. It emits "canned_changed" to all agents.
func (s *Service) DeleteCanned(ctx context.Context, a Actor, id int64) error {
	if err := agentOnly(a); err != nil {
		return err
	}
	if err := s.store.DeleteCanned(ctx, id); err != nil {
		return cannedError(err)
	}
	s.logAudit(ctx, a, audit.Event{Name: audit.CannedDelete, Detail: "#" + strconv.FormatInt(id, 10)})
	s.publishCanned()
	return nil
}

func (s *Service) publishCanned() {
	s.publisher.Publish(Publication{Agents: []*Event{{"canned_changed", struct{}{}}}})
}

func cannedError(err error) error {
	switch {
	case errors.Is(err, models.ErrExists):
		return &apperr.Error{Code: apperr.CodeConflict, Field: "shortcut", Message: "Another reply has this shortcut. Choose another one.", Status: http.StatusConflict}
	case errors.Is(err, models.ErrNotFound):
		return &apperr.Error{Code: apperr.CodeNotFound, Message: "This reply does not exist any more.", Status: http.StatusNotFound}
	}
	return Public(err)
}
