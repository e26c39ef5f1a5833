// Package migrate brings the schema of a database up to date.
package migrate

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/go-gormigrate/gormigrate/v2"
	"gorm.io/gorm"

	"sohbet/models/database"
)

// ErrNewer means that the database has migrations that this program does not know. The database is left unchanged.
var ErrNewer = errors.New("the database was written by a newer Sohbet; start that version, or restore a backup made before the upgrade")

// migrationLock is the advisory lock that a migrating process holds on PostgreSQL ("sohbet" in hex).
const migrationLock = 0x736f68626574

// Run brings the schema up to date in one transaction. Two processes that start at the same time run one after the other: on
// PostgreSQL by an advisory lock that ends with the transaction, on SQLite because every write transaction begins IMMEDIATE. A schema
// newer than this program is refused.
func Run(ctx context.Context, db *database.DB) error { return run(ctx, db, steps) }

func run(ctx context.Context, db *database.DB, steps []Step) error {
	words := strings.NewReplacer(columnTypes[db.Dialect]...)
	migrations := make([]*gormigrate.Migration, len(steps))
	for i, st := range steps {
		migrations[i] = &gormigrate.Migration{
			ID: st.id,
			Migrate: func(tx *gorm.DB) error {
				if len(st.statements) > 0 {
					if err := tx.Exec(words.Replace(strings.Join(st.statements, ";\n"))).Error; err != nil {
						return fmt.Errorf("step %s: %w", st.id, err)
					}
				}
				return st.Rewrite(tx)
			},
		}
	}
	options := &gormigrate.Options{
		TableName:                 "schema_migrations",
		IDColumnName:              "id",
		IDColumnSize:              100,
		ValidateUnknownMigrations: true,
	}
	err := db.Write.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		if db.Dialect == database.Postgres {
			if err := tx.Exec("SELECT pg_advisory_xact_lock(?)", int64(migrationLock)).Error; err != nil {
				return err
			}
		}
		return gormigrate.New(tx, options, migrations).Migrate()
	})
	if errors.Is(err, gormigrate.ErrUnknownPastMigration) {
		return ErrNewer
	}
	if err != nil {
		return fmt.Errorf("models: migrate the schema: %w", err)
	}
	return nil
}
