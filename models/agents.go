package models

import (
	"context"
	"database/sql/driver"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"gorm.io/gorm"

	"sohbet/models/database"
	"sohbet/models/names"
)

// Roles of agents.
const (
	RoleOwner = "owner" // may do everything
	RoleAgent = "agent" // may do everything inside conversations
)

// Agent is a member of the team who signs in.
type Agent struct {
	ID                int64
	Name              string // unique regardless of case among the enabled agents; contains no @
	Email             string // unique, in lower case; "" = none
	AvatarURL         string
	Locale            string
	Role              string
	PasswordHash      string // argon2id in PHC format; "" = none
	DisabledAt        *time.Time
	AwaySince         *time.Time // set: the agent is away, by their own switch or the operator's
	SessionGeneration int64      // part of the agent's sessions; a change ends them
	TOTPSecret        string     // of the authenticator app (RFC 6238), in base32 (RFC 4648); "" = none
	TOTPStep          int64      // the time step of the last code that was used
	TelegramID        string     // of the linked Telegram account; "" = none
	CreatedAt         time.Time
	Passkeys          int64 `gorm:"-"` // how many there are

	// ADMIN_USERNAME, and a hash of ADMIN_PASSWORD, when they last changed this agent; "" unless it was made from them.
	AdminUsername, AdminPasswordHash string
}

// Unnamed reports whether the agent's name is still the one that ADMIN_USERNAME gave it.
func (a Agent) Unnamed() bool { return madeFromSettings(a) && a.Name == nameOf(a.AdminUsername) }

// nameOf returns the name that an agent made from ADMIN_USERNAME has at first.
func nameOf(username string) string {
	if local, _, _ := strings.Cut(username, "@"); names.Visible(local) {
		return oneSpaced(local)
	}
	return "admin"
}

// AgentID refers to an agent; 0 is the team, without saying who.
type AgentID int64

// Value stores 0 as null.
func (id AgentID) Value() (driver.Value, error) {
	if id == 0 {
		return nil, nil
	}
	return int64(id), nil
}

// Scan reads null as 0.
func (id *AgentID) Scan(value any) error {
	n, ok := value.(int64)
	if value != nil && !ok {
		return fmt.Errorf("models: the id of an agent is a %T", value)
	}
	*id = AgentID(n)
	return nil
}

// Enabled reports whether the agent may sign in.
func (a Agent) Enabled() bool { return a.DisabledAt == nil }

// Away reports whether the agent has been set away.
func (a Agent) Away() bool { return a.AwaySince != nil }

// sealed returns the encrypted fields.
func (a *Agent) sealed() [6]*string {
	return [...]*string{&a.Email, &a.PasswordHash, &a.AdminUsername, &a.AdminPasswordHash, &a.TOTPSecret, &a.TelegramID}
}

// agents is this process's in-memory copy of the table: every event of a console reads it.
type agents struct {
	loading sync.Mutex // held while reading and replacing, so that an older reading does not replace a newer one

	mu      sync.RWMutex
	list    []Agent // by id
	changed func()  // see OnAgents
}

func (a *agents) find(match func(Agent) bool) (Agent, bool) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return findAgent(a.list, match)
}

func findAgent(list []Agent, match func(Agent) bool) (Agent, bool) {
	i := slices.IndexFunc(list, match)
	if i < 0 {
		return Agent{}, false
	}
	return list[i], true
}

// madeFromSettings reports whether an agent is the owner that ADMIN_USERNAME and ADMIN_PASSWORD describe.
func madeFromSettings(a Agent) bool { return a.AdminUsername != "" }

// Agents returns all agents in the order of their ids. Like [Store.Agent] and [Store.FindAgent] it answers from memory; changes by another
// process are visible here within pollInterval.
func (s *Store) Agents() []Agent {
	s.agents.mu.RLock()
	defer s.agents.mu.RUnlock()
	return slices.Clone(s.agents.list)
}

// Agent returns an agent; 0 is the owner that ADMIN_USERNAME and ADMIN_PASSWORD describe.
func (s *Store) Agent(id int64) (Agent, bool) {
	if id == 0 {
		return s.agents.find(madeFromSettings)
	}
	known := func(a Agent) bool { return a.ID == id }
	a, found := s.agents.find(known)
	if !found { // another process may have added the agent just now; none is ever deleted
		s.reloadAgents()
		a, found = s.agents.find(known)
	}
	return a, found
}

// Disabled reports whether an agent is known to be disabled. Unlike [Store.Agent] it never reads the table.
func (s *Store) Disabled(id AgentID) bool {
	_, disabled := s.agents.find(func(a Agent) bool { return a.ID == int64(id) && !a.Enabled() })
	return disabled
}

// FindAgent returns the enabled agent with a name or an e-mail address.
func (s *Store) FindAgent(username string) (Agent, bool) {
	if strings.Contains(username, "@") {
		email := strings.ToLower(strings.TrimSpace(username))
		return s.agents.find(func(a Agent) bool { return a.Enabled() && a.Email == email })
	}
	name := names.Fold(oneSpaced(username))
	return s.agents.find(func(a Agent) bool { return a.Enabled() && names.Fold(a.Name) == name })
}

// AgentSessionEnded reports whether the sessions of an agent that carry a generation were ended; 0 is the agent of sessions that began
// before there were agents, see [Store.Agent].
func (s *Store) AgentSessionEnded(id, generation int64) bool {
	a, found := s.Agent(id)
	if found && a.SessionGeneration < generation { // another process has just changed the agent
		s.reloadAgents()
		a, found = s.Agent(id)
	}
	return !found || !a.Enabled() || a.SessionGeneration != generation
}

// oneSpaced returns a name with single spaces between its words.
func oneSpaced(name string) string { return strings.Join(strings.Fields(name), " ") }

// loadAgents reloads the in-memory agents from the table, and ends the sessions that are not valid any more.
func (s *Store) loadAgents(ctx context.Context) error {
	if err := s.readAgents(ctx); err != nil {
		return err
	}
	s.sessions.check()
	return nil
}

// reloadLimit bounds how long a request waits for agents that another process has changed.
const reloadLimit = 2 * time.Second

// reloadAgents is like readAgents, for a request that needs what another process has changed.
func (s *Store) reloadAgents() {
	ctx, cancel := context.WithTimeout(context.Background(), reloadLimit)
	defer cancel()
	_ = s.readAgents(ctx) // an outage is logged by the poller, and the request is refused
}

// readAgents reloads the in-memory agents from the table.
func (s *Store) readAgents(ctx context.Context) error {
	s.agents.loading.Lock()
	defer s.agents.loading.Unlock()
	var list []Agent
	err := database.Retry(ctx, func() (err error) {
		list, err = agentRows(s.db.Read.WithContext(ctx))
		return err
	})
	if err != nil {
		return s.failed("read agents", err)
	}
	list = s.openAgents(list)
	s.agents.mu.Lock()
	s.agents.list = list
	changed := s.agents.changed
	s.agents.mu.Unlock()
	if changed != nil {
		changed()
	}
	return nil
}

// OnAgents sets the function to call when agents may have changed, by this or another process. It must not block.
func (s *Store) OnAgents(fn func()) {
	s.agents.mu.Lock()
	defer s.agents.mu.Unlock()
	s.agents.changed = fn
}

func agentRows(db *gorm.DB) (list []Agent, err error) {
	if err := db.Order("id").Find(&list).Error; err != nil {
		return nil, err
	}
	var passkeys []struct{ AgentID, N int64 }
	if err := db.Table("passkeys").Select("agent_id, count(*) AS n").Group("agent_id").Find(&passkeys).Error; err != nil {
		return nil, err
	}
	for _, its := range passkeys {
		if i := slices.IndexFunc(list, func(a Agent) bool { return a.ID == its.AgentID }); i >= 0 {
			list[i].Passkeys = its.N
		}
	}
	return list, nil
}

// openAgents returns agents with their encrypted fields decrypted.
func (s *Store) openAgents(rows []Agent) []Agent {
	list := slices.Clone(rows)
	for i := range list {
		a := &list[i]
		a.CreatedAt = a.CreatedAt.UTC()
		for _, text := range a.sealed() {
			*text = s.cipher.Field(*text, "agents")
		}
	}
	return list
}
