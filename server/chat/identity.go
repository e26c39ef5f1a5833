package chat

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"unicode/utf8"

	"sohbet/models"
	"sohbet/server/apperr"
)

// SignedIdentity is a visitor's user id, signed by the site that embeds the chat. Hash is the hex HMAC-SHA256 of ID with the key
// IDENTITY_SECRET, computed by the site's server.
type SignedIdentity struct{ ID, Hash string }

// SetIdentitySecret replaces the secret with which sites sign the identity of their users; with "" signed identities are refused.
func (s *Service) SetIdentitySecret(secret string) {
	key := []byte(secret)
	s.identity.Store(&key)
}

// verify checks the signature of an identity.
func (s *Service) verify(i *SignedIdentity) error {
	if i == nil {
		return nil
	}
	secret := *s.identity.Load()
	if len(secret) == 0 {
		return apperr.Invalid("identity", "This server does not accept signed identities: IDENTITY_SECRET is not set.")
	}
	if i.ID == "" || utf8.RuneCountInString(i.ID) > models.MaxExternalID || !utf8.ValidString(i.ID) || strings.ContainsRune(i.ID, 0) {
		return apperr.Invalid("identity", "The id must have 1 to 128 characters.")
	}
	h := hmac.New(sha256.New, secret)
	h.Write([]byte(i.ID))
	if !hmac.Equal([]byte(hex.EncodeToString(h.Sum(nil))), []byte(strings.ToLower(i.Hash))) {
		return apperr.Invalid("identity", "The hash does not match the id: it must be the hex HMAC-SHA256 of the id with the key IDENTITY_SECRET.")
	}
	return nil
}

// findReturning finds the thread that a visitor returns to, or models.ErrNotFound. A thread that belongs to a different identified user is not
// returned, even if its id was stored in this browser.
func (s *Service) findReturning(ctx context.Context, a Actor, r JoinRequest) (models.Thread, error) {
	if ValidThreadID(r.ThreadID) {
		t, err := s.store.Thread(ctx, r.ThreadID)
		if err == nil && r.Identity != nil {
			var theirs bool
			if theirs, err = s.store.Identify(ctx, t.ID, r.Identity.ID); err == nil && !theirs {
				err = models.ErrNotFound
			}
		}
		if r.Identity == nil || !errors.Is(err, models.ErrNotFound) {
			return t, err
		}
	}
	if r.Identity == nil {
		return models.Thread{}, models.ErrNotFound
	}
	t, err := s.store.IdentityThread(ctx, r.Identity.ID)
	if err == nil {
		err = s.admit(ctx, a, t.ID)
	}
	return t, err
}

// joinAs opens a thread for an identified visitor, or resumes the one that another of their sockets opened at the same time.
func (s *Service) joinAs(ctx context.Context, a Actor, r JoinRequest, id string) (Joined, error) {
	t, opened, err := s.store.OpenAs(ctx, r.Identity.ID, *r.thread(id, a))
	if err != nil {
		return Joined{}, s.notSaved(ctx, err)
	}
	if opened {
		s.announceThread(t, a.SocketID)
	}
	j, err := s.resume(ctx, a, t, r.Profile) // also stores the e-mail address
	j.Resumed = !opened
	return j, err
}
