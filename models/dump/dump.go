// Package dump writes the contents of a database into a folder, and loads them again. A dump is of the database that wrote it: an SQLite
// file, or one file per table of PostgreSQL.
package dump

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"sohbet/models/database"
	"sohbet/models/migrate"
)

// ErrNotEmpty means that the database holds data that a restore would replace.
var ErrNotEmpty = errors.New("models: the database is not empty")

// Tables are the tables in a dump, parents before children. Sign-in codes and received Telegram updates are left out: they live for
// minutes.
var Tables = []string{"users", "threads", "messages", "telegram_links", "telegram_threads", "outbox", "switches", "blocks", "uploads",
	"first_answers", "notes", "canned_replies", "server_keys"}

// unnumbered are the dump tables whose ids do not come from a sequence.
var unnumbered = []string{"threads", "blocks"}

const (
	dumpFile  = "chat.db"     // SQLite: the whole database
	dumpIndex = "tables.json" // PostgreSQL: a dumpedSchema, next to one file per table
)

type dumpedSchema struct {
	Steps     []string            `json:"steps"`     // migrations that had been applied
	Columns   map[string][]string `json:"columns"`   // by table, in the order of its file
	Sequences map[string]int64    `json:"sequences"` // by table: the last id handed out
}

// Write writes a consistent snapshot of the database into an empty folder without blocking readers or writers. Texts stay encrypted.
func Write(ctx context.Context, db *database.DB, dir string) error {
	if db.Dialect == database.SQLite {
		return writeSQLite(ctx, db, filepath.Join(dir, dumpFile))
	}
	return writePostgres(ctx, db, dir)
}

// writeSQLite reads in one transaction of its own, which in WAL mode blocks no writer.
func writeSQLite(ctx context.Context, db *database.DB, path string) error {
	pool, err := db.Read.DB()
	if err != nil {
		return err
	}
	conn, err := pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.ExecContext(ctx, "PRAGMA query_only = off"); err != nil { // otherwise SQLite refuses to create the new file
		return err
	}
	_, err = conn.ExecContext(ctx, "VACUUM INTO ?", path)
	_, restored := conn.ExecContext(context.WithoutCancel(ctx), "PRAGMA query_only = on")
	if err := errors.Join(err, restored); err != nil {
		return err
	}
	return os.Chmod(path, 0o600)
}

// onPostgres runs f on a dedicated connection.
func onPostgres(ctx context.Context, db *database.DB, f func(*pgx.Conn) error) error {
	pool, err := db.Write.DB()
	if err != nil {
		return err
	}
	conn, err := pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	return conn.Raw(func(driver any) error { return f(driver.(*stdlib.Conn).Conn()) })
}

func writePostgres(ctx context.Context, db *database.DB, dir string) error {
	return onPostgres(ctx, db, func(conn *pgx.Conn) error {
		tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
		schema := dumpedSchema{Columns: make(map[string][]string), Sequences: make(map[string]int64)}
		if schema.Steps, err = column(tx.Query(ctx, "SELECT id FROM schema_migrations ORDER BY id")); err != nil {
			return err
		}
		for _, table := range Tables {
			names, err := columnsPostgres(ctx, conn, table)
			if err != nil {
				return err
			}
			schema.Columns[table] = names
			if err := copyOut(ctx, conn, filepath.Join(dir, table), table, names); err != nil {
				return fmt.Errorf("table %s: %w", table, err)
			}
			if slices.Contains(unnumbered, table) {
				continue
			}
			// The sequence is read after the rows, so its value is at least their highest id.
			var last int64
			if err := tx.QueryRow(ctx, "SELECT last_value FROM "+table+"_id_seq").Scan(&last); err != nil {
				return err
			}
			schema.Sequences[table] = last
		}
		text, err := json.Marshal(schema)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, dumpIndex), text, 0o600)
	})
}

func column(rows pgx.Rows, err error) ([]string, error) {
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// columnsPostgres returns the columns of a table in the order of the table. Within a transaction on conn it sees that transaction's
// snapshot.
func columnsPostgres(ctx context.Context, conn *pgx.Conn, table string) ([]string, error) {
	return column(conn.Query(ctx, `SELECT attname FROM pg_attribute
		WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped ORDER BY attnum`, table))
}

func copyOut(ctx context.Context, conn *pgx.Conn, path, table string, columns []string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = conn.PgConn().CopyTo(ctx, f, "COPY "+table+" ("+strings.Join(columns, ", ")+") TO STDOUT")
	return errors.Join(err, f.Close())
}

// Load replaces the contents of the database with a dump from a folder, in one transaction: on failure nothing changes. Without force a
// database that holds any data is refused with ErrNotEmpty. It returns the migrations of rows that the dump has not been through.
func Load(ctx context.Context, db *database.DB, dir string, force bool) ([]migrate.Step, error) {
	if db.Dialect == database.SQLite {
		return nil, loadSQLite(ctx, db, filepath.Join(dir, dumpFile), force)
	}
	return loadPostgres(ctx, db, dir, force)
}

func loadSQLite(ctx context.Context, db *database.DB, path string, force bool) error {
	if _, err := os.Stat(path); err != nil {
		return err
	}
	// Check every page of the copy and migrate it, or fail if it comes from a newer program.
	dump, err := db.OpenFile(path)
	if err != nil {
		return err
	}
	if err := errors.Join(prepareCopy(ctx, db, dump), dump.Close()); err != nil {
		return err
	}
	pool, err := db.Write.DB()
	if err != nil {
		return err
	}
	conn, err := pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.ExecContext(ctx, "ATTACH ? AS dump", path); err != nil {
		return err
	}
	err = replaceSQLite(ctx, conn, force)
	_, detached := conn.ExecContext(context.WithoutCancel(ctx), "DETACH dump")
	return errors.Join(err, detached)
}

func prepareCopy(ctx context.Context, db, dump *database.DB) error {
	// Functions that the schema refers to must not be able to affect anything outside the database.
	if err := dump.Write.WithContext(ctx).Exec("PRAGMA trusted_schema = off").Error; err != nil {
		return err
	}
	if err := checkSchemaSQLite(ctx, db.Read, dump.Write); err != nil {
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

func replaceSQLite(ctx context.Context, conn *sql.Conn, force bool) error {
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	var users int64
	if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM main.users").Scan(&users); err != nil {
		return err
	}
	if users > 0 && !force {
		return ErrNotEmpty
	}
	var statements []string
	for _, table := range slices.Backward(Tables) {
		statements = append(statements, "DELETE FROM main."+table)
	}
	for _, table := range Tables {
		columns, types, err := sameColumnsSQLite(ctx, tx, table)
		if err == nil {
			err = checkValuesSQLite(ctx, tx, table, types)
		}
		if err != nil {
			return err
		}
		names := strings.Join(columns, ", ")
		statements = append(statements, "INSERT INTO main."+table+" ("+names+") SELECT "+names+" FROM dump."+table)
	}
	// Take the higher of the two sequence values, so that no id is used twice.
	statements = append(statements,
		`UPDATE main.sqlite_sequence SET seq = max(seq, coalesce((SELECT d.seq FROM dump.sqlite_sequence d WHERE d.name = main.sqlite_sequence.name), 0))`,
		`INSERT INTO main.sqlite_sequence (name, seq) SELECT name, seq FROM dump.sqlite_sequence WHERE name NOT IN (SELECT name FROM main.sqlite_sequence)`)
	for _, statement := range statements {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return tx.Commit()
}

func loadPostgres(ctx context.Context, db *database.DB, dir string, force bool) ([]migrate.Step, error) {
	text, err := os.ReadFile(filepath.Join(dir, dumpIndex))
	if err != nil {
		return nil, err
	}
	var schema dumpedSchema
	if err := json.Unmarshal(text, &schema); err != nil {
		return nil, err
	}
	return migrate.Rewrites(schema.Steps), onPostgres(ctx, db, func(conn *pgx.Conn) error {
		err := schema.check(func(table string) ([]string, error) { return columnsPostgres(ctx, conn, table) })
		if err != nil {
			return err
		}
		tx, err := conn.Begin(ctx)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
		tables := strings.Join(Tables, ", ")
		if _, err := tx.Exec(ctx, "LOCK TABLE "+tables+" IN ACCESS EXCLUSIVE MODE"); err != nil {
			return err
		}
		var used bool
		if err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM users)").Scan(&used); err != nil {
			return err
		}
		if used && !force {
			return ErrNotEmpty
		}
		if _, err := tx.Exec(ctx, "TRUNCATE "+tables); err != nil {
			return err
		}
		for _, table := range Tables {
			if schema.Columns[table] == nil {
				continue // the dump is older than the table
			}
			if err := copyIn(ctx, conn, filepath.Join(dir, table), table, schema.Columns[table]); err != nil {
				return fmt.Errorf("table %s: %w", table, err)
			}
			if last, ok := schema.Sequences[table]; ok {
				sequence := table + "_id_seq"
				if _, err := tx.Exec(ctx, "SELECT setval('"+sequence+"', greatest($1, (SELECT last_value FROM "+sequence+")))", last); err != nil {
					return err
				}
			}
		}
		if columns := schema.Columns[oldOutbox]; columns != nil {
			if err := loadOldOutbox(ctx, conn, filepath.Join(dir, oldOutbox), columns); err != nil {
				return fmt.Errorf("table %s: %w", oldOutbox, err)
			}
		}
		return tx.Commit(ctx)
	})
}

// oldOutbox is the table in which older versions queued messages for Telegram.
const oldOutbox = "telegram_outbox"

var oldOutboxColumns = []string{"id", "thread_id", "message_id", "kind", "parts", "tries", "due_at", "created_at"}

func loadOldOutbox(ctx context.Context, conn *pgx.Conn, path string, columns []string) error {
	_, err := conn.Exec(ctx, "CREATE TEMPORARY TABLE "+oldOutbox+` (id bigint, thread_id text, message_id bigint, kind text,
		parts integer, tries integer, due_at timestamp, created_at timestamp) ON COMMIT DROP`)
	if err != nil {
		return err
	}
	if err := copyIn(ctx, conn, path, oldOutbox, columns); err != nil {
		return err
	}
	_, err = conn.Exec(ctx, migrate.MoveTelegramOutbox)
	return err
}

// copyIn loads one table with COPY. It quotes the column names, because the dump file is untrusted.
func copyIn(ctx context.Context, conn *pgx.Conn, path, table string, columns []string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	quoted := make([]string, len(columns))
	for i, c := range columns {
		quoted[i] = pgx.Identifier{c}.Sanitize()
	}
	_, err = conn.PgConn().CopyFrom(ctx, f, "COPY "+table+" ("+strings.Join(quoted, ", ")+") FROM STDIN")
	return err
}
