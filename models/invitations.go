package models

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"sohbet/models/database"
)

// How long invitations and links that set a new password are valid.
const (
	InvitationLife   = 7 * 24 * time.Hour
	PasswordLinkLife = 24 * time.Hour
)

// Invitation lets someone become an agent, or an agent set a new password, once. Only a hash of its token is stored.
type Invitation struct {
	ID        int64
	AgentID   AgentID // who may set a new password; 0 = a new agent
	TokenHash string
	Role      string
	Email     string // encrypted; "" = the guest's choice
	InvitedBy AgentID
	CreatedAt time.Time
	ExpiresAt time.Time
}

func tokenHash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// Invite stores an invitation and returns its token.
func (s *Store) Invite(ctx context.Context, role, email string, by AgentID) (token string, i Invitation, err error) {
	if err := checkText("email", email, MaxEmail); err != nil {
		return "", Invitation{}, err
	}
	i = Invitation{Role: role, InvitedBy: by}
	if i.Email, err = s.cipher.Seal(email); err != nil {
		return "", Invitation{}, err
	}
	token, err = s.saveInvitation(ctx, &i, InvitationLife)
	i.Email = email
	return token, i, err
}

// LinkPassword stores a link with which an agent sets a new password, instead of earlier ones, and returns its token.
func (s *Store) LinkPassword(ctx context.Context, agent Agent, by AgentID) (token string, i Invitation, err error) {
	i = Invitation{AgentID: AgentID(agent.ID), Role: agent.Role, InvitedBy: by}
	token, err = s.saveInvitation(ctx, &i, PasswordLinkLife)
	return token, i, err
}

// saveInvitation stores an invitation that is valid for some time, and returns its token. It deletes those that have expired.
func (s *Store) saveInvitation(ctx context.Context, i *Invitation, life time.Duration) (token string, err error) {
	now := stamp(s.Now())
	token = rand.Text()
	i.TokenHash, i.CreatedAt, i.ExpiresAt = tokenHash(token), now, now.Add(life)
	err = s.transaction(ctx, func(tx *gorm.DB) error {
		if err := tx.Where("expires_at <= ? OR agent_id = ?", now, i.AgentID).Delete(&Invitation{}).Error; err != nil {
			return err
		}
		i.ID = 0
		return tx.Create(i).Error
	})
	return token, s.failed("store an invitation", err)
}

// Invitation returns the valid invitation with a token, or ErrNotFound.
func (s *Store) Invitation(ctx context.Context, token string) (Invitation, error) {
	return s.invitation(ctx, s.valid(token).Where("agent_id IS NULL"))
}

// PasswordLink returns the valid link with a token, or ErrNotFound.
func (s *Store) PasswordLink(ctx context.Context, token string) (Invitation, error) {
	return s.invitation(ctx, s.valid(token).Where("agent_id IS NOT NULL"))
}

// valid is the condition of the invitation with a token, if it has not expired.
func (s *Store) valid(token string) *gorm.DB {
	return s.db.Read.Session(&gorm.Session{NewDB: true}).Where("token_hash = ? AND expires_at > ?", tokenHash(token), stamp(s.Now()))
}

func (s *Store) invitation(ctx context.Context, condition *gorm.DB) (i Invitation, err error) {
	err = database.Retry(ctx, func() error { return s.db.Read.WithContext(ctx).Where(condition).Take(&i).Error })
	if err != nil {
		return Invitation{}, s.failed("read an invitation", err)
	}
	i.Email = s.cipher.Field(i.Email, "invitations")
	return i, nil
}

// AcceptInvitation stores a new agent with the role of the valid invitation with a token, which is used up, and with a passkey unless it is
// nil. It returns ErrNotFound if there is no such invitation, or an error like [Store.AddAgent].
func (s *Store) AcceptInvitation(ctx context.Context, token string, a Agent, passkey *Passkey) (Agent, error) {
	var row Passkey
	if passkey != nil {
		var err error
		if row, err = s.sealPasskey(*passkey); err != nil {
			return Agent{}, err
		}
	}
	return s.changeAgent(ctx, "accept an invitation", func(tx *gorm.DB, _ []Agent) (Agent, error) {
		used, err := useInvitation(tx, s.valid(token).Where("agent_id IS NULL"))
		if err != nil {
			return Agent{}, err
		}
		a.ID, a.Role, a.CreatedAt = 0, used.Role, stamp(s.Now())
		return a, nil
	}, func(tx *gorm.DB, a Agent) error {
		if passkey == nil {
			return nil
		}
		row.ID, row.AgentID = 0, a.ID
		return tx.Create(&row).Error
	})
}

// UsePasswordLink gives the agent of the valid link with a token a new password, and ends the agent's sessions. It returns ErrNotFound if
// there is no such link, or the agent is disabled.
func (s *Store) UsePasswordLink(ctx context.Context, token, passwordHash string) (Agent, error) {
	return s.changeAgent(ctx, "set a new password", func(tx *gorm.DB, list []Agent) (Agent, error) {
		used, err := useInvitation(tx, s.valid(token).Where("agent_id IS NOT NULL"))
		if err != nil {
			return Agent{}, err
		}
		a, found := findAgent(list, func(a Agent) bool { return a.ID == int64(used.AgentID) && a.Enabled() })
		if !found {
			return Agent{}, ErrNotFound
		}
		a.PasswordHash = passwordHash
		return a, nil
	})
}

// useInvitation deletes the invitation of a condition, and returns it.
func useInvitation(tx, condition *gorm.DB) (Invitation, error) {
	var used []Invitation
	if err := tx.Clauses(clause.Returning{}).Where(condition).Delete(&used).Error; err != nil {
		return Invitation{}, err
	}
	if len(used) == 0 {
		return Invitation{}, ErrNotFound
	}
	return used[0], nil
}

// dropInvitations deletes the links with which an agent could set a new password, and the invitations by one who may not invite any more.
func dropInvitations(tx *gorm.DB, a Agent) error {
	if err := tx.Where("agent_id = ?", a.ID).Delete(&Invitation{}).Error; err != nil {
		return err
	}
	if a.Enabled() && a.Role == RoleOwner {
		return nil
	}
	return tx.Where("invited_by = ?", a.ID).Delete(&Invitation{}).Error
}
