package chat

import (
	"context"
	"errors"
	"log/slog"

	"sohbet/models"
	"sohbet/models/names"
	"sohbet/server/apperr"
)

// JoinRequest is a visitor's request to join. A stored thread named by ThreadID is resumed. Otherwise an identified visitor resumes
// their last thread.
type JoinRequest struct {
	Profile
	ThreadID string
	Identity *SignedIdentity // nil = anonymous
}

// Joined is the result of joining: the thread and its state.
type Joined struct {
	ThreadID                   string
	Resumed                    bool
	TeamReadID, TeamReceivedID int64 // newest messages that the team has read and received
	Status                     string
	Rating                     int64 // 0 = none
	Rev                        int64
}

func joined(t models.Thread, resumed bool) Joined {
	return Joined{ThreadID: t.ID, Resumed: resumed, TeamReadID: t.AgentReadID, TeamReceivedID: t.AgentReceivedID, Status: t.Status, Rating: t.Rating, Rev: t.Rev}
}

// Join opens or resumes a thread for a visitor. The caller then adds the socket to the thread's room and calls [Service.Arrived].
func (s *Service) Join(ctx context.Context, a Actor, r JoinRequest) (Joined, error) {
	if err := s.admit(ctx, a, r.ThreadID); err != nil {
		return Joined{}, err
	}
	if err := s.verify(r.Identity); err != nil {
		return Joined{}, err
	}
	if r.Identity == nil {
		r.Email = ""
	} else {
		r.fit()
	}
	if err := r.check(false); err != nil {
		return Joined{}, err
	}
	t, err := s.findReturning(ctx, a, r)
	switch {
	case err == nil:
		return s.resume(ctx, a, t, r.Profile)
	case !errors.Is(err, models.ErrNotFound):
		return Joined{}, s.notSaved(ctx, err)
	}
	if err := r.check(true); err != nil {
		return Joined{}, err
	}
	if ok, wait := s.openings.Allow("", a.Address); !ok {
		return Joined{}, apperr.Limited(wait)
	}
	id := newThreadID()
	if err := s.mayStore(ctx, a, id, r.texts()...); err != nil {
		return Joined{}, err
	}
	if r.Identity != nil {
		return s.joinAs(ctx, a, r, id)
	}
	if _, ok := a.Threads.put(id, r.Profile); !ok {
		return Joined{}, apperr.Invalid("thread_id", "This connection has joined too many threads.")
	}
	t, err = s.store.CreateThread(ctx, *r.thread(id, a))
	if err != nil {
		return Joined{}, s.notSaved(ctx, err)
	}
	s.announceThread(t, a.SocketID)
	return joined(t, false), nil
}

// Refresh reads the state of a joined thread again, for after the socket entered the thread's room: events of earlier changes were not
// sent to it.
func (s *Service) Refresh(ctx context.Context, j Joined) Joined {
	if t, err := s.store.Thread(ctx, j.ThreadID); err == nil {
		return joined(t, j.Resumed)
	}
	return j // it was deleted, or cannot be read: the clients learn of it otherwise
}

// resume lets a visitor join a stored thread and updates the profile.
func (s *Service) resume(ctx context.Context, a Actor, t models.Thread, p Profile) (Joined, error) {
	var patch models.ThreadPatch
	changed := false
	note := func(field **string, old string, now *string) {
		if *now == "" {
			*now = old
		} else if *now != old {
			*field, changed = now, true
		}
	}
	if !names.Visible(p.DisplayName) {
		p.DisplayName = ""
	}
	note(&patch.DisplayName, t.DisplayName, &p.DisplayName)
	note(&patch.PhoneNumber, t.PhoneNumber, &p.PhoneNumber)
	note(&patch.PageURL, t.PageURL, &p.PageURL)
	note(&patch.Locale, t.Locale, &p.Locale)
	note(&patch.PageTitle, t.PageTitle, &p.PageTitle)
	note(&patch.Email, t.Email, &p.Email)
	browser, platform := a.Browser, a.Platform
	note(&patch.Browser, t.Browser, &browser)
	note(&patch.Platform, t.Platform, &platform)
	if _, ok := a.Threads.put(t.ID, p); !ok {
		return Joined{}, apperr.Invalid("thread_id", "This connection has joined too many threads.")
	}
	if changed {
		// Failing to store the profile must not prevent the visitor from joining.
		if err := s.mayStore(ctx, a, t.ID, p.texts()...); err != nil {
			s.log.DebugContext(ctx, "profile not stored", slog.Any("error", err))
		} else if updated, err := s.store.UpdateThread(ctx, t.ID, patch); err != nil {
			s.log.WarnContext(ctx, "failed to store a profile", slog.Any("error", err))
		} else {
			t = updated
			s.publishThread(t)
		}
	}
	if err := s.store.RecordAddress(ctx, t.ID, a.Address); err != nil {
		s.log.WarnContext(ctx, "failed to store an address", slog.Any("error", err))
	}
	return joined(t, true), nil
}

// Rejoin lets a visitor join a thread again. [ErrThreadNotFound] means that it is not stored; if the id is valid, the visitor's next
// message creates it again, which existing clients rely on.
func (s *Service) Rejoin(ctx context.Context, a Actor, threadID string) (Joined, error) {
	if !ValidThreadID(threadID) {
		return Joined{}, ErrThreadNotFound
	}
	if err := s.admit(ctx, a, threadID); err != nil {
		return Joined{}, err
	}
	t, err := s.store.Thread(ctx, threadID)
	switch {
	case err == nil:
		return s.resume(ctx, a, t, Profile{})
	case !errors.Is(err, models.ErrNotFound):
		return Joined{}, s.notSaved(ctx, err)
	}
	if ok, wait := s.openings.Allow("", a.Address); !ok {
		return Joined{}, apperr.Limited(wait)
	}
	if _, ok := a.Threads.put(threadID, Profile{}); !ok {
		return Joined{}, apperr.Invalid("thread_id", "This connection has joined too many threads.")
	}
	return Joined{}, ErrThreadNotFound
}

// Watch checks that an agent may watch a thread.
func (s *Service) Watch(ctx context.Context, a Actor, threadID string) error {
	_, err := s.watched(ctx, a, threadID)
	return err
}

func publicOrNil(err error) error {
	if err == nil {
		return nil
	}
	return Public(err)
}
