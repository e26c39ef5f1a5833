package chat

import (
	"context"
	"sync"

	"sohbet/models"
	"sohbet/server/apperr"
)

// Role is the role of a participant in a conversation, with the values of sender_type on the wire.
type Role string

// The roles, as they are on the wire (docs/protocol.md, "Roles and conventions").
const (
	Visitor  Role = "visitor"
	Agent    Role = "admin"
	Telegram Role = "telegram"
	System   Role = "system"
)

// Actor is the caller of an operation.
type Actor struct {
	Role     Role
	Name     string // the agent's, for the audit log
	AgentID  models.AgentID
	Owner    bool   // an agent who may do everything
	SocketID string // "" over HTTP
	Address  string // the client's network address, for limits and blocks
	Threads  *ThreadSet

	Browser, Platform string // names of the client's browser and platform; "" = unknown
}

// ThreadSet is the set of threads that a visitor may access, with the profile given when joining each.
type ThreadSet struct {
	mu      sync.Mutex
	threads map[string]Profile
}

// maxThreads is how many threads one socket may join. No page shows more.
const maxThreads = 16

// NewThreadSet returns a set of threads.
func NewThreadSet(ids ...string) *ThreadSet {
	t := &ThreadSet{threads: make(map[string]Profile, 1)}
	for _, id := range ids {
		t.threads[id] = Profile{}
	}
	return t
}

// Has reports whether id is in the set. A nil set is empty.
func (t *ThreadSet) Has(id string) bool {
	_, ok := t.profile(id)
	return ok
}

// Only returns the id if the set has exactly one.
func (t *ThreadSet) Only() (id string, ok bool) {
	if t == nil {
		return "", false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for id = range t.threads {
	}
	return id, len(t.threads) == 1
}

// All returns all ids.
func (t *ThreadSet) All() []string {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	ids := make([]string, 0, len(t.threads))
	for id := range t.threads {
		ids = append(ids, id)
	}
	return ids
}

func (t *ThreadSet) profile(id string) (Profile, bool) {
	if t == nil {
		return Profile{}, false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	p, ok := t.threads[id]
	return p, ok
}

// put adds a thread. ok is false if the set is full; added reports whether the thread is new.
func (t *ThreadSet) put(id string, p Profile) (added, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, known := t.threads[id]
	if !known && len(t.threads) >= maxThreads {
		return false, false
	}
	t.threads[id] = p
	return !known, true
}

// mayReach reports whether the actor may access a thread.
func (a Actor) mayReach(threadID string) bool {
	if a.Role == Visitor {
		return a.Threads.Has(threadID)
	}
	return a.Role == Agent || a.Role == Telegram
}

// side returns the side whose read and received marks the actor moves.
func (a Actor) side() string {
	if a.Role == Visitor {
		return models.Visitor
	}
	return models.Admin
}

// agentOnly returns an error unless the actor is an agent.
func agentOnly(a Actor) error {
	if a.Role != Agent {
		return apperr.Unauthorized("Please sign in as an agent.")
	}
	return nil
}

// ownerOnly returns an error unless the actor is an owner.
func ownerOnly(a Actor) error {
	if err := agentOnly(a); err != nil {
		return err
	}
	if !a.Owner {
		return apperr.Unauthorized("Only an owner can do this.")
	}
	return nil
}

// reach checks a thread's id and whether the actor may access the thread.
func (a Actor) reach(threadID string) error {
	if !ValidThreadID(threadID) {
		return apperr.Invalid("thread_id", "thread_id is missing or malformed.")
	}
	if !a.mayReach(threadID) {
		return apperr.Unauthorized("Join this thread first.")
	}
	return nil
}

// visitorOnly returns an error unless the actor is the visitor of the thread.
func (s *Service) visitorOnly(ctx context.Context, a Actor, threadID string) error {
	if a.Role != Visitor {
		return apperr.Unauthorized("Only the visitor can do this.")
	}
	if err := a.reach(threadID); err != nil {
		return err
	}
	return s.admit(ctx, a, threadID)
}

func teamOnly(a Actor) error {
	if a.Role != Agent && a.Role != Telegram {
		return apperr.Unauthorized("Please sign in as an agent.")
	}
	return nil
}
