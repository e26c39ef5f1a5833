package models

import (
	"context"

	"gorm.io/gorm"

	"sohbet/models/database"
)

// recoveryCode lets an agent sign in once without the authenticator app. Only a hash of the code is stored.
type recoveryCode struct {
	ID       int64
	AgentID  int64
	CodeHash string
}

// SetTOTP stores the secret of an agent's authenticator app, with the time step of the code that confirmed it and recovery codes that
// replace earlier ones. With "" signing in needs no app.
func (s *Store) SetTOTP(ctx context.Context, id int64, secret string, step int64, recovery []string) (Agent, error) {
	return s.changeAgent(ctx, "store a second factor", func(tx *gorm.DB, list []Agent) (Agent, error) {
		a, found := findAgent(list, func(a Agent) bool { return a.ID == id })
		if !found {
			return Agent{}, ErrNotFound
		}
		a.TOTPSecret, a.TOTPStep = secret, step
		if err := tx.Where("agent_id = ?", id).Delete(&recoveryCode{}).Error; err != nil {
			return Agent{}, err
		}
		for _, code := range recovery {
			if err := tx.Create(&recoveryCode{AgentID: id, CodeHash: tokenHash(code)}).Error; err != nil {
				return Agent{}, err
			}
		}
		return a, nil
	})
}

// UseTOTPStep records that an agent used the code of a time step. It reports false unless that step is later than the last one.
func (s *Store) UseTOTPStep(ctx context.Context, id, step int64) (bool, error) {
	return s.useOnce(ctx, "use a code of an app", func(tx *gorm.DB) *gorm.DB {
		return tx.Model(&Agent{}).Where("id = ? AND totp_step < ?", id, step).Update("totp_step", step)
	})
}

// UseRecoveryCode deletes a recovery code of an agent, and reports whether there was one.
func (s *Store) UseRecoveryCode(ctx context.Context, id int64, code string) (bool, error) {
	return s.useOnce(ctx, "use a recovery code", func(tx *gorm.DB) *gorm.DB {
		return tx.Where("agent_id = ? AND code_hash = ?", id, tokenHash(code)).Delete(&recoveryCode{})
	})
}

// useOnce runs a statement that changes a row once, and reports whether it did.
func (s *Store) useOnce(ctx context.Context, doing string, statement func(tx *gorm.DB) *gorm.DB) (used bool, err error) {
	err = s.transaction(ctx, func(tx *gorm.DB) error {
		res := statement(tx)
		used = res.RowsAffected == 1
		return res.Error
	})
	if err != nil {
		return false, s.failed(doing, err)
	}
	return used, nil
}

// RecoveryCodes counts an agent's unused recovery codes.
func (s *Store) RecoveryCodes(ctx context.Context, id int64) (n int64, err error) {
	err = database.Retry(ctx, func() error {
		return s.db.Read.WithContext(ctx).Model(&recoveryCode{}).Where("agent_id = ?", id).Count(&n).Error
	})
	return n, s.failed("count recovery codes", err)
}
