package chat

import (
	"context"
	"strings"
	"unicode/utf8"

	"sohbet/models"
	"sohbet/server/apperr"
)

// Rate stores a visitor's rating: a score from 1 to models.MaxRating, and an optional comment. A later rating replaces it. It emits
// "thread_updated" to agents.
func (s *Service) Rate(ctx context.Context, a Actor, threadID string, score int64, comment string) error {
	if err := s.visitorOnly(ctx, a, threadID); err != nil {
		return err
	}
	switch {
	case score < 1 || score > models.MaxRating:
		return apperr.Invalid("score", "score must be a whole number from 1 to 5.")
	case utf8.RuneCountInString(comment) > models.MaxComment:
		return apperr.Invalid("comment", "The comment is too long: it may have 1,000 characters at most.")
	case strings.ContainsRune(comment, 0):
		return apperr.Invalid("comment", "The comment holds a NUL character, which cannot be stored.")
	}
	if err := s.mayStore(ctx, a, threadID, comment); err != nil {
		return err
	}
	t, err := s.store.UpdateThread(ctx, threadID, models.ThreadPatch{Rating: &score, RatingComment: &comment})
	if err != nil {
		return s.notSaved(ctx, err)
	}
	s.publishThread(t)
	return nil
}
