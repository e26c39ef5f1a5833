package keycheck_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"sohbet/models"
	"sohbet/models/encryption"
	"sohbet/models/keycheck"
	"sohbet/models/reencrypt"
	"sohbet/models/storetest"
)

const (
	oldKey   = "an old secret of 32 characters or"
	newKey   = "a new secret of 32 characters or m"
	otherKey = "another secret of 32 characters or"
)

// env is a database that is opened with different keys.
type env struct {
	models.Options
	log bytes.Buffer
}

func each(t *testing.T, body func(t *testing.T, e *env)) {
	for _, dialect := range storetest.Dialects {
		t.Run(dialect, func(t *testing.T) {
			e := &env{Options: storetest.Options(t, dialect)}
			e.CacheTTL = 0
			e.Logger = slog.New(slog.NewTextHandler(&e.log, nil))
			body(t, e)
		})
	}
}

// open opens the database with keys; the store is closed at the end of the test.
func (e *env) open(t *testing.T, keys ...string) *models.Store {
	t.Helper()
	e.Keys = keys
	return storetest.Reopen(t, e.Options)
}

// refused fails unless the database cannot be opened with keys, because some or all of its keys are missing.
func (e *env) refused(t *testing.T, some bool, keys ...string) {
	t.Helper()
	e.Keys = keys
	s, err := models.Open(t.Context(), e.Options)
	if err == nil {
		_ = s.Close()
		t.Fatalf("opened with %q", keys)
	}
	var missing *keycheck.Error
	if !errors.As(err, &missing) || missing.Some != some {
		t.Fatalf("with %q: %v", keys, err)
	}
	place := "the SQLite database " + strings.TrimPrefix(e.URL, "sqlite://")
	if strings.HasPrefix(e.URL, "postgres") {
		place = "the PostgreSQL database 127.0.0.1:"
	}
	if text := err.Error(); !strings.Contains(text, place) || strings.Contains(text, "@") || !strings.Contains(text, "--force") {
		t.Errorf("it says: %s", text)
	}
}

func say(t *testing.T, s *models.Store, text string) models.Message {
	t.Helper()
	r, err := s.AppendWait(t.Context(), models.NewMessage{ThreadID: "thread", SenderType: models.Visitor, ContentText: text, OpenThread: &models.NewThread{}})
	if err != nil {
		t.Fatal(err)
	}
	return r.Message
}

func texts(t *testing.T, s *models.Store) string {
	t.Helper()
	list, _, err := s.Messages(t.Context(), "thread", models.MessageQuery{})
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, m := range list {
		all = append(all, m.ContentText)
	}
	return strings.Join(all, "|")
}

func exec(t *testing.T, s *models.Store, statement string) {
	t.Helper()
	if _, err := storetest.Raw(t, s).Exec(statement); err != nil {
		t.Fatal(err)
	}
}

func TestOtherKeyIsRefused(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		say(t, e.open(t, oldKey), "one")
		e.refused(t, false, newKey)
		if got := texts(t, e.open(t, oldKey)); got != "one" {
			t.Errorf("with its key: %q", got)
		}
	})
}

// A database without texts may change its key, for example when it was set after the first start.
func TestKeyOfAnEmptyDatabaseMayChange(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		e.open(t, oldKey)
		say(t, e.open(t, newKey), "one")
		e.refused(t, false, oldKey)
	})
}

// A database of a version without check values is judged by its texts.
func TestKeyOfAnOlderDatabase(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		s := e.open(t, oldKey)
		say(t, s, "one")
		forget := func() { exec(t, s, "DELETE FROM server_keys") }
		forget()
		e.refused(t, false, newKey)
		both := e.open(t, newKey, oldKey)
		say(t, both, "two")
		e.refused(t, true, newKey) // the check value of the old key was recorded because it decrypts a text
		forget()
		if got := texts(t, e.open(t, newKey, oldKey)); got != "one|two" {
			t.Errorf("with both keys: %q", got)
		}
		forget()
		// A damaged text is not an unknown key.
		exec(t, s, "UPDATE messages SET content_text = 'gAAAAAB' WHERE id = (SELECT min(id) FROM messages)")
		exec(t, s, "UPDATE threads SET last_message = ''")
		if got := texts(t, e.open(t, newKey)); got != encryption.Damaged+"|two" {
			t.Errorf("after damage: %q", got)
		}
	})
}

func TestRotationIsChecked(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		say(t, e.open(t, oldKey), "one")
		both := e.open(t, newKey, oldKey)
		say(t, both, "two")
		e.refused(t, true, oldKey) // the server has written with the new key
		e.refused(t, true, newKey) // rekey has not run
		if sum, err := both.Rekey(t.Context(), reencrypt.State{}, func(reencrypt.State) {}); err != nil || sum.Unreadable != 0 {
			t.Fatalf("%+v, %v", sum, err)
		}
		if got := texts(t, e.open(t, newKey)); got != "one|two" {
			t.Errorf("after rekey: %q", got)
		}
		e.refused(t, false, oldKey)
	})
}

func TestForcedStart(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		say(t, e.open(t, oldKey), "one")
		e.MissingKeys = models.AcceptMissingKeys
		for range 2 {
			e.log.Reset()
			s := e.open(t, newKey)
			if s.MissingKeys() == nil || strings.Count(e.log.String(), "started with --force") != 1 {
				t.Errorf("the log of a forced start: %s", &e.log)
			}
			say(t, s, "two")
			if got := texts(t, s); !strings.HasPrefix(got, encryption.Unreadable+"|two") {
				t.Errorf("it reads %q", got)
			}
		}
		e.MissingKeys = models.RefuseMissingKeys
		e.refused(t, true, newKey)
		e.refused(t, true, oldKey)
		if got := texts(t, e.open(t, newKey, oldKey)); got != "one|two|two" {
			t.Errorf("with both keys: %q", got)
		}
		e.MissingKeys = models.AcceptMissingKeys
		if sum, err := e.open(t, newKey).Rekey(t.Context(), reencrypt.State{}, func(reencrypt.State) {}); err != nil || sum.Unreadable == 0 {
			t.Errorf("%+v, %v", sum, err)
		}
		e.MissingKeys = models.RefuseMissingKeys
		s := e.open(t, newKey)
		if got := texts(t, s); got != encryption.Unreadable+"|two|two" || s.MissingKeys() != nil {
			t.Errorf("after giving up: %q, %v", got, s.MissingKeys())
		}
	})
}

// A text that no key decrypts although no key is missing is damaged, and the log names it as such.
func TestDamagedText(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		s := e.open(t, oldKey)
		say(t, s, "one")
		say(t, s, "two")
		exec(t, s, "UPDATE messages SET content_text = substr(content_text, 1, 40) || 'AAAA' || substr(content_text, 45) WHERE id = 1")
		exec(t, s, "UPDATE threads SET email = 'x'")
		e.log.Reset()
		if got := texts(t, e.open(t, oldKey)); got != encryption.Damaged+"|two" {
			t.Errorf("it reads %q", got)
		}
		if th, err := s.Thread(t.Context(), "thread"); err != nil || th.Email != encryption.Damaged {
			t.Errorf("%+v, %v", th, err)
		}
		for _, want := range []string{"a stored message is damaged", "message_id=1", "a stored text is damaged", "column=email"} {
			if !strings.Contains(e.log.String(), want) {
				t.Errorf("%q is not in the log: %s", want, &e.log)
			}
		}
		if strings.Contains(e.log.String(), "SECRET_KEY") {
			t.Errorf("the log speaks of a key: %s", &e.log)
		}
		exec(t, s, "UPDATE server_keys SET private_seal = 'broken' WHERE name LIKE 'check %'")
		if e.open(t, oldKey).MissingKeys() != nil {
			t.Error("a damaged check value is taken for that of another key")
		}
	})
}

func TestDumpOfAnotherKeyIsRefused(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		s := e.open(t, oldKey)
		say(t, s, "one")
		for _, statement := range []string{"", "DELETE FROM server_keys"} { // also a dump of an older version
			if statement != "" {
				exec(t, s, statement)
			}
			dir := t.TempDir()
			if err := s.Dump(t.Context(), dir, func(string) {}); err != nil {
				t.Fatal(err)
			}
			for _, dialect := range storetest.Dialects {
				o := storetest.Options(t, dialect)
				o.Keys = []string{otherKey}
				to := storetest.Reopen(t, o)
				if err := to.Load(t.Context(), dir, models.LoadOptions{}); !errors.As(err, new(*keycheck.Error)) {
					t.Errorf("loaded with another key: %v", err)
				}
				if empty, err := to.Empty(t.Context()); err != nil || !empty {
					t.Errorf("it left rows, %v", err)
				}
				if err := to.Load(t.Context(), dir, models.LoadOptions{MissingKeys: true}); err != nil {
					t.Fatal(err)
				}
				if got := texts(t, to); got != encryption.Unreadable {
					t.Errorf("it reads %q", got)
				}
				o.MissingKeys = models.RefuseMissingKeys
				if again, err := models.Open(t.Context(), o); !errors.As(err, new(*keycheck.Error)) {
					_ = again.Close()
					t.Errorf("opened after that: %v", err)
				}
			}
		}
	})
}
