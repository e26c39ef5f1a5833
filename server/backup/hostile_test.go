package backup_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sohbet/server/backup"
)

// doctored returns an archive whose SQLite database was modified with SQL.
func doctored(t *testing.T, whole []byte, statements ...string) []byte {
	t.Helper()
	return rewrite(t, whole, func(h *tar.Header, content []byte) []byte {
		if h.Name != "database/chat.db" {
			return content
		}
		file := filepath.Join(t.TempDir(), "chat.db")
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		driver := "sqlite" // the driver without cgo
		if !slices.Contains(sql.Drivers(), driver) {
			driver = "sqlite3"
		}
		db, err := sql.Open(driver, file)
		if err != nil {
			t.Fatal(err)
		}
		db.SetMaxOpenConns(1)
		for _, statement := range statements {
			if _, err := db.Exec(statement); err != nil {
				t.Fatalf("%s: %v", statement, err)
			}
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		content, err = os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return content
	})
}

// archive returns a backup of a place with one message and one image.
func archive(t *testing.T, dialect string) []byte {
	t.Helper()
	from := newPlace(t, dialect)
	say(t, from.Store, "a", "from the backup")
	from.upload(t, "images/a.png", "picture")
	file := filepath.Join(t.TempDir(), "b.sohbet")
	if _, err := backup.Write(t.Context(), file, from.Store, from.uploads); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return whole
}

// refused restores an archive into an empty place, which must fail with an error that contains says, and must leave nothing behind.
func refused(t *testing.T, to place, what string, content []byte, says string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "hostile.sohbet")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := backup.Restore(t.Context(), file, to.Store, to.uploads, backup.Options{Force: true})
	if err == nil || !strings.Contains(err.Error(), says) {
		t.Errorf("%s: %v, want an error that says %q", what, err, says)
	}
	if got := to.files(t); got != "" {
		t.Errorf("%s left files: %s", what, got)
	}
	if empty, err := to.Empty(t.Context()); err != nil || !empty {
		t.Errorf("%s left rows: %v", what, err)
	}
}

func TestHostileDatabaseIsRefused(t *testing.T) {
	whole := archive(t, "sqlite")
	each(t, func(t *testing.T, dialect string) { refuseDatabases(t, whole, newPlace(t, dialect)) })
}

func refuseDatabases(t *testing.T, whole []byte, to place) {
	t.Helper()
	outside := filepath.Join(t.TempDir(), "outside.db")
	column := `id) SELECT id,username,phone_number,created_at,last_seen,external_id,id FROM dump.users; ` +
		`ATTACH DATABASE '` + outside + `' AS evil; CREATE TABLE evil.t (x); INSERT INTO evil.t VALUES ('got out'); --`
	refused(t, to, "a column that is SQL", doctored(t, whole, `ALTER TABLE users ADD COLUMN "`+column+`" text`), "table users has a column")
	if _, err := os.Stat(outside); err == nil {
		t.Error("a column's name made a file outside")
	}
	for what, c := range map[string]struct{ statement, says string }{
		"a column of a later version": {`ALTER TABLE notes ADD COLUMN mood text`, `table notes has a column "mood" that this version does not know`},
		"a table of a later version":  {`CREATE TABLE moods (id integer)`, `"moods"`},
		"a trigger":                   {`CREATE TRIGGER evil AFTER INSERT ON schema_migrations BEGIN DELETE FROM messages; END`, `trigger "evil"`},
		"a view":                      {`CREATE VIEW evil AS SELECT 1`, `view "evil"`},
		"an index by expression":      {`CREATE INDEX evil ON messages (upper(content_text))`, `index "evil"`},
		"a virtual table":             {`CREATE VIRTUAL TABLE evil USING rtree(id, a, b)`, `"evil"`},
		"a text for a number":         {`UPDATE threads SET message_count = 'many'`, "table threads: message_count"},
		"a number for a text":         {`UPDATE threads SET display_name = x'00ff'`, "table threads: display_name"},
		"an invalid time":             {`UPDATE messages SET created_at = 'tomorrow'`, "table messages: created_at"},
		"a later migration":           {`INSERT INTO schema_migrations (id) VALUES ('9999_later')`, "newer"},
	} {
		refused(t, to, what, doctored(t, whole, c.statement), c.says)
	}
}

func TestHostileDumpIsRefused(t *testing.T) {
	whole := archive(t, "postgres")
	each(t, func(t *testing.T, dialect string) { refuseDumps(t, whole, newPlace(t, dialect)) })
}

func refuseDumps(t *testing.T, whole []byte, to place) {
	t.Helper()
	index := func(old, new string) []byte {
		return rewrite(t, whole, func(h *tar.Header, content []byte) []byte {
			if h.Name != "database/tables.json" {
				return content
			}
			if !strings.Contains(string(content), old) {
				t.Fatalf("%s is not in %s", old, content)
			}
			return []byte(strings.Replace(string(content), old, new, 1))
		})
	}
	refused(t, to, "a column that is SQL", index(`"username"`, `"username\") FROM PROGRAM 'touch /tmp/x' --"`), "table users has a column")
	refused(t, to, "a column of a later version", index(`"username"`, `"username","mood"`), `table users has a column "mood" that this version does not know`)
	refused(t, to, "a column twice", index(`"username"`, `"username","username"`), "twice")
	refused(t, to, "a table of a later version", index(`"columns":{`, `"columns":{"moods":["id"],`), `"moods"`)
	refused(t, to, "a number below zero", index(`"sequences":{"agent_pictures":`, `"sequences":{"agent_pictures":-`), "agent_pictures")
	refused(t, to, "a later migration", index(`"steps":[`, `"steps":["9999_later",`), "newer")
	refused(t, to, "the table of migrations", index(`"columns":{`, `"columns":{"schema_migrations":["id"],`), `"schema_migrations"`)
	table := func(change func(rows string) string) []byte {
		return rewrite(t, whole, func(h *tar.Header, content []byte) []byte {
			if h.Name != "database/threads" {
				return content
			}
			return []byte(change(string(content)))
		})
	}
	for what, change := range map[string]func(string) string{
		"a row with a value too few":  func(rows string) string { return rows[strings.Index(rows, "\t")+1:] },
		"a row with a value too many": func(rows string) string { return strings.TrimSuffix(rows, "\n") + "\t1\n" },
		"a text for a number":         func(rows string) string { return strings.Replace(rows, "a\t1\t", "a\tx\t", 1) },
		"an invalid time":             func(rows string) string { return strings.Replace(rows, "\t20", "\ttomorrow 20", 1) },
		"a text that is not UTF-8":    func(rows string) string { return strings.Replace(rows, "Ada", "\xff", 1) },
		"a row that ends early":       func(rows string) string { return rows[:len(rows)/2] },
		"a reference to no row":       func(rows string) string { return strings.Replace(rows, "a\t1\t", "a\t99\t", 1) },
	} {
		refused(t, to, what, table(change), "")
	}
}

func TestHostileArchiveIsRefused(t *testing.T) {
	each(t, func(t *testing.T, dialect string) {
		whole, to := archive(t, dialect), newPlace(t, dialect)
		picture := func(change func(h *tar.Header) []byte) []byte {
			return rewrite(t, whole, func(h *tar.Header, content []byte) []byte {
				if strings.HasSuffix(h.Name, "a.png") {
					return change(h)
				}
				return content
			})
		}
		for _, name := range []string{
			"database/chat.db-journal", "database/../uploads/images/a.png", "uploads/images/../../x", `uploads/images\..\..\x`,
			"uploads/x", "uploads/images/deep/x.png", "uploads/images/.hidden", "uploads/.x/a.png", "uploads/C:/x.png", "database/users/x", "manifest.json",
		} {
			refused(t, to, name, picture(func(h *tar.Header) []byte { h.Name = name; return []byte("x") }), "")
		}
		for _, kind := range []byte{tar.TypeLink, tar.TypeSymlink, tar.TypeFifo, tar.TypeChar, tar.TypeDir} {
			refused(t, to, "type "+string(kind), picture(func(h *tar.Header) []byte { h.Typeflag, h.Linkname = kind, "/etc/passwd"; return nil }), "does not belong")
		}
		refused(t, to, "a file twice", extended(t, whole, tarFile(t, "uploads/images/a.png", []byte("again")), nil), "twice")
		refused(t, to, "a format below zero", rewrite(t, whole, func(h *tar.Header, content []byte) []byte {
			return []byte(strings.Replace(string(content), `"sohbet_backup":1`, `"sohbet_backup":-1`, 1))
		}), "not a Sohbet backup")
		refused(t, to, "a file larger than the disk", extended(t, whole, tarHead(t, "uploads/images/b.png", 1<<50), nil), "no room")
		sparse := slices.Concat(paxRecords(t, "22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n29 GNU.sparse.realsize=99999\n40 GNU.sparse.name=uploads/images/c.png\n"),
			tarFile(t, "uploads/images/c.png", append([]byte("1\n99999\n0\n"), make([]byte, 502)...)))
		refused(t, to, "a sparse file", extended(t, whole, sparse, nil), "does not belong")
		refused(t, to, "much after the end", extended(t, whole, nil, make([]byte, 8<<20)), "more after its end")
	})
}

func tarHead(t *testing.T, name string, size int64) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := tar.NewWriter(&out).WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: size}); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// paxRecords returns an extended header for the next entry (POSIX.1-2008, pax Interchange Format).
func paxRecords(t *testing.T, records string) []byte {
	t.Helper()
	entry := tarFile(t, "pax", []byte(records))
	entry[156] = tar.TypeXHeader
	copy(entry[148:156], "        ")
	sum := 0
	for _, b := range entry[:512] {
		sum += int(b)
	}
	copy(entry[148:156], fmt.Sprintf("%06o\x00 ", sum))
	return entry
}

func tarFile(t *testing.T, name string, content []byte) []byte {
	t.Helper()
	padded := make([]byte, (len(content)+511)/512*512)
	copy(padded, content)
	return append(tarHead(t, name, int64(len(content))), padded...)
}

// extended inserts bytes before the end of the tar, and appends others after it.
func extended(t *testing.T, whole, before, after []byte) []byte {
	t.Helper()
	zip, err := gzip.NewReader(bytes.NewReader(whole))
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(zip)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	zipped := gzip.NewWriter(&out)
	end := make([]byte, 1024)
	_, err = zipped.Write(slices.Concat(bytes.TrimSuffix(content, end), before, end, after))
	if err := errors.Join(err, zipped.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// An archive of a version that stored pages unencrypted is encrypted when it is restored.
func TestOldArchiveIsSealed(t *testing.T) {
	const page = "https://shop.example/secret"
	each(t, func(t *testing.T, dialect string) {
		whole, to := archive(t, dialect), newPlace(t, dialect)
		if dialect == "sqlite" {
			whole = doctored(t, whole, "DROP INDEX idx_threads_readable", "ALTER TABLE threads DROP COLUMN sealed_page_url",
				"ALTER TABLE threads DROP COLUMN sealed_page_title", "ALTER TABLE canned_replies DROP COLUMN sealed_shortcut",
				"DELETE FROM schema_migrations WHERE id = 'sealing_1_pages'", "UPDATE threads SET page_url = '"+page+"'")
		} else {
			at := 0 // the column index of page_url
			var sealed [2]int
			whole = rewrite(t, whole, func(h *tar.Header, content []byte) []byte {
				switch h.Name {
				case "database/tables.json":
					var index map[string]any
					if err := json.Unmarshal(content, &index); err != nil {
						t.Fatal(err)
					}
					columns := index["columns"].(map[string]any)
					threads, canned := columns["threads"].([]any), columns["canned_replies"].([]any)
					at = slices.Index(threads, any("page_url"))
					for i, name := range []any{"sealed_page_url", "sealed_page_title"} {
						sealed[i] = slices.Index(threads, name)
						threads = slices.Delete(threads, sealed[i], sealed[i]+1)
					}
					columns["threads"], columns["canned_replies"] = threads, canned[:len(canned)-1]
					index["steps"] = slices.DeleteFunc(index["steps"].([]any), func(step any) bool { return step == "sealing_1_pages" })
					content, err := json.Marshal(index)
					if err != nil {
						t.Fatal(err)
					}
					return content
				case "database/threads":
					fields := strings.Split(strings.TrimSuffix(string(content), "\n"), "\t")
					fields[at] = page
					for _, i := range sealed {
						fields = slices.Delete(fields, i, i+1)
					}
					return []byte(strings.Join(fields, "\t") + "\n")
				}
				return content
			})
		}
		file := filepath.Join(t.TempDir(), "old.sohbet")
		if err := os.WriteFile(file, whole, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := backup.Restore(t.Context(), file, to.Store, to.uploads, backup.Options{}); err != nil {
			t.Fatal(err)
		}
		if th, err := to.Thread(t.Context(), "a"); err != nil || th.PageURL != page {
			t.Errorf("%+v, %v", th, err)
		}
		again := filepath.Join(t.TempDir(), "new.sohbet")
		if _, err := backup.Write(t.Context(), again, to.Store, to.uploads); err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(again)
		if err != nil {
			t.Fatal(err)
		}
		rewrite(t, content, func(h *tar.Header, content []byte) []byte {
			if bytes.Contains(content, []byte("shop.example")) {
				t.Errorf("%s holds the page", h.Name)
			}
			return content
		})
	})
}
