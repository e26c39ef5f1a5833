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

// InvitationLife is how long an invitation is valid.
const InvitationLife = 7 * 24 * time.Hour

// Invitation lets someone become an agent, once. Only a hash of its token is stored.
type Invitation struct {
	ID        int64
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

// Invite stores an invitation and returns its token. It deletes those that have expired.
func (s *Store) Invite(ctx context.Context, role, email string, by AgentID) (token string, i Invitation, err error) {
	now := stamp(s.Now())
	token = rand.Text()
	i = Invitation{TokenHash: tokenHash(token), Role: role, InvitedBy: by, CreatedAt: now, ExpiresAt: now.Add(InvitationLife)}
	if err := checkText("email", email, MaxEmail); err != nil {
		return "", Invitation{}, err
	}
	if i.Email, err = s.cipher.Seal(email); err != nil {
		return "", Invitation{}, err
	}
	err = s.transaction(ctx, func(tx *gorm.DB) error {
		if err := tx.Where("expires_at <= ?", now).Delete(&Invitation{}).Error; err != nil {
			return err
		}
		i.ID = 0
		return tx.Create(&i).Error
	})
	i.Email = email
	return token, i, s.failed("store an invitation", err)
}

// Invitation returns the valid invitation with a token, or ErrNotFound.
func (s *Store) Invitation(ctx context.Context, token string) (i Invitation, err error) {
	err = database.Retry(ctx, func() error {
		return s.db.Read.WithContext(ctx).Where("token_hash = ? AND expires_at > ?", tokenHash(token), stamp(s.Now())).Take(&i).Error
	})
	if err != nil {
		return Invitation{}, s.failed("read an invitation", err)
	}
	i.Email = s.cipher.Field(i.Email, "invitations")
	return i, nil
}

// AcceptInvitation stores a new agent with the role of the valid invitation with a token, which is used up. It returns ErrNotFound if
// there is none, or an error like [Store.AddAgent].
func (s *Store) AcceptInvitation(ctx context.Context, token string, a Agent) (Agent, error) {
	return s.changeAgent(ctx, "accept an invitation", func(tx *gorm.DB, _ []Agent) (Agent, error) {
		now := stamp(s.Now())
		var used []Invitation
		err := tx.Clauses(clause.Returning{}).Where("token_hash = ? AND expires_at > ?", tokenHash(token), now).Delete(&used).Error
		if err != nil {
			return Agent{}, err
		}
		if len(used) == 0 {
			return Agent{}, ErrNotFound
		}
		a.ID, a.Role, a.CreatedAt = 0, used[0].Role, now
		return a, nil
	})
}

// dropInvitationsBy deletes the invitations by an agent who may not invite any more.
func dropInvitationsBy(tx *gorm.DB, a Agent) error {
	if a.Enabled() && a.Role == RoleOwner {
		return nil
	}
	return tx.Where("invited_by = ?", a.ID).Delete(&Invitation{}).Error
}
