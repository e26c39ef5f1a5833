package database_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sohbet/models"
	"sohbet/models/storetest"
)

func TestSQLiteConnectionsAreDurableAndStrict(t *testing.T) {
	s := storetest.Open(t, "sqlite")
	for name, c := range map[string]struct {
		pool     *sql.DB
		readOnly string
	}{
		"writer": {storetest.Raw(t, s), "0"},
		"reader": {s.Pools()["read"], "1"},
	} {
		for pragma, want := range map[string]string{
			"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "5000", "query_only": c.readOnly,
		} {
			var got string
			if err := c.pool.QueryRow("PRAGMA " + pragma).Scan(&got); err != nil || got != want {
				t.Errorf("%s: %s is %q, want %q, %v", name, pragma, got, want, err)
			}
		}
	}
	if n := storetest.Raw(t, s).Stats().MaxOpenConnections; n != 1 {
		t.Errorf("%d writers", n)
	}
}

func TestSQLiteFilesArePrivate(t *testing.T) {
	// Characters with a meaning in URLs are taken literally.
	path := filepath.Join(t.TempDir(), "ch at?%41#.db")
	s := storetest.Reopen(t, models.Options{URL: "sqlite://" + path, Keys: []string{storetest.Key}})
	if _, err := s.CreateThread(t.Context(), models.NewThread{ID: "thread"}); err != nil { // writes to the write-ahead log
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Dir(path) + "/*")
	if err != nil || len(files) != 3 {
		t.Fatalf("files %v, %v", files, err)
	}
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil || info.Mode().Perm() != 0o600 || !strings.HasPrefix(f, path) {
			t.Errorf("%s has mode %v, %v", f, info.Mode(), err)
		}
	}
}
