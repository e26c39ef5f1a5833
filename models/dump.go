package models

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
	"gorm.io/gorm"
)

// ErrNotEmpty means that the database holds data that a restore would replace.
var ErrNotEmpty = errors.New("models: the database is not empty")

// dumpTables are the tables in a dump, parents before children. Sign-in codes and received Telegram updates are left out: they live for
// minutes.
var dumpTables = []string{"users", "threads", "messages", "telegram_links", "telegram_threads", "outbox", "switches", "blocks", "uploads",
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

// Dump writes a consistent snapshot of the database into an empty folder without blocking readers or writers. Texts stay encrypted.
func (s *Store) Dump(ctx context.Context, dir string) error {
	var err error
	if s.dialect == dialectSQLite {
		err = s.dumpSQLite(ctx, filepath.Join(dir, dumpFile))
	} else {
		err = s.dumpPostgres(ctx, dir)
	}
	return s.failed("dump the database", err)
}

// dumpSQLite reads in one transaction of its own, which in WAL mode blocks no writer.
func (s *Store) dumpSQLite(ctx context.Context, path string) error {
	pool, err := s.read.DB()
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
func (s *Store) onPostgres(ctx context.Context, f func(*pgx.Conn) error) error {
	pool, err := s.write.DB()
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

func (s *Store) dumpPostgres(ctx context.Context, dir string) error {
	return s.onPostgres(ctx, func(conn *pgx.Conn) error {
		tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
		schema := dumpedSchema{Columns: make(map[string][]string), Sequences: make(map[string]int64)}
		if schema.Steps, err = column(tx.Query(ctx, "SELECT id FROM schema_migrations ORDER BY id")); err != nil {
			return err
		}
		for _, table := range dumpTables {
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

// Load replaces the contents of the database with a dump that Dump wrote into a folder, in one transaction: on failure nothing changes.
// Without force a database that holds any data is refused with ErrNotEmpty. A server running at the same time serves its cached data
// until it expires.
func (s *Store) Load(ctx context.Context, dir string, force bool) error {
	var err error
	var older []step // data migrations that the rows of an older dump have not been through
	if s.dialect == dialectSQLite {
		err = s.loadSQLite(ctx, filepath.Join(dir, dumpFile), force)
	} else {
		older, err = s.loadPostgres(ctx, dir, force)
	}
	if errors.Is(err, ErrNotEmpty) {
		return err
	}
	s.cache.forgetAll()
	if err == nil && len(older) > 0 {
		err = s.transaction(ctx, func(tx *gorm.DB) error {
			for _, st := range older {
				if err := st.run(tx); err != nil {
					return fmt.Errorf("step %s: %w", st.id, err)
				}
			}
			return nil
		})
	}
	if err == nil {
		err = s.sealReadable(ctx) // the dump may predate the encryption of these texts
	}
	if err != nil {
		return s.failed("load a dump", err)
	}
	// Sessions ended after the dump was made must not become valid again.
	return s.EndAllSessions(ctx)
}

// Empty reports whether the database has no users, as on a fresh installation.
func (s *Store) Empty(ctx context.Context) (bool, error) {
	var users []User
	err := again(ctx, func() error { return s.read.WithContext(ctx).Limit(1).Find(&users).Error })
	return len(users) == 0, s.failed("check whether the database is empty", err)
}

func (s *Store) loadSQLite(ctx context.Context, path string, force bool) error {
	if _, err := os.Stat(path); err != nil {
		return err
	}
	// Check every page of the copy and migrate it, or fail if it comes from a newer program.
	read, write, err := openSQLite(path, s.config)
	if err != nil {
		return err
	}
	err = errors.Join(s.readyCopy(ctx, write), (&Store{read: read, write: write}).closePools())
	if err != nil {
		return err
	}
	pool, err := s.write.DB()
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

func (s *Store) readyCopy(ctx context.Context, dump *gorm.DB) error {
	// Functions that the schema refers to must not be able to affect anything outside the database.
	if err := dump.WithContext(ctx).Exec("PRAGMA trusted_schema = off").Error; err != nil {
		return err
	}
	if err := checkSchemaSQLite(ctx, s.read, dump); err != nil {
		return err
	}
	var verdict string
	if err := dump.WithContext(ctx).Raw("PRAGMA integrity_check(1)").Scan(&verdict).Error; err != nil {
		return err
	}
	if verdict != "ok" {
		return errors.New("the copy is damaged")
	}
	return migrate(ctx, dump, dialectSQLite, steps)
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
	for _, table := range slices.Backward(dumpTables) {
		statements = append(statements, "DELETE FROM main."+table)
	}
	for _, table := range dumpTables {
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

// loadPostgres returns the data migrations that were added after the dump was made.
func (s *Store) loadPostgres(ctx context.Context, dir string, force bool) (older []step, err error) {
	text, err := os.ReadFile(filepath.Join(dir, dumpIndex))
	if err != nil {
		return nil, err
	}
	var schema dumpedSchema
	if err := json.Unmarshal(text, &schema); err != nil {
		return nil, err
	}
	for _, st := range steps {
		if st.run != nil && !slices.Contains(schema.Steps, st.id) {
			older = append(older, st)
		}
	}
	return older, s.onPostgres(ctx, func(conn *pgx.Conn) error {
		err := schema.check(func(table string) ([]string, error) { return columnsPostgres(ctx, conn, table) })
		if err != nil {
			return err
		}
		tx, err := conn.Begin(ctx)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
		tables := strings.Join(dumpTables, ", ")
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
		for _, table := range dumpTables {
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
	_, err = conn.Exec(ctx, moveTelegramOutbox)
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
