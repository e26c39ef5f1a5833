package backup_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"sohbet/models"
	"sohbet/models/database"
	"sohbet/models/migrate"
	"sohbet/models/storetest"
	"sohbet/server/backup"
)

// testdata/archives has backups of every version whose schema differs from the one before it, from both databases, named after the
// newest step of the schema. Their key is storetest.Key. The newest one may have the present schema.

var writeArchives = flag.String("write-archives", "", "write archives of the present schema, whose newest step is this one, into testdata/archives")

const archives = "testdata/archives"

// oldArchive is a file of testdata/archives.
type oldArchive struct {
	file, dialect, newest string
	steps                 []string // migrations that made its schema
}

func oldArchives(t *testing.T) (list []oldArchive) {
	t.Helper()
	files, err := filepath.Glob(archives + "/*.sohbet")
	if err != nil || len(files) < 30 {
		t.Fatalf("%d archives, %v", len(files), err)
	}
	for _, file := range files {
		name, dialect, ok := strings.Cut(strings.TrimSuffix(filepath.Base(file), ".sohbet"), ".")
		if !ok || !slices.Contains(storetest.Dialects, dialect) || !migrate.Known(name) {
			t.Fatalf("%s is not named after a step and a database", file)
		}
		var index struct{ Steps []string }
		if err := json.Unmarshal(archived(t, filepath.Join(archives, name+".postgres.sohbet"))["database/tables.json"], &index); err != nil {
			t.Fatal(err)
		}
		list = append(list, oldArchive{file, dialect, name, index.Steps})
	}
	return list
}

func TestArchivesOfOlderVersionsAreRestored(t *testing.T) {
	for _, old := range oldArchives(t) {
		for _, dialect := range storetest.Dialects {
			t.Run(old.newest+"/"+old.dialect+" to "+dialect, func(t *testing.T) {
				t.Parallel()
				to := newPlace(t, dialect)
				r, err := backup.Restore(t.Context(), old.file, to.Store, to.uploads, backup.Options{})
				if err != nil || r.Files != 1 {
					t.Fatalf("%s: %+v, %v", old.file, r, err)
				}
				if got := to.files(t); got != sampleUpload+"=picture" {
					t.Errorf("files: %s", got)
				}
				checkSample(t, to.Store, old)
			})
		}
	}
}

func TestDatabasesOfOlderVersionsAreUpgraded(t *testing.T) {
	for _, old := range oldArchives(t) {
		t.Run(old.newest+"/"+old.dialect, func(t *testing.T) {
			t.Parallel()
			o := storetest.Unmigrated(t, old.dialect)
			if old.dialect == "sqlite" {
				content := archived(t, old.file)["database/chat.db"]
				if err := os.WriteFile(strings.TrimPrefix(o.URL, "sqlite://"), content, 0o600); err != nil {
					t.Fatal(err)
				}
			} else {
				fillPostgres(t, o.URL, archived(t, old.file))
			}
			checkSample(t, storetest.Reopen(t, o), old)
		})
	}
}

// archived returns the files in an archive.
func archived(t *testing.T, file string) map[string][]byte {
	t.Helper()
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string][]byte)
	zip, err := gzip.NewReader(bytes.NewReader(whole))
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(zip); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err == nil {
			all[h.Name], err = io.ReadAll(r)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// fillPostgres makes a PostgreSQL database as an older version left it.
func fillPostgres(t *testing.T, url string, files map[string][]byte) {
	t.Helper()
	var index struct {
		Steps     []string
		Columns   map[string][]string
		Sequences map[string]int64
	}
	if err := json.Unmarshal(files["database/tables.json"], &index); err != nil {
		t.Fatal(err)
	}
	db, err := database.Open(url, slog.New(slog.DiscardHandler), 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(migrate.Only(t.Context(), db, index.Steps), db.Close()); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := conn.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}()
	tables := slices.Sorted(maps.Keys(index.Columns))
	parents := []string{"users", "threads"} // of foreign keys
	for _, table := range slices.Concat(parents, slices.DeleteFunc(tables, func(name string) bool { return slices.Contains(parents, name) })) {
		rows := bytes.NewReader(files["database/"+table])
		if _, err := conn.PgConn().CopyFrom(t.Context(), rows, "COPY "+table+" ("+strings.Join(index.Columns[table], ", ")+") FROM STDIN"); err != nil {
			t.Fatalf("%s: %v", table, err)
		}
	}
	for table, last := range index.Sequences {
		if _, err := conn.Exec(t.Context(), "SELECT setval('"+table+"_id_seq', $1)", last); err != nil {
			t.Fatal(err)
		}
	}
}

// TestWriteArchives writes what checkSample expects with the present schema. With -write-archives=STEP it also becomes part of testdata.
func TestWriteArchives(t *testing.T) {
	each(t, func(t *testing.T, dialect string) {
		from, to := newPlace(t, dialect), newPlace(t, dialect)
		writeSample(t, from)
		file := filepath.Join(t.TempDir(), "b.sohbet")
		if *writeArchives != "" {
			file = filepath.Join(archives, *writeArchives+"."+dialect+".sohbet")
		}
		if r, err := backup.Write(t.Context(), file, from.Store, from.uploads); err != nil || r.Files != 1 || r.Missing != 0 {
			t.Fatalf("%+v, %v", r, err)
		}
		if _, err := backup.Restore(t.Context(), file, to.Store, to.uploads, backup.Options{}); err != nil {
			t.Fatal(err)
		}
		checkSample(t, to.Store, oldArchive{steps: steps(t, to.Store)})
	})
}

// Every value survives the way through the other kind of database.
func TestRestoreIntoTheOtherKindAndBack(t *testing.T) {
	from, middle, to := newPlace(t, "postgres"), newPlace(t, "sqlite"), newPlace(t, "postgres")
	writeSample(t, from)
	for _, statement := range []string{
		`UPDATE telegram_threads SET topic_name = E'\b\f\n\r\t\v\\\\N \\. "ş🙂"', chat_id = -9223372036854775808, topic_id = 9223372036854775807`,
		`UPDATE threads SET created_at = '1970-01-01 00:00:00.000001', last_message_at = '9999-12-31 23:59:59.999999' WHERE id = 'closed'`,
		`UPDATE threads SET rev = 1125899906842624`, // a restore raises only lower ones
		`SELECT setval('outbox_id_seq', 777)`,
	} {
		if _, err := storetest.Raw(t, from.Store).Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	move := func(from, to place, name string) string {
		t.Helper()
		file := filepath.Join(dir, name)
		if _, err := backup.Write(t.Context(), file, from.Store, from.uploads); err != nil {
			t.Fatal(err)
		}
		if _, err := backup.Restore(t.Context(), file, to.Store, to.uploads, backup.Options{}); err != nil {
			t.Fatal(err)
		}
		return file
	}
	first := archived(t, move(from, middle, "first"))
	move(middle, to, "second")
	file := filepath.Join(dir, "third")
	if _, err := backup.Write(t.Context(), file, to.Store, to.uploads); err != nil {
		t.Fatal(err)
	}
	last := archived(t, file)
	if len(last) != len(first) {
		t.Errorf("%d files became %d", len(first), len(last))
	}
	for name, content := range first {
		if name == "manifest.json" { // has the time
			continue
		}
		before, after := strings.Split(string(content), "\n"), strings.Split(string(last[name]), "\n")
		slices.Sort(before)
		slices.Sort(after)
		if !slices.Equal(before, after) {
			t.Errorf("%s became\n%s\nfrom\n%s", name, strings.Join(after, "\n"), strings.Join(before, "\n"))
		}
	}
}

func steps(t *testing.T, s *models.Store) (ids []string) {
	t.Helper()
	rows, err := storetest.Raw(t, s).Query("SELECT id FROM schema_migrations")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return ids
}
