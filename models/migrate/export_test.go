package migrate

import (
	"context"

	"sohbet/models/database"
)

// RunUnknown migrates like a program that does not know this schema.
func RunUnknown(ctx context.Context, db *database.DB) error {
	return run(ctx, db, []Step{{id: "0000_other"}})
}
