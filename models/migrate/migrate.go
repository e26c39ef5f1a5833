// Package migrate brings the schema of a database up to date.
package migrate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-gormigrate/gormigrate/v2"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

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

// Only gives an empty database the schema that the given steps make, which is that of an older version; all of them must be Known.
func Only(ctx context.Context, db *database.DB, ids []string) error {
	return run(ctx, db, slices.DeleteFunc(slices.Clone(steps), func(s Step) bool { return !slices.Contains(ids, s.id) }))
}

// Known reports whether the schema of this program has a step.
func Known(id string) bool {
	return slices.ContainsFunc(steps, func(s Step) bool { return s.id == id })
}

// Complete reports whether a database with the given steps has the schema of this program.
func Complete(ids []string) bool {
	return !slices.ContainsFunc(steps, func(s Step) bool { return !slices.Contains(ids, s.id) })
}

// applied reports whether the database has the given steps and no others, with a single query: gormigrate makes one for each step, which
// delays every start by as many round trips.
func applied(ctx context.Context, db *database.DB, steps []Step) bool {
	var ids []string
	quiet := db.Write.Session(&gorm.Session{Context: ctx, Logger: logger.Discard}) // a new database has no such table
	if err := quiet.Raw("SELECT id FROM schema_migrations").Scan(&ids).Error; err != nil || len(ids) != len(steps) {
		return false
	}
	return !slices.ContainsFunc(steps, func(s Step) bool { return !slices.Contains(ids, s.id) })
}

func run(ctx context.Context, db *database.DB, steps []Step) error {
	if applied(ctx, db, steps) {
		return nil
	}
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
				if st.rewrite == nil {
					return nil
				}
				if err := st.rewrite(tx); err != nil {
					return fmt.Errorf("step %s: %w", st.id, err)
				}
				return nil
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
