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
)

// SignedIdentity is the word of the site that embeds the chat on who its visitor is: Hash is HMAC-SHA256 of ID under
// IDENTITY_SECRET, in hex, made by the site's own server.
type SignedIdentity struct{ ID, Hash string }

// verify refuses an identity that the site did not sign.
func (s *Service) verify(i *SignedIdentity) error {
	if i == nil {
		return nil
	}
	if len(s.identity) == 0 {
		return invalid("identity", "This server takes nobody's word for who a visitor is: IDENTITY_SECRET is not set.")
	}
	if i.ID == "" || utf8.RuneCountInString(i.ID) > models.MaxExternalID || !utf8.ValidString(i.ID) || strings.ContainsRune(i.ID, 0) {
		return invalid("identity", "The id must have 1 to 128 characters.")
	}
	h := hmac.New(sha256.New, s.identity)
	h.Write([]byte(i.ID))
	if !hmac.Equal([]byte(hex.EncodeToString(h.Sum(nil))), []byte(strings.ToLower(i.Hash))) {
		return invalid("identity", "The hash does not belong to the id: it is the hex of HMAC-SHA256 of the id, keyed with IDENTITY_SECRET.")
	}
	return nil
}

// known finds the thread that a visitor comes back to, or models.ErrNotFound. A thread that belongs to somebody else by the site's
// word is none of theirs, whoever used this browser before.
func (s *Service) known(ctx context.Context, a Actor, r JoinRequest) (models.Thread, error) {
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
		err = s.admit(a, t.ID)
	}
	return t, err
}

// joinAs opens a thread for somebody for whom the site vouches, or takes them into the one that another socket of theirs was
// faster to open.
func (s *Service) joinAs(ctx context.Context, a Actor, r JoinRequest, id string) (Joined, error) {
	t, opened, err := s.store.OpenAs(ctx, r.Identity.ID, *r.thread(id, a))
	if err != nil {
		return Joined{}, s.notSaved(ctx, err)
	}
	if opened {
		s.announceThread(t, a.SocketID)
	}
	j, err := s.resume(ctx, a, t, r.Profile) // which notes the e-mail address
	j.Resumed = !opened
	return j, err
}
