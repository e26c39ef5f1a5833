package dump

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"gorm.io/gorm"

	"sohbet/models/database"
	"sohbet/models/migrate"
)

// A dump is untrusted input, so no name from it becomes part of a statement: tables and columns are named as in this program's schema,
// and a dump that has others is refused.

// checkSchemaSQLite refuses a copy that holds anything except the tables and indexes of the version that made it: triggers, views,
// virtual tables and expression indexes would run code when the copy is migrated or read. That version's schema is made at scratch.
func checkSchemaSQLite(ctx context.Context, dump *database.DB, scratch string) error {
	type object struct {
		Type, Name, TblName string
		Rootpage            int64
	}
	const all = "SELECT type, name, tbl_name, rootpage FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'" // SQLite reserves this prefix for itself
	unknown := func(o object) error {
		return fmt.Errorf("it has a %s %q that this version does not know: restore it with the version of Sohbet that made it", o.Type, o.Name)
	}
	var objects, known []object
	if err := dump.Write.WithContext(ctx).Raw(all).Scan(&objects).Error; err != nil {
		return err
	}
	for _, o := range objects {
		if o.Type != "table" && o.Type != "index" || o.Rootpage <= 0 {
			return unknown(o)
		}
	}
	var made dumpedSchema
	err := dump.Write.WithContext(ctx).Raw("SELECT id FROM schema_migrations").Scan(&made.Steps).Error
	if err == nil {
		err = made.known()
	}
	if err != nil {
		return err
	}
	reference, err := dump.OpenFile(scratch)
	if err != nil {
		return err
	}
	err = migrate.Only(ctx, reference, made.Steps)
	if err == nil {
		err = reference.Write.WithContext(ctx).Raw(all).Scan(&known).Error
	}
	if err := errors.Join(err, reference.Close()); err != nil {
		return err
	}
	for _, o := range objects {
		if !slices.ContainsFunc(known, func(k object) bool { return k.Type == o.Type && k.Name == o.Name && k.TblName == o.TblName }) {
			return unknown(o)
		}
	}
	return nil
}

// columnList has the names of a table's columns and their declared types in lower case.
type columnList struct {
	names []string
	types map[string]string
}

func columnsSQLite(tx *gorm.DB, table, schema string) (columnList, error) {
	var rows []struct{ Name, Kind string }
	err := tx.Raw("SELECT name, lower(type) AS kind FROM pragma_table_xinfo(?, ?) ORDER BY cid", table, schema).Scan(&rows).Error
	list := columnList{types: make(map[string]string, len(rows))}
	for _, row := range rows {
		list.names = append(list.names, row.Name)
		list.types[row.Name] = row.Kind
	}
	return list, err
}

// sameColumnsSQLite returns the quoted columns of one of this program's tables after checking that the same table of another file has
// the same ones.
func sameColumnsSQLite(tx *gorm.DB, table, schema string, ours []string) (quoted []string, err error) {
	theirs, err := columnsSQLite(tx, table, schema)
	if err != nil {
		return nil, err
	}
	if err := knownColumns(table, theirs.names, ours); err != nil {
		return nil, err
	}
	for _, name := range ours {
		if !slices.Contains(theirs.names, name) {
			return nil, fmt.Errorf("table %s lacks the column %q: this is not a Sohbet backup", table, name)
		}
		quoted = append(quoted, quoteSQLite(name))
	}
	return quoted, nil
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
func checkValuesSQLite(tx *gorm.DB, table string, types map[string]string) error {
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
		if err := tx.Raw("SELECT EXISTS (SELECT 1 FROM " + table + " WHERE " + wrong + ")").Scan(&found).Error; err != nil {
			return err
		}
		if found {
			return fmt.Errorf("%s holds a value that is not a %s", name, types[name])
		}
	}
	return nil
}

// known refuses a dump with migrations that this program does not have.
func (d dumpedSchema) known() error {
	for _, id := range d.Steps {
		if !migrate.Known(id) {
			return fmt.Errorf("it was made by a newer Sohbet, which knows the migration %q: restore it with that version", id)
		}
	}
	return nil
}

// check refuses an index of a PostgreSQL dump that names anything not in a schema. columns returns the columns of a table of that
// schema, none if it has no such table.
func (d dumpedSchema) check(columns func(table string) ([]string, error)) error {
	if err := d.known(); err != nil {
		return err
	}
	known := make(map[string]bool)
	for table := range d.Columns {
		ours, err := columns(table)
		if err != nil {
			return err
		}
		if len(ours) == 0 {
			return fmt.Errorf("it has a table %q that this version does not know: restore it with the version of Sohbet that made it", table)
		}
		if err := knownColumns(table, d.Columns[table], ours); err != nil {
			return err
		}
		known[table] = len(d.Columns[table]) > 0
		if !known[table] {
			return fmt.Errorf("table %s has no columns: this is not a Sohbet backup", table)
		}
	}
	for table, last := range d.Sequences {
		if !known[table] || slices.Contains(unnumbered, table) || last < 1 {
			return fmt.Errorf("the last number of table %q is %d: this is not a Sohbet backup", table, last)
		}
	}
	return nil
}
