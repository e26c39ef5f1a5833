package models

import (
	"context"
	"fmt"
	"strings"
	"time"

	"gorm.io/gorm"

	"sohbet/models/database"
	"sohbet/models/names"
)

// Errors of changes to agents.
var (
	ErrNameTaken  = fmt.Errorf("%w: an enabled agent with this name", ErrExists)
	ErrEmailTaken = fmt.Errorf("%w: an agent with this e-mail address", ErrExists)
	// ErrLastOwner means that no enabled owner would be left.
	ErrLastOwner error = &InvalidError{Field: "role", Reason: "no enabled owner would be left"}
	// ErrLastPasskey means that the agent could not sign in any more.
	ErrLastPasskey error = &InvalidError{Field: "id", Reason: "the agent has no password"}
)

// AgentPatch changes the fields that are not nil.
type AgentPatch struct {
	Name, Email, AvatarURL, Locale, Role, PasswordHash *string

	Disabled, Away *bool

	// RemoveTOTP removes the second factor, UnlinkTelegram the link to a Telegram account.
	RemoveTOTP, UnlinkTelegram bool
	// RemovePasskeys removes all passkeys.
	RemovePasskeys bool
	// EndSessions ends the agent's sessions.
	EndSessions bool
}

// AddAgent stores a new agent. It returns ErrNameTaken, ErrEmailTaken, or an *InvalidError.
func (s *Store) AddAgent(ctx context.Context, a Agent) (Agent, error) {
	return s.changeAgent(ctx, "store an agent", func(*gorm.DB, []Agent) (Agent, error) {
		a.ID, a.CreatedAt = 0, stamp(s.Now())
		return a, nil
	})
}

// UpdateAgent applies the patch and returns the changed agent. A new role or password, and disabling, end the agent's sessions. It returns
// ErrNotFound, ErrLastOwner, or an error like [Store.AddAgent].
func (s *Store) UpdateAgent(ctx context.Context, id int64, p AgentPatch) (Agent, error) {
	return s.changeAgent(ctx, "update an agent", func(tx *gorm.DB, list []Agent) (Agent, error) {
		a, found := findAgent(list, func(a Agent) bool { return a.ID == id })
		if !found {
			return Agent{}, ErrNotFound
		}
		for _, f := range [...]struct{ to, from *string }{
			{&a.Name, p.Name}, {&a.Email, p.Email}, {&a.AvatarURL, p.AvatarURL}, {&a.Locale, p.Locale}, {&a.Role, p.Role}, {&a.PasswordHash, p.PasswordHash},
		} {
			if f.from != nil {
				*f.to = *f.from
			}
		}
		if p.RemoveTOTP {
			a.TOTPSecret = ""
		}
		if p.UnlinkTelegram {
			a.TelegramID = ""
		}
		if p.EndSessions {
			a.SessionGeneration++
		}
		if p.RemovePasskeys {
			if err := tx.Where("agent_id = ?", id).Delete(&Passkey{}).Error; err != nil {
				return Agent{}, err
			}
		}
		now := stamp(s.Now())
		setSince(&a.DisabledAt, p.Disabled, now)
		setSince(&a.AwaySince, p.Away, now)
		return a, nil
	})
}

// setSince sets since when something is so; nil = unchanged.
func setSince(since **time.Time, on *bool, now time.Time) {
	switch {
	case on == nil:
	case !*on:
		*since = nil
	case *since == nil:
		*since = &now
	}
}

// SetOwner stores the owner that ADMIN_USERNAME and ADMIN_PASSWORD describe: a new one, or what is different from last time in the existing
// one, who may have changed it since. passwordHash is "" without a password; same reports whether another hash is of the same password.
func (s *Store) SetOwner(ctx context.Context, username, passwordHash string, same func(hash string) bool) (Agent, error) {
	return s.changeAgent(ctx, "store the owner", func(tx *gorm.DB, list []Agent) (Agent, error) {
		a, found := findAgent(list, madeFromSettings)
		if !found {
			a = Agent{Role: RoleOwner, CreatedAt: stamp(s.Now())}
			away, err := takeTeamAway(tx)
			if err != nil {
				return Agent{}, err
			}
			setSince(&a.AwaySince, &away, a.CreatedAt)
		}
		if a.AdminUsername != username {
			a.AdminUsername = username
			a.Name = nameOf(username)
			if strings.Contains(username, "@") {
				a.Email = username
			}
		}
		if !found || !same(a.AdminPasswordHash) {
			if passwordHash != "" || a.PasswordHash == a.AdminPasswordHash {
				a.PasswordHash = passwordHash
			}
			a.AdminPasswordHash = passwordHash
		}
		return a, nil
	})
}

// changeAgent stores the agent that change makes from all agents, which no other process changes meanwhile: a new one if it has no ID. It
// calls the functions of after with the stored agent, in the same transaction.
func (s *Store) changeAgent(ctx context.Context, doing string, change func(tx *gorm.DB, list []Agent) (Agent, error), after ...func(*gorm.DB, Agent) error) (Agent, error) {
	var a Agent
	err := s.transaction(ctx, func(tx *gorm.DB) error {
		if err := s.lockTable(tx, "agents"); err != nil {
			return err
		}
		rows, err := agentRows(tx)
		if err != nil {
			return err
		}
		list := s.openAgents(rows)
		if a, err = change(tx, list); err != nil {
			return err
		}
		a.Name, a.Email = oneSpaced(a.Name), strings.ToLower(strings.TrimSpace(a.Email))
		if a.PasswordHash == "" { // which would come first
			a.TOTPSecret = ""
		}
		if err := a.check(list); err != nil {
			return err
		}
		its := func(other Agent) bool { return other.ID == a.ID }
		row, _ := findAgent(rows, its)
		before, known := findAgent(list, its)
		if known && (a.Role != before.Role || a.PasswordHash != before.PasswordHash || before.Enabled() && !a.Enabled() || a.SessionGeneration != before.SessionGeneration) {
			a.SessionGeneration = before.SessionGeneration + 1
			if err := dropPushOf(tx, a); err != nil {
				return err
			}
			if err := dropInvitations(tx, a); err != nil {
				return err
			}
		}
		if err := s.saveAgent(tx, &a, before, row); err != nil {
			return err
		}
		for _, do := range after {
			if err := do(tx, a); err != nil {
				return err
			}
		}
		return markChanged(tx, stateAgents)
	})
	if err != nil {
		return Agent{}, s.failed(doing, err)
	}
	s.notify(TopicSecurity)
	s.reload(ctx, s.loadAgents)
	return a, nil
}

// saveAgent inserts or updates an agent's row. An encrypted field that is as before keeps its stored value, which may be one that no key
// decrypts.
func (s *Store) saveAgent(tx *gorm.DB, a *Agent, before, row Agent) error {
	fresh := *a
	was, stored := before.sealed(), row.sealed()
	for i, text := range fresh.sealed() {
		if *text == *was[i] {
			*text = *stored[i]
			continue
		}
		token, err := s.cipher.Seal(*text)
		if err != nil {
			return err
		}
		*text = token
	}
	if err := tx.Save(&fresh).Error; err != nil {
		return err
	}
	a.ID = fresh.ID
	return checkNewID(a.ID)
}

// check validates an agent among the others.
func (a Agent) check(list []Agent) error {
	for _, err := range [...]error{
		checkText("name", a.Name, MaxDisplayName), checkText("email", a.Email, MaxEmail), checkText("avatar_url", a.AvatarURL, MaxFileURL),
		checkText("locale", a.Locale, MaxLocale),
	} {
		if err != nil {
			return err
		}
	}
	switch {
	case !names.Visible(a.Name):
		return &InvalidError{Field: "name", Reason: "shows nothing"}
	case strings.Contains(a.Name, "@"): // otherwise it could be the address of another agent
		return &InvalidError{Field: "name", Reason: "contains an @"}
	case a.Email != "" && !strings.Contains(a.Email, "@"):
		return &InvalidError{Field: "email", Reason: "contains no @"}
	case a.Role != RoleOwner && a.Role != RoleAgent:
		return &InvalidError{Field: "role", Reason: "neither owner nor agent"}
	}
	owners := a.Enabled() && a.Role == RoleOwner
	for _, other := range list {
		switch {
		case other.ID == a.ID:
			continue
		case a.Enabled() && other.Enabled() && names.Fold(a.Name) == names.Fold(other.Name):
			return ErrNameTaken
		case a.Email != "" && a.Email == other.Email:
			return ErrEmailTaken
		case a.TelegramID != "" && a.TelegramID == other.TelegramID:
			return ErrTelegramTaken
		}
		owners = owners || other.Enabled() && other.Role == RoleOwner
	}
	if !owners {
		return ErrLastOwner
	}
	return nil
}

// lockTable makes other processes wait that want to change a table, until the transaction ends; reading goes on. An SQLite transaction
// excludes other writers anyway.
func (s *Store) lockTable(tx *gorm.DB, table string) error {
	if s.db.Dialect != database.Postgres {
		return nil
	}
	return tx.Exec("LOCK TABLE " + table + " IN SHARE ROW EXCLUSIVE MODE").Error
}
