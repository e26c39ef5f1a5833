package dump

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strings"

	"gorm.io/gorm"

	"sohbet/models/migrate"
)

// A dump is untrusted input, so no name from it becomes part of a statement: tables and columns are named as in this program's schema,
// and a dump that has others is refused.

// retired are tables and indexes of older versions, which the migrations drop from a copy.
var retired = []string{oldOutbox, "idx_telegram_outbox_thread_id", "idx_telegram_outbox_due"}

// checkSchemaSQLite refuses a copy that holds anything except this program's tables and their indexes: triggers, views, virtual tables
// and expression indexes would run code when the copy is migrated or read.
func checkSchemaSQLite(ctx context.Context, ours, dump *gorm.DB) error {
	known := make(map[string]bool)
	var names []string
	if err := ours.WithContext(ctx).Raw("SELECT name FROM sqlite_schema").Scan(&names).Error; err != nil {
		return err
	}
	for _, name := range slices.Concat(names, retired) {
		known[name] = true
	}
	var objects []struct {
		Type, Name, TblName string
		Rootpage            int64
	}
	if err := dump.WithContext(ctx).Raw("SELECT type, name, tbl_name, rootpage FROM sqlite_schema").Scan(&objects).Error; err != nil {
		return err
	}
	for _, o := range objects {
		ordinary := o.Type == "table" || o.Type == "index"
		named := known[o.Name] || strings.HasPrefix(o.Name, "sqlite_") // SQLite reserves this prefix for itself
		if !ordinary || !named || !known[o.TblName] && !strings.HasPrefix(o.TblName, "sqlite_") || o.Rootpage <= 0 {
			return fmt.Errorf("it has a %s %q that this version does not know: restore it with the version of Sohbet that made it", o.Type, o.Name)
		}
	}
	return nil
}

// columnsSQLite returns a table's columns with their declared types.
func columnsSQLite(ctx context.Context, tx *sql.Tx, table, schema string) (names []string, types map[string]string, err error) {
	rows, err := tx.QueryContext(ctx, "SELECT name, lower(type) FROM pragma_table_xinfo(?, ?) ORDER BY cid", table, schema)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	types = make(map[string]string)
	for rows.Next() {
		var name, kind string
		if err := rows.Scan(&name, &kind); err != nil {
			return nil, nil, err
		}
		names, types[name] = append(names, name), kind
	}
	return names, types, rows.Err()
}

// sameColumnsSQLite returns the quoted columns of one of this program's tables after checking that the attached dump has the same ones.
func sameColumnsSQLite(ctx context.Context, tx *sql.Tx, table string) (quoted []string, types map[string]string, err error) {
	ours, types, err := columnsSQLite(ctx, tx, table, "main")
	if err != nil {
		return nil, nil, err
	}
	theirs, _, err := columnsSQLite(ctx, tx, table, "dump")
	if err != nil {
		return nil, nil, err
	}
	if err := knownColumns(table, theirs, ours); err != nil {
		return nil, nil, err
	}
	for _, name := range ours {
		if !slices.Contains(theirs, name) {
			return nil, nil, fmt.Errorf("table %s lacks the column %q: this is not a Sohbet backup", table, name)
		}
		quoted = append(quoted, quoteSQLite(name))
	}
	return quoted, types, nil
}

// quoteSQLite quotes an identifier of this program's schema.
func quoteSQLite(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// knownColumns refuses a list of columns that has duplicates or names missing from ours.
func knownColumns(table string, columns, ours []string) error {
	for i, name := range columns {
		if slices.Contains(columns[:i], name) {
			return fmt.Errorf("table %s has a column %q twice: this is not a Sohbet backup", table, name)
		}
		if !slices.Contains(ours, name) {
			return fmt.Errorf("table %s has a column %q that this version does not know: restore it with the version of Sohbet that made it", table, name)
		}
	}
	return nil
}

// checkValuesSQLite refuses rows with values of a type other than their column's. SQLite itself accepts these, but reading such a row
// would fail later.
func checkValuesSQLite(ctx context.Context, tx *sql.Tx, table string, types map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(types)) {
		quoted := quoteSQLite(name)
		right := "text"
		switch kind := types[name]; {
		case strings.Contains(kind, "int"), kind == "boolean":
			right = "integer"
		case kind == "blob":
			right = "blob"
		}
		wrong := "typeof(" + quoted + ") NOT IN ('null', '" + right + "')"
		if types[name] == "timestamp" {
			wrong += " OR " + quoted + " IS NOT NULL AND datetime(" + quoted + ") IS NULL"
		}
		var found bool
		err := tx.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM dump."+table+" WHERE "+wrong+")").Scan(&found)
		if err != nil {
			return err
		}
		if found {
			return fmt.Errorf("table %s: %s holds a value that is not a %s", table, name, types[name])
		}
	}
	return nil
}

// check refuses an index of a PostgreSQL dump that names anything not in this program's schema. columns returns the columns of a table.
func (d dumpedSchema) check(columns func(table string) ([]string, error)) error {
	for _, id := range d.Steps {
		if !migrate.Known(id) {
			return fmt.Errorf("it was made by a newer Sohbet, which knows the migration %q: restore it with that version", id)
		}
	}
	for table := range d.Columns {
		if table == oldOutbox {
			if err := knownColumns(table, d.Columns[table], oldOutboxColumns); err != nil {
				return err
			}
			continue
		}
		if !slices.Contains(Tables, table) {
			return fmt.Errorf("it has a table %q that this version does not know: restore it with the version of Sohbet that made it", table)
		}
		ours, err := columns(table)
		if err != nil {
			return err
		}
		if err := knownColumns(table, d.Columns[table], ours); err != nil {
			return err
		}
	}
	for table, last := range d.Sequences {
		if table != oldOutbox && !slices.Contains(Tables, table) || slices.Contains(unnumbered, table) || last < 1 {
			return fmt.Errorf("the last number of table %q is %d: this is not a Sohbet backup", table, last)
		}
	}
	return nil
}
