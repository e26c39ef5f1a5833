// Package storetest provides tests with an empty store on each supported database.
package storetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver named pgx

	"sohbet/models"
	"sohbet/models/reencrypt"
)

// Variable is the environment variable with the postgres:// URL of a disposable server, with a user who may create databases.
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

// Intact fails the test if an SQLite file is damaged.
func Intact(t testing.TB, s *models.Store) {
	t.Helper()
	var found string
	if err := Raw(t, s).QueryRow("PRAGMA integrity_check").Scan(&found); err != nil || found != "ok" {
		t.Errorf("integrity: %s, %v", found, err)
	}
}

// Rekey re-encrypts all texts of a store.
func Rekey(t testing.TB, s *models.Store) (reencrypt.Result, error) {
	t.Helper()
	return s.Rekey(t.Context(), reencrypt.State{}, func(reencrypt.State) {})
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

// Options prepares an empty database with the current schema, which is deleted when the test ends, and returns the options to open it.
func Options(t testing.TB, dialect string) models.Options {
	t.Helper()
	return options(t, dialect, true)
}

// Unmigrated is like Options, but the database has no tables.
func Unmigrated(t testing.TB, dialect string) models.Options {
	t.Helper()
	return options(t, dialect, false)
}

func options(t testing.TB, dialect string, migrated bool) models.Options {
	t.Helper()
	o := models.Options{Keys: []string{Key}, CacheTTL: time.Minute}
	var err error
	switch dialect {
	case "sqlite":
		path := filepath.Join(t.TempDir(), "chat.db")
		o.URL = "sqlite://" + path
		if migrated {
			err = copySQLite(path)
		}
	case "postgres":
		o.URL, err = createPostgres(t, migrated)
	default:
		err = fmt.Errorf("no database is called %q", dialect)
	}
	if err != nil {
		t.Fatalf("prepare a database: %v", err)
	}
	return o
}

// Migrating takes longer than most tests, so each process migrates once and copies the result.

var migratedSQLite = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "sohbet-storetest-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "chat.db")
	if err := migrate("sqlite://" + path); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

func copySQLite(path string) error {
	content, err := migratedSQLite()
	if err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o600)
}

func migrate(address string) error {
	s, err := models.Open(context.Background(), models.Options{URL: address, Keys: []string{Key}})
	if err != nil {
		return err
	}
	return s.Close()
}

// server is the disposable PostgreSQL server. Its connections are shared by all tests of the process.
type server struct {
	url *url.URL
	db  *sql.DB
}

var postgres = sync.OnceValues(func() (*server, error) {
	address := os.Getenv(Variable)
	if address == "" {
		return nil, fmt.Errorf("%s is not set: these tests need a throwaway PostgreSQL server; run `make test`, which starts one", Variable)
	}
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("%s is not a URL", Variable)
	}
	db, err := sql.Open("pgx", address)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be used: %w", Variable, err)
	}
	return &server{u, db}, nil
})

func (s *server) exec(statement string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if _, err := s.db.ExecContext(ctx, statement); err != nil {
		return fmt.Errorf("%s: %w", statement, err)
	}
	return nil
}

// address returns the URL of a database of the server.
func (s *server) address(name string) string {
	u := *s.url
	u.Path = "/" + name
	q := u.Query()
	q.Set("application_name", name) // so that a test can identify its own connections
	u.RawQuery = q.Encode()
	return u.String()
}

// create creates a database as a copy of a template. Copying files is faster than the default, which writes a log of the copy.
func (s *server) create(name, template string) error {
	return s.exec("CREATE DATABASE " + name + " TEMPLATE " + template + " STRATEGY file_copy")
}

var migratedPostgres = sync.OnceValues(func() (string, error) {
	s, err := postgres()
	if err != nil {
		return "", err
	}
	name := "template_" + strings.ToLower(rand.Text())
	if err := s.create(name, "template0"); err != nil {
		return "", err
	}
	return name, migrate(s.address(name))
})

func createPostgres(t testing.TB, migrated bool) (address string, err error) {
	s, err := postgres()
	if err != nil {
		return "", err
	}
	template := "template0"
	if migrated {
		if template, err = migratedPostgres(); err != nil {
			return "", err
		}
	}
	name := "test_" + strings.ToLower(rand.Text())
	if err := s.create(name, template); err != nil {
		return "", err
	}
	t.Cleanup(func() {
		if err := s.exec("DROP DATABASE " + name + " WITH (FORCE)"); err != nil {
			t.Error(err)
		}
	})
	return s.address(name), nil
}
