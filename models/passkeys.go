package models

import (
	"context"
	"time"

	"gorm.io/gorm"

	"sohbet/models/database"
)

// MaxPasskeys is how many passkeys an agent may have.
const MaxPasskeys = 20

// Passkey is a WebAuthn credential of an agent.
type Passkey struct {
	ID         int64
	AgentID    int64
	Handle     string // the WebAuthn user handle, the same for all passkeys of an agent
	Name       string
	Credential string // its id and public key, as package auth writes them
	SignCount  int64  // counted by the authenticator; 0 if it does not count
	CreatedAt  time.Time
	UsedAt     *time.Time
}

// sealPasskey returns the row of a passkey, with its encrypted fields.
func (s *Store) sealPasskey(p Passkey) (row Passkey, err error) {
	if err := checkText("name", p.Name, MaxDisplayName); err != nil {
		return Passkey{}, err
	}
	row = p
	row.CreatedAt = stamp(s.Now())
	if row.Name, err = s.cipher.Seal(p.Name); err != nil {
		return Passkey{}, err
	}
	row.Credential, err = s.cipher.Seal(p.Credential)
	return row, err
}

// AddPasskey stores a new passkey of an agent. It returns ErrNotFound if the agent does not exist, and an *InvalidError if there are too many.
func (s *Store) AddPasskey(ctx context.Context, p Passkey) (Agent, error) {
	row, err := s.sealPasskey(p)
	if err != nil {
		return Agent{}, err
	}
	return s.changeAgent(ctx, "store a passkey", func(tx *gorm.DB, list []Agent) (Agent, error) {
		a, found := findAgent(list, func(a Agent) bool { return a.ID == p.AgentID })
		switch {
		case !found:
			return Agent{}, ErrNotFound
		case a.Passkeys >= MaxPasskeys:
			return Agent{}, &InvalidError{Field: "passkey", Reason: "the agent has too many"}
		}
		row.ID = 0
		return a, tx.Create(&row).Error
	})
}

// RemovePasskey deletes a passkey of an agent. It returns ErrNotFound, or ErrLastPasskey.
func (s *Store) RemovePasskey(ctx context.Context, agent, id int64) (Agent, error) {
	return s.changeAgent(ctx, "delete a passkey", func(tx *gorm.DB, list []Agent) (Agent, error) {
		a, found := findAgent(list, func(a Agent) bool { return a.ID == agent })
		if found && a.Passkeys == 1 && a.PasswordHash == "" && !madeFromSettings(a) {
			return Agent{}, ErrLastPasskey
		}
		res := tx.Where("id = ? AND agent_id = ?", id, agent).Delete(&Passkey{})
		if res.Error == nil && res.RowsAffected == 0 {
			return Agent{}, ErrNotFound
		}
		return a, res.Error
	})
}

// PasskeysOf returns the passkeys of an agent, the oldest first.
func (s *Store) PasskeysOf(ctx context.Context, agent int64) ([]Passkey, error) {
	return s.passkeys(ctx, "agent_id = ?", agent)
}

// PasskeysByHandle returns the passkeys with a WebAuthn user handle, the oldest first.
func (s *Store) PasskeysByHandle(ctx context.Context, handle string) ([]Passkey, error) {
	return s.passkeys(ctx, "handle = ?", handle)
}

func (s *Store) passkeys(ctx context.Context, condition string, value any) (list []Passkey, err error) {
	err = database.Retry(ctx, func() error {
		return s.db.Read.WithContext(ctx).Where(condition, value).Order("id").Find(&list).Error
	})
	for i := range list {
		p := &list[i]
		p.Name, p.Credential = s.cipher.Field(p.Name, "passkeys"), s.cipher.Field(p.Credential, "passkeys")
	}
	return list, s.failed("read passkeys", err)
}

// UsePasskey records that a passkey signed an agent in, with the authenticator's count of signatures. It reports false unless that count is
// above the last one, or the authenticator does not count.
func (s *Store) UsePasskey(ctx context.Context, id, signCount int64) (bool, error) {
	return s.useOnce(ctx, "use a passkey", func(tx *gorm.DB) *gorm.DB {
		return tx.Model(&Passkey{}).Where("id = ? AND (sign_count < ? OR sign_count = 0 AND ? = 0)", id, signCount, signCount).
			Updates(map[string]any{"sign_count": signCount, "used_at": stamp(s.Now())})
	})
}
