package chat

import (
	"context"
	"net/http"

	"sohbet/models"
	"sohbet/server/audit"
)

// BlockedVisitor is an entry of the list of blocks.
type BlockedVisitor struct {
	ThreadID     string `json:"thread_id"`
	DisplayName  string `json:"display_name"`  // "" when the conversation was deleted
	Address      bool   `json:"address"`       // the visitor's address is blocked too
	AddressUntil *Time  `json:"address_until"` // until then; null without one
	CreatedAt    Time   `json:"created_at"`
}

func blockedVisitor(b models.Block) BlockedVisitor {
	v := BlockedVisitor{ThreadID: b.ThreadID, DisplayName: b.DisplayName, CreatedAt: Time(b.CreatedAt)}
	if b.AddressHash != "" && b.AddressUntil != nil {
		until := Time(*b.AddressUntil)
		v.Address, v.AddressUntil = true, &until
	}
	return v
}

type threadBlocked struct {
	ID      string `json:"id"`
	Blocked bool   `json:"blocked"`
}

type blocked struct {
	ThreadID string `json:"thread_id"`
	Blocked  bool   `json:"blocked"`
}

type notice struct {
	Type      string `json:"type"`
	Message   string `json:"message"`
	Timestamp Time   `json:"timestamp"`
}

var errBlocked = &Error{Code: CodeBlocked, Message: "You cannot write here: the team has blocked this conversation.", Status: http.StatusForbidden}

// admit refuses visitors who are blocked, by thread or by address.
func (s *Service) admit(a Actor, threadID string) error {
	if a.Role == Visitor && s.store.Blocked(threadID, a.Address) {
		return errBlocked
	}
	return nil
}

// Admit says whether somebody who belongs to no thread yet, such as one who uploads a file, may do anything here; the error is
// an [*Error].
func (s *Service) Admit(a Actor) error { return s.admit(a, "") }

func teamOnly(a Actor) error {
	if a.Role != Agent && a.Role != Telegram {
		return unauthorized("Please sign in as an agent.")
	}
	return nil
}

// Block keeps the visitor of a thread away: joining and writing is refused with code "blocked" until Unblock. With address the
// address from which the visitor last came is blocked too, for [models.AddressBlockLife]. The thread's room hears
// "thread_blocked" and "error", agents hear "thread_updated".
func (s *Service) Block(ctx context.Context, a Actor, threadID string, address bool) error {
	_, err := s.BlockVisitor(ctx, a, threadID, address)
	return err
}

// BlockVisitor is Block that tells what came of it: without an address when none is known of the visitor.
func (s *Service) BlockVisitor(ctx context.Context, a Actor, threadID string, address bool) (BlockedVisitor, error) {
	if err := teamOnly(a); err != nil {
		return BlockedVisitor{}, err
	}
	if err := a.reach(threadID); err != nil {
		return BlockedVisitor{}, err
	}
	b, err := s.store.Block(ctx, threadID, address)
	if err != nil {
		return BlockedVisitor{}, Public(err)
	}
	s.did(ctx, a, audit.Block)
	if b.AddressHash != "" {
		s.did(ctx, a, audit.BlockAddress)
	}
	s.tellBlocked(threadID, true)
	return blockedVisitor(b), nil
}

// Unblock lets the visitor of a thread, and their address, in again.
func (s *Service) Unblock(ctx context.Context, a Actor, threadID string) error {
	if err := teamOnly(a); err != nil {
		return err
	}
	if err := a.reach(threadID); err != nil {
		return err
	}
	if err := s.store.Unblock(ctx, threadID); err != nil {
		return Public(err)
	}
	s.did(ctx, a, audit.Unblock)
	s.tellBlocked(threadID, false)
	return nil
}

// Blocks lists who is blocked, newest first.
func (s *Service) Blocks(ctx context.Context, a Actor) ([]BlockedVisitor, error) {
	if err := teamOnly(a); err != nil {
		return nil, err
	}
	list, err := s.store.Blocks(ctx)
	if err != nil {
		return nil, Public(err)
	}
	views := make([]BlockedVisitor, len(list))
	for i, b := range list {
		views[i] = blockedVisitor(b)
	}
	return views, nil
}

func (s *Service) tellBlocked(threadID string, on bool) {
	visitor := []*Event{{"thread_blocked", blocked{threadID, on}}}
	if on { // clients that do not know the event know this one
		visitor = append(visitor, &Event{"error", notice{CodeBlocked, errBlocked.Message, Time(s.now())}})
	}
	s.publisher.Publish(Publication{
		ThreadID: threadID, Thread: visitor, Side: Visitor,
		Agents: []*Event{{"thread_updated", threadBlocked{threadID, on}}},
	})
}
