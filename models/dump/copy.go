package dump

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"gorm.io/gorm"

	"sohbet/models/database"
)

// loadCopy replaces the contents of a PostgreSQL database with those of a migrated SQLite file.
func loadCopy(ctx context.Context, db *database.DB, path string, o Options) error {
	dump, err := db.OpenFile(path)
	if err != nil {
		return err
	}
	err = loadPostgres(ctx, db, o, func(_ *gorm.DB, conn *pgx.Conn) error {
		for _, table := range Tables {
			if err := copyTable(ctx, dump.Read.WithContext(ctx), conn, table); err != nil {
				return fmt.Errorf("table %s: %w", table, err)
			}
		}
		return nil
	})
	return errors.Join(err, dump.Close())
}

func copyTable(ctx context.Context, dump *gorm.DB, conn *pgx.Conn, table string) error {
	ours, err := columnsPostgres(ctx, conn, table)
	if err != nil {
		return err
	}
	quoted, err := sameColumnsSQLite(dump, table, "main", ours)
	if err != nil {
		return err
	}
	columns, err := columnsSQLite(dump, table, "main")
	if err != nil {
		return err
	}
	if err := checkValuesSQLite(dump, "main."+table, columns.types); err != nil {
		return err
	}
	found, err := dump.Raw("SELECT " + strings.Join(quoted, ", ") + " FROM " + table).Rows()
	if err != nil {
		return err
	}
	defer found.Close()
	types := make([]string, len(ours))
	for i, name := range ours {
		types[i] = columns.types[name]
	}
	if _, err := conn.CopyFrom(ctx, pgx.Identifier{table}, ours, &storedRows{rows: found, columns: ours, types: types}); err != nil {
		return err
	}
	if slices.Contains(unnumbered, table) {
		return nil
	}
	var last []int64
	if err := dump.Raw("SELECT seq FROM sqlite_sequence WHERE name = ? AND seq > 0", table).Scan(&last).Error; err != nil || len(last) == 0 {
		return err
	}
	return setSequence(ctx, conn, table, last[0])
}

// storedRows are rows of SQLite as a source of COPY.
type storedRows struct {
	rows           *sql.Rows
	columns, types []string
	err            error
}

func (r *storedRows) Next() bool { return r.err == nil && r.rows.Next() }

func (r *storedRows) Err() error { return errors.Join(r.err, r.rows.Err()) }

func (r *storedRows) Values() ([]any, error) {
	values, into := make([]any, len(r.columns)), make([]any, len(r.columns))
	for i := range values {
		into[i] = &values[i]
	}
	if err := r.rows.Scan(into...); err != nil {
		return nil, err
	}
	for i, value := range values {
		var err error
		if values[i], err = postgresValue(value, r.types[i]); err != nil {
			return nil, fmt.Errorf("%s holds %w", r.columns[i], err)
		}
	}
	return values, nil
}

// storedTimes are the formats in which SQLite's drivers may leave a time as a text.
var storedTimes = []string{"2006-01-02 15:04:05.999999999-07:00", "2006-01-02 15:04:05.999999999", time.RFC3339Nano}

// postgresValue returns a value that a driver of SQLite read from a column of a declared type, as pgx takes it. The two drivers return
// different types for the same value.
func postgresValue(value any, kind string) (any, error) {
	if text, ok := value.([]byte); ok && kind != "blob" {
		value = string(text)
	}
	switch v := value.(type) {
	case int64:
		if kind == "boolean" {
			return v != 0, nil
		}
	case time.Time:
		return v.UTC(), nil
	case string:
		if kind != "timestamp" {
			return v, nil
		}
		for _, format := range storedTimes {
			if at, err := time.Parse(format, v); err == nil {
				return at.UTC(), nil
			}
		}
		return nil, errors.New("a value that is not a timestamp")
	}
	return value, nil
}
