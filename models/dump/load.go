package dump

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"gorm.io/gorm"

	"sohbet/models/database"
	"sohbet/models/migrate"
)

// Options say how to load a dump.
type Options struct {
	// Force replaces the data of a database that is not empty.
	Force bool
	// Within, if set, runs in the transaction once the rows are loaded; its error undoes everything.
	Within func(tx *gorm.DB) error
}

// Load replaces the contents of the database with a dump from a folder, in one transaction: on failure nothing changes. The dump may be
// of an older version and of the other kind of database: it becomes an SQLite file with the schema of its version, which is migrated like
// any database before its rows are copied. The folder is changed. Without Force a database that holds any data is refused with
// ErrNotEmpty.
func Load(ctx context.Context, db *database.DB, dir string, o Options) error {
	path := filepath.Join(dir, dumpFile)
	_, err := os.Stat(path)
	switch {
	case err == nil:
		err = migrateCopy(ctx, db, path)
	case errors.Is(err, fs.ErrNotExist):
		var schema dumpedSchema
		if schema, err = readIndex(dir); err != nil {
			return err
		}
		if db.Dialect == database.Postgres && migrate.Complete(schema.Steps) { // needs no migration
			return loadTables(ctx, db, dir, schema, o)
		}
		err = tablesToSQLite(ctx, db, dir, schema, path)
	}
	if err != nil {
		return err
	}
	if db.Dialect == database.SQLite {
		return loadSQLite(ctx, db, path, o)
	}
	return loadCopy(ctx, db, path, o)
}

func readIndex(dir string) (schema dumpedSchema, err error) {
	text, err := os.ReadFile(filepath.Join(dir, dumpIndex))
	if errors.Is(err, fs.ErrNotExist) {
		return schema, errors.New("it holds no database: this is not a Sohbet backup")
	}
	if err != nil {
		return schema, err
	}
	if err := json.Unmarshal(text, &schema); err != nil {
		return schema, fmt.Errorf("its %s is damaged: %w", dumpIndex, err)
	}
	return schema, nil
}

// migrateCopy checks every page of a copy of an SQLite database and migrates it; it fails if the copy comes from a newer program.
func migrateCopy(ctx context.Context, db *database.DB, path string) error {
	dump, err := db.OpenFile(path)
	if err != nil {
		return err
	}
	return errors.Join(prepareCopy(ctx, dump, path+".schema"), dump.Close())
}

// prepareCopy may write a file at scratch.
func prepareCopy(ctx context.Context, dump *database.DB, scratch string) error {
	// Functions that the schema refers to must not be able to affect anything outside the database.
	if err := dump.Write.WithContext(ctx).Exec("PRAGMA trusted_schema = off").Error; err != nil {
		return err
	}
	if err := checkSchemaSQLite(ctx, dump, scratch); err != nil {
		return err
	}
	var verdict string
	if err := dump.Write.WithContext(ctx).Raw("PRAGMA integrity_check(1)").Scan(&verdict).Error; err != nil {
		return err
	}
	if verdict != "ok" {
		return errors.New("the copy is damaged")
	}
	return migrate.Run(ctx, dump)
}

// replace runs load on one connection, in a transaction that has emptied the tables, and then o.Within.
func replace(db *gorm.DB, empty func(tx *gorm.DB) error, load func(tx *gorm.DB) error, o Options) error {
	return db.Transaction(func(tx *gorm.DB) error {
		if err := empty(tx); err != nil {
			return err
		}
		if err := load(tx); err != nil {
			return err
		}
		if o.Within == nil {
			return nil
		}
		return o.Within(tx)
	})
}

func mustBeEmpty(tx *gorm.DB, force bool) error {
	var used bool
	if err := tx.Raw("SELECT EXISTS (SELECT 1 FROM users)").Scan(&used).Error; err != nil {
		return err
	}
	if used && !force {
		return ErrNotEmpty
	}
	return nil
}

// loadSQLite replaces the contents of an SQLite database with those of a migrated copy.
func loadSQLite(ctx context.Context, db *database.DB, path string, o Options) error {
	return db.Write.WithContext(ctx).Connection(func(conn *gorm.DB) (err error) {
		if err := conn.Exec("ATTACH ? AS dump", path).Error; err != nil {
			return err
		}
		defer func() {
			if detached := conn.WithContext(context.WithoutCancel(ctx)).Exec("DETACH dump").Error; err == nil { // it fails too after an interruption
				err = detached
			}
		}()
		return replace(conn, func(tx *gorm.DB) error { return emptySQLite(tx, o.Force) }, copySQLite, o)
	})
}

func emptySQLite(tx *gorm.DB, force bool) error {
	if err := mustBeEmpty(tx, force); err != nil {
		return err
	}
	for i := range Tables {
		if err := tx.Exec("DELETE FROM main." + Tables[len(Tables)-1-i]).Error; err != nil {
			return err
		}
	}
	return nil
}

func copySQLite(tx *gorm.DB) error {
	for _, table := range Tables {
		ours, err := columnsSQLite(tx, table, "main")
		if err != nil {
			return err
		}
		columns, err := sameColumnsSQLite(tx, table, "dump", ours.names)
		if err != nil {
			return err
		}
		if err := checkValuesSQLite(tx, "dump."+table, ours.types); err != nil {
			return fmt.Errorf("table %s: %w", table, err)
		}
		names := strings.Join(columns, ", ")
		if err := tx.Exec("INSERT INTO main." + table + " (" + names + ") SELECT " + names + " FROM dump." + table).Error; err != nil {
			return fmt.Errorf("table %s: %w", table, err)
		}
	}
	// Take the higher of the two sequence values, so that no id is used twice.
	for _, statement := range []string{
		`UPDATE main.sqlite_sequence SET seq = max(seq, coalesce((SELECT d.seq FROM dump.sqlite_sequence d WHERE d.name = main.sqlite_sequence.name), 0))`,
		`INSERT INTO main.sqlite_sequence (name, seq) SELECT name, seq FROM dump.sqlite_sequence WHERE name NOT IN (SELECT name FROM main.sqlite_sequence)`,
	} {
		if err := tx.Exec(statement).Error; err != nil {
			return err
		}
	}
	return nil
}

// loadPostgres replaces the contents of a PostgreSQL database with what load copies over the connection of the transaction.
func loadPostgres(ctx context.Context, db *database.DB, o Options, load func(tx *gorm.DB, conn *pgx.Conn) error) error {
	return db.Write.WithContext(ctx).Connection(func(conn *gorm.DB) error {
		pinned, ok := conn.Statement.ConnPool.(*sql.Conn)
		if !ok {
			return fmt.Errorf("dump: the connection is a %T", conn.Statement.ConnPool)
		}
		return replace(conn, func(tx *gorm.DB) error { return emptyPostgres(tx, o.Force) }, func(tx *gorm.DB) error {
			return pinned.Raw(func(driver any) error { return load(tx, driver.(*stdlib.Conn).Conn()) })
		}, o)
	})
}

func emptyPostgres(tx *gorm.DB, force bool) error {
	tables := strings.Join(Tables, ", ")
	if err := tx.Exec("LOCK TABLE " + tables + " IN ACCESS EXCLUSIVE MODE").Error; err != nil {
		return err
	}
	if err := mustBeEmpty(tx, force); err != nil {
		return err
	}
	return tx.Exec("TRUNCATE " + tables).Error
}

// setSequence makes the ids of a PostgreSQL table continue after last.
func setSequence(ctx context.Context, conn *pgx.Conn, table string, last int64) error {
	sequence := table + "_id_seq"
	_, err := conn.Exec(ctx, "SELECT setval('"+sequence+"', greatest($1, (SELECT last_value FROM "+sequence+")))", last)
	return err
}
