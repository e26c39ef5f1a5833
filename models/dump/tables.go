package dump

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"gorm.io/gorm"

	"sohbet/models/database"
	"sohbet/models/migrate"
)

// maxRow is the maximum length of a row in a table's file, several times that of the longest message.
const maxRow = 4 << 20

// loadTables loads a dump of PostgreSQL with the schema of this program into PostgreSQL.
func loadTables(ctx context.Context, db *database.DB, dir string, schema dumpedSchema, o Options) error {
	return loadPostgres(ctx, db, o, func(_ *gorm.DB, conn *pgx.Conn) error {
		err := schema.check(func(table string) ([]string, error) {
			if !slices.Contains(Tables, table) {
				return nil, nil
			}
			return columnsPostgres(ctx, conn, table)
		})
		if err != nil {
			return err
		}
		for _, table := range Tables {
			if schema.Columns[table] == nil {
				continue // without rows
			}
			if err := copyIn(ctx, conn, filepath.Join(dir, table), table, schema.Columns[table]); err != nil {
				return fmt.Errorf("table %s: %w", table, err)
			}
			if last, ok := schema.Sequences[table]; ok {
				if err := setSequence(ctx, conn, table, last); err != nil {
					return err
				}
			}
		}
		return nil
	})
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

// tablesToSQLite makes an SQLite file of a dump of PostgreSQL, with the schema of the version that wrote it, and migrates it.
func tablesToSQLite(ctx context.Context, db *database.DB, dir string, schema dumpedSchema, path string) error {
	made, err := db.OpenFile(path)
	if err != nil {
		return err
	}
	return errors.Join(fillSQLite(ctx, made, dir, schema), made.Close())
}

func fillSQLite(ctx context.Context, made *database.DB, dir string, schema dumpedSchema) error {
	if err := schema.known(); err != nil {
		return err
	}
	if err := migrate.Only(ctx, made, schema.Steps); err != nil {
		return err
	}
	// The file is temporary. Tables may be filled in any order, because foreign keys are checked when the transaction ends.
	if err := made.Write.WithContext(ctx).Exec("PRAGMA synchronous = off").Error; err != nil {
		return err
	}
	err := made.Write.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		if err := tx.Exec("PRAGMA defer_foreign_keys = on").Error; err != nil {
			return err
		}
		all := make(map[string]columnList)
		err := schema.check(func(table string) ([]string, error) {
			if table == "schema_migrations" || strings.HasPrefix(table, "sqlite_") {
				return nil, nil
			}
			var err error
			all[table], err = columnsSQLite(tx, table, "main")
			return all[table].names, err
		})
		if err != nil {
			return err
		}
		for _, table := range slices.Sorted(maps.Keys(schema.Columns)) {
			if err := fillTable(ctx, tx, filepath.Join(dir, table), table, schema.Columns[table], all[table].types); err != nil {
				return fmt.Errorf("table %s: %w", table, err)
			}
		}
		for _, table := range slices.Sorted(maps.Keys(schema.Sequences)) {
			last := schema.Sequences[table]
			if err := tx.Exec("DELETE FROM sqlite_sequence WHERE name = ?", table).Error; err != nil {
				return err
			}
			if err := tx.Exec("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", table, last).Error; err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return migrate.Run(ctx, made)
}

// fillTable inserts the rows of a table's file, which is in the text format of COPY.
func fillTable(ctx context.Context, tx *gorm.DB, path, table string, columns []string, types map[string]string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	quoted := make([]string, len(columns))
	for i, c := range columns {
		quoted[i] = quoteSQLite(c)
	}
	insert, err := tx.Statement.ConnPool.PrepareContext(ctx, "INSERT INTO "+quoteSQLite(table)+" ("+strings.Join(quoted, ", ")+
		") VALUES (?"+strings.Repeat(", ?", len(columns)-1)+")")
	if err != nil {
		return err
	}
	defer func() { _ = insert.Close() }()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, maxRow)
	lines.Split(wholeLines)
	values := make([]any, len(columns))
	for n := 1; lines.Scan(); n++ {
		fields := strings.Split(lines.Text(), "\t")
		if len(fields) != len(columns) {
			return fmt.Errorf("row %d has %d values for %d columns: the backup is damaged", n, len(fields), len(columns))
		}
		for i, field := range fields {
			if values[i], err = copiedValue(field, types[columns[i]]); err != nil {
				return fmt.Errorf("row %d: %s holds %w", n, columns[i], err)
			}
		}
		if _, err := insert.ExecContext(ctx, values...); err != nil {
			return fmt.Errorf("row %d: %w", n, err)
		}
	}
	return lines.Err()
}

// wholeLines splits at line feeds, which end every row.
func wholeLines(data []byte, atEOF bool) (advance int, token []byte, err error) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1, data[:i], nil
	}
	if atEOF && len(data) > 0 {
		return 0, nil, io.ErrUnexpectedEOF
	}
	return 0, nil, nil
}

// copiedValue returns a value of COPY's text format as SQLite stores it in a column of a declared type.
func copiedValue(field, kind string) (any, error) {
	if field == `\N` {
		return nil, nil
	}
	text, err := unescape(field)
	if err != nil {
		return nil, err
	}
	switch {
	case strings.Contains(kind, "int"):
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, errors.New("a value that is not a number")
		}
		return n, nil
	case kind == "boolean":
		switch text {
		case "t":
			return int64(1), nil
		case "f":
			return int64(0), nil
		}
		return nil, errors.New("a value that is not a boolean")
	case kind == "timestamp":
		at, err := time.Parse("2006-01-02 15:04:05.999999", text)
		if err != nil {
			return nil, errors.New("a value that is not a timestamp")
		}
		return at, nil
	case kind == "blob":
		digits, ok := strings.CutPrefix(text, `\x`)
		b, err := hex.DecodeString(digits)
		if !ok || err != nil {
			return nil, errors.New("a value that is not a blob")
		}
		return b, nil
	case !utf8.ValidString(text):
		return nil, errors.New("a text that is not UTF-8")
	}
	return text, nil
}

// escapes are the backslash sequences that PostgreSQL writes.
var escapes = map[byte]byte{'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t', 'v': '\v', '\\': '\\'}

func unescape(field string) (string, error) {
	before, rest, found := strings.Cut(field, `\`)
	if !found {
		return field, nil
	}
	var b strings.Builder
	b.Grow(len(field))
	for found {
		b.WriteString(before)
		if rest == "" || escapes[rest[0]] == 0 {
			return "", errors.New("an unknown escape sequence")
		}
		b.WriteByte(escapes[rest[0]])
		before, rest, found = strings.Cut(rest[1:], `\`)
	}
	b.WriteString(before)
	return b.String(), nil
}
