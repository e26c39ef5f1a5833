// Package storetest provides tests with an empty store on each supported database.
package storetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver named pgx

	"sohbet/models"
)

// Variable is the environment variable with the postgres:// URL of a disposable server, with a user who may create schemas.
const Variable = "SOHBET_TEST_POSTGRES"

// Key is the secret that test stores encrypt with.
const Key = "storetest-storetest-storetest-32"

// Dialects are the databases that every storage test runs on.
var Dialects = []string{"sqlite", "postgres"}

// Each runs a test body on every database, each time with an empty store.
func Each(t *testing.T, body func(t *testing.T, s *models.Store)) {
	t.Helper()
	for _, dialect := range Dialects {
		t.Run(dialect, func(t *testing.T) { body(t, Open(t, dialect)) })
	}
}

// Open opens an empty store that is closed when the test ends.
func Open(t testing.TB, dialect string) *models.Store {
	t.Helper()
	return Reopen(t, Options(t, dialect))
}

// Reopen opens a store on a database that may already contain data.
func Reopen(t testing.TB, o models.Options) *models.Store {
	t.Helper()
	s, err := models.Open(t.Context(), o)
	if err != nil {
		t.Fatalf("open the store: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close the store: %v", err)
		}
	})
	return s
}

// Raw returns the connection pool that writes.
func Raw(t testing.TB, s *models.Store) *sql.DB {
	t.Helper()
	pool := s.Pools()["write"]
	if pool == nil {
		t.Fatal("the store has no pool that writes")
	}
	return pool
}

// FileWith closes an SQLite store and returns the first file in its folder that contains a text; "" if there is none.
func FileWith(t testing.TB, s *models.Store, text string) string {
	t.Helper()
	var path string
	if err := Raw(t, s).QueryRow("SELECT file FROM pragma_database_list WHERE name = 'main'").Scan(&path); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil { // also checkpoints the write-ahead log
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Dir(path) + "/*")
	if err != nil || len(files) == 0 {
		t.Fatalf("files %v, %v", files, err)
	}
	for _, f := range files {
		all, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(all, []byte(text)) {
			return f
		}
	}
	return ""
}

// Options prepares an empty database (a file, or a schema that is dropped when the test ends) and returns the options to open it.
func Options(t testing.TB, dialect string) models.Options {
	t.Helper()
	o := models.Options{Keys: []string{Key}, CacheTTL: time.Minute}
	switch dialect {
	case "sqlite":
		o.URL = "sqlite://" + filepath.Join(t.TempDir(), "chat.db")
	case "postgres":
		o.URL = schema(t)
	default:
		t.Fatalf("no database is called %q", dialect)
	}
	return o
}

func schema(t testing.TB) string {
	t.Helper()
	address := os.Getenv(Variable)
	if address == "" {
		t.Fatalf("%s is not set: these tests need a throwaway PostgreSQL server; run `make test`, which starts one", Variable)
	}
	u, err := url.Parse(address)
	if err != nil {
		t.Fatalf("%s is not a URL", Variable)
	}
	db, err := sql.Open("pgx", address)
	if err != nil {
		t.Fatalf("%s cannot be used: %v", Variable, err)
	}
	name := "test_" + strings.ToLower(rand.Text())
	run := func(statement string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if _, err := db.ExecContext(ctx, statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	run("CREATE SCHEMA " + name)
	t.Cleanup(func() {
		run("DROP SCHEMA " + name + " CASCADE")
		if err := db.Close(); err != nil {
			t.Errorf("close the server connection: %v", err)
		}
	})
	q := u.Query()
	q.Set("search_path", name)
	q.Set("application_name", name) // so that a test can identify its own connections
	u.RawQuery = q.Encode()
	return u.String()
}
