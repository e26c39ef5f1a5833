package chat

import (
	"context"
	"errors"
	"net/http"

	"sohbet/models"
	"sohbet/server/apperr"
	"sohbet/server/audit"
)

// BlockedVisitor is an entry in the list of blocked visitors.
type BlockedVisitor struct {
	ThreadID     string `json:"thread_id"`
	DisplayName  string `json:"display_name"`  // "" when the conversation was deleted
	Address      bool   `json:"address"`       // whether the visitor's address is blocked too
	AddressUntil *Time  `json:"address_until"` // expiry of the address block; null if there is none
	CreatedAt    Time   `json:"created_at"`

	Agent *AgentReference `json:"agent"` // null for the team without saying who
}

func (s *Service) blockedVisitor(b models.Block) BlockedVisitor {
	v := BlockedVisitor{Agent: s.reference(b.AgentID), ThreadID: b.ThreadID, DisplayName: b.DisplayName, CreatedAt: Time(b.CreatedAt)}
	if b.AddressHash != "" && b.AddressUntil != nil {
		until := Time(*b.AddressUntil)
		v.Address, v.AddressUntil = true, &until
	}
	return v
}

type blocked struct {
	ThreadID string `json:"thread_id"`
	Blocked  bool   `json:"blocked"`
	Rev      int64  `json:"rev"`
}

type notice struct {
	Type      string `json:"type"`
	Message   string `json:"message"`
	Timestamp Time   `json:"timestamp"`
}

var errBlocked = &apperr.Error{Code: apperr.CodeBlocked, Message: "You cannot write here: the team has blocked this conversation.", Status: http.StatusForbidden}

// admit returns an error for visitors who are blocked, by thread or by address.
func (s *Service) admit(ctx context.Context, a Actor, threadID string) error {
	if a.Role != Visitor || !s.store.Blocked(threadID, a.Address) {
		return nil
	}
	if !s.store.Blocked(threadID, "") { // by address alone, which costs no query
		return errBlocked
	}
	t, err := s.store.Thread(ctx, threadID)
	if err != nil { // a block outlives its thread
		return errBlocked
	}
	if !t.Blocked { // another process unblocked the visitor
		if err := s.store.LoadBlocks(ctx); err == nil && !s.store.Blocked(threadID, a.Address) {
			return nil
		}
	}
	blocked := *errBlocked
	blocked.Rev = t.Rev
	return &blocked
}

// Admit checks whether a visitor without a thread, such as one who uploads a file before joining, is blocked by address. The error is
// an [*apperr.Error].
func (s *Service) Admit(ctx context.Context, a Actor) error { return s.admit(ctx, a, "") }

// Block blocks the visitor of a thread: joining and posting is refused with code "blocked" until Unblock. With address the visitor's
// last known address is blocked too, for [models.AddressBlockLife]. It emits "thread_blocked" and "error" to the thread's room and
// "thread_updated" to agents.
func (s *Service) Block(ctx context.Context, a Actor, threadID string, address bool) error {
	_, err := s.BlockVisitor(ctx, a, threadID, address)
	return err
}

// BlockVisitor is like Block and returns the new block, which has no address if none is known for the visitor.
func (s *Service) BlockVisitor(ctx context.Context, a Actor, threadID string, address bool) (BlockedVisitor, error) {
	if err := teamOnly(a); err != nil {
		return BlockedVisitor{}, err
	}
	if err := a.reach(threadID); err != nil {
		return BlockedVisitor{}, err
	}
	b, err := s.store.Block(ctx, threadID, address, a.AgentID)
	if err != nil {
		return BlockedVisitor{}, Public(err)
	}
	s.logAudit(ctx, a, audit.Event{Name: audit.Block, ThreadID: threadID})
	if b.AddressHash != "" {
		s.logAudit(ctx, a, audit.Event{Name: audit.BlockAddress, ThreadID: threadID})
	}
	s.publishBlocked(ctx, threadID, true)
	return s.blockedVisitor(b), nil
}

// Unblock removes the block of a visitor and of their address.
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
	s.logAudit(ctx, a, audit.Event{Name: audit.Unblock, ThreadID: threadID})
	s.publishBlocked(ctx, threadID, false)
	return nil
}

// Blocks lists the blocked visitors, newest block first.
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
		views[i] = s.blockedVisitor(b)
	}
	return views, nil
}

func (s *Service) publishBlocked(ctx context.Context, threadID string, on bool) {
	t, err := s.store.Thread(ctx, threadID)
	switch {
	case err == nil:
		s.publishThread(t)
		on = t.Blocked
	case !errors.Is(err, models.ErrNotFound): // a block outlives its thread
		s.Recheck(threadID)
	}
	s.publishBlock(threadID, on, t.Rev)
}

// publishBlock sends the visitor of a thread whether they are blocked, as of a revision of the thread; 0 = unknown.
func (s *Service) publishBlock(threadID string, on bool, rev int64) {
	events := []*Event{{"thread_blocked", blocked{threadID, on, rev}}}
	if on { // older clients that do not know "thread_blocked" handle "error"
		events = append(events, &Event{"error", notice{apperr.CodeBlocked, errBlocked.Message, Time(s.now())}})
	}
	s.publisher.Publish(Publication{ThreadID: threadID, Side: Visitor, Rev: rev, State: rev > 0, Thread: events})
}
