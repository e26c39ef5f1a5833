// Package dump writes the contents of a database into a folder, and loads them again, into either kind of database. A dump has the form
// of the database that wrote it: an SQLite file, or one file per table of PostgreSQL.
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
)

// ErrNotEmpty means that the database holds data that a restore would replace.
var ErrNotEmpty = errors.New("models: the database is not empty")

// Tables are the tables in a dump, parents before children. Sign-in codes, invitations and received Telegram updates are left out: they
// live for a short time.
var Tables = []string{"users", "threads", "messages", "telegram_links", "telegram_threads", "outbox", "switches", "blocks", "uploads",
	"first_answers", "notes", "canned_replies", "server_keys", "agents", "recovery_codes", "agent_pictures", "passkeys",
	"audit_entries", "settings"}

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

// files selects the URLs of all files that rows refer to and that are not about to be deleted.
const files = `SELECT url FROM uploads WHERE deleted_at IS NULL UNION SELECT thumb_url FROM uploads WHERE deleted_at IS NULL
	UNION SELECT file_url FROM messages WHERE file_url <> ''`

// Write writes a consistent snapshot of the database into an empty folder without blocking readers or writers. Texts stay encrypted. It
// calls file with the URL of each uploaded file that the snapshot refers to.
func Write(ctx context.Context, db *database.DB, dir string, file func(url string)) error {
	if db.Dialect == database.SQLite {
		return writeSQLite(ctx, db, filepath.Join(dir, dumpFile), file)
	}
	return writePostgres(ctx, db, dir, file)
}

// writeSQLite reads in one transaction of its own, which in WAL mode blocks no writer.
func writeSQLite(ctx context.Context, db *database.DB, path string, file func(url string)) error {
	pool, err := db.Read.DB()
	if err != nil {
		return err
	}
	conn, err := pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	// Otherwise SQLite refuses to create the new file, or makes it durable, which it need not be, while commits wait for the disk.
	if _, err := conn.ExecContext(ctx, "PRAGMA query_only = off; PRAGMA synchronous = off"); err != nil {
		return err
	}
	_, err = conn.ExecContext(ctx, "VACUUM INTO ?", path)
	if err == nil {
		err = filesSQLite(ctx, conn, path, file)
	}
	_, restored := conn.ExecContext(context.WithoutCancel(ctx), "PRAGMA synchronous = full; PRAGMA query_only = on")
	if err := errors.Join(err, restored); err != nil {
		return err
	}
	return os.Chmod(path, 0o600)
}

func filesSQLite(ctx context.Context, conn *sql.Conn, path string, file func(url string)) (err error) {
	if _, err := conn.ExecContext(ctx, "ATTACH ? AS dump", path); err != nil {
		return err
	}
	defer func() {
		_, detached := conn.ExecContext(context.WithoutCancel(ctx), "DETACH dump")
		err = errors.Join(err, detached)
	}()
	rows, err := conn.QueryContext(ctx, strings.NewReplacer("FROM ", "FROM dump.").Replace(files))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var url string
		if err := rows.Scan(&url); err != nil {
			return err
		}
		file(url)
	}
	return rows.Err()
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

func writePostgres(ctx context.Context, db *database.DB, dir string, file func(url string)) error {
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
		urls, err := tx.Query(ctx, files)
		if err != nil {
			return err
		}
		var url string
		if _, err := pgx.ForEachRow(urls, []any{&url}, func() error { file(url); return nil }); err != nil {
			return err
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
