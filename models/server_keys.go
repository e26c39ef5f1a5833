package models

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm/clause"

	"sohbet/models/database"
)

// serverKey is a key pair by which other services identify this server.
type serverKey struct {
	ID          int64
	Name        string
	PublicKey   string
	PrivateSeal string // encrypted
	CreatedAt   time.Time
}

// ServerKey returns the key pair of that name, generating it on the first call. It never changes.
func (s *Store) ServerKey(ctx context.Context, name string, generate func() (private, public string, err error)) (private, public string, err error) {
	var row serverKey
	find := func() (bool, error) {
		var rows []serverKey
		err := database.Retry(ctx, func() error { return s.db.Write.WithContext(ctx).Where("name = ?", name).Limit(1).Find(&rows).Error })
		if len(rows) == 1 {
			row = rows[0]
		}
		return len(rows) == 1, err
	}
	found, err := find()
	if err == nil && !found {
		if private, public, err = generate(); err != nil {
			return "", "", err
		}
		sealed, err := s.cipher.Seal(private)
		if err != nil {
			return "", "", err
		}
		made := serverKey{Name: name, PublicKey: public, PrivateSeal: sealed, CreatedAt: stamp(s.Now())}
		err = database.Retry(ctx, func() error { // another process may insert it at the same time
			return s.db.Write.WithContext(ctx).Clauses(clause.OnConflict{Columns: []clause.Column{{Name: "name"}}, DoNothing: true}).Create(&made).Error
		})
		if err != nil {
			return "", "", s.failed("store a key", err)
		}
		if _, err = find(); err != nil {
			return "", "", s.failed("read a key", err)
		}
	}
	if err != nil {
		return "", "", s.failed("read a key", err)
	}
	private, ok := s.cipher.Open(row.PrivateSeal)
	if !ok {
		return "", "", fmt.Errorf("models: the key %s cannot be decrypted: no key in SECRET_KEY decrypts it", name)
	}
	return private, row.PublicKey, nil
}
