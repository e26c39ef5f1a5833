package models

import (
	"context"
	"crypto/rand"
	"crypto/sha256"

	"sohbet/models/database"
)

// stateFamily is the row of security_state that holds the secret shared by all processes on one database.
const stateFamily = "family"

// Family returns a secret that only the processes on this database share: it is generated once and is not part of backups.
func (s *Store) Family(ctx context.Context) ([32]byte, error) {
	var value string
	err := database.Retry(ctx, func() error {
		row := struct{ Name, Value string }{stateFamily, rand.Text()}
		err := s.db.Write.WithContext(ctx).Exec("INSERT INTO security_state (name, value) VALUES (?, ?) ON CONFLICT (name) DO NOTHING", row.Name, row.Value).Error
		if err != nil {
			return err
		}
		return s.db.Write.WithContext(ctx).Table("security_state").Where("name = ?", stateFamily).Select("value").Take(&value).Error
	})
	return sha256.Sum256([]byte(value)), s.failed("read the shared secret", err)
}
