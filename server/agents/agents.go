// Package agents manages the accounts of the team.
package agents

import (
	"context"
	"errors"
	"fmt"

	"sohbet/models"
	"sohbet/server/auth"
)

// EnsureOwner returns the owner that ADMIN_USERNAME and ADMIN_PASSWORD describe. It stores one if there is none, and what changed in the
// settings since the last start; a password that the owner has set since then stays otherwise.
func EnsureOwner(ctx context.Context, store *models.Store, username, password string) (models.Agent, error) {
	same := func(hash string) bool { return auth.HashOf(password, hash) }
	owner, found := store.Agent(0)
	if found && owner.AdminUsername == username && same(owner.AdminPasswordHash) {
		return owner, nil
	}
	hash, err := auth.HashPassword(password)
	if err != nil {
		return models.Agent{}, err
	}
	owner, err = store.SetOwner(ctx, username, hash, same)
	if errors.Is(err, models.ErrExists) {
		return models.Agent{}, fmt.Errorf("ADMIN_USERNAME holds %q: another agent has this name or e-mail address", username)
	}
	return owner, err
}
