package models_test

import (
	"context"
	"database/sql"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"gorm.io/gorm/schema"

	"sohbet/models"
	"sohbet/models/storetest"
)

func names(t *testing.T, db *sql.DB, query string, args ...any) []string {
	t.Helper()
	rows, err := db.Query(query, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var list []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		list = append(list, name)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return list
}

func columns(t *testing.T, s *models.Store, table string) []string {
	t.Helper()
	query := "SELECT name FROM pragma_table_info('" + table + "')"
	if s.Dialect() == "postgres" {
		query = "SELECT column_name FROM information_schema.columns WHERE table_schema = current_schema() AND table_name = '" + table + "'"
	}
	return names(t, models.Raw(t, s), query)
}

func TestSchemaHasTheFirstTablesAndIndexes(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		for table, want := range map[string]string{
			"users":          "id username phone_number created_at last_seen",
			"threads":        "id user_id created_at last_activity status",
			"messages":       "id thread_id content_text content_type file_path file_url sender_type created_at",
			"telegram_links": "id thread_id telegram_message_id created_at",
		} {
			have := columns(t, s, table)
			for column := range strings.FieldsSeq(want) {
				if !slices.Contains(have, column) {
					t.Errorf("%s has no column %s", table, column)
				}
			}
		}
		query := "SELECT name FROM sqlite_master WHERE type = 'index'"
		if s.Dialect() == "postgres" {
			query = "SELECT indexname FROM pg_indexes WHERE schemaname = current_schema()"
		}
		have := names(t, models.Raw(t, s), query)
		for _, index := range []string{"idx_messages_thread_id", "idx_messages_created_at", "idx_threads_user_id", "idx_threads_last_activity", "idx_users_phone_number"} {
			if !slices.Contains(have, index) {
				t.Errorf("index %s is missing", index)
			}
		}
	})
}

// Migrations are plain SQL, so only this test checks that they match the structs.
func TestSchemaHasAColumnForEveryField(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		naming := schema.NamingStrategy{}
		for table, model := range map[string]any{
			"users": models.User{}, "threads": models.Thread{}, "messages": models.Message{},
			"telegram_links": models.TelegramLink{}, "one_time_codes": models.OneTimeCode{},
			"telegram_threads": models.TelegramThread{}, "switches": models.Switch{},
			"uploads": models.Upload{}, "first_answers": models.FirstAnswer{},
			"notes": models.Note{}, "canned_replies": models.CannedReply{},
		} {
			if got := naming.TableName(reflect.TypeOf(model).Name()); got != table {
				t.Errorf("%T is looked for in %s, not %s", model, got, table)
			}
			have := columns(t, s, table)
			for _, field := range reflect.VisibleFields(reflect.TypeOf(model)) {
				if column := naming.ColumnName(table, field.Name); !slices.Contains(have, column) {
					t.Errorf("%s has no column %s", table, column)
				}
			}
		}
	})
}

func TestDefaultsAreUTC(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		th := thread(t, s, 1)
		if _, err := models.Raw(t, s).Exec("INSERT INTO messages (thread_id, sender_type) VALUES ('" + th.ID + "', 'system')"); err != nil {
			t.Fatal(err)
		}
		list, _, err := s.Messages(t.Context(), th.ID, models.MessageQuery{})
		if err != nil || len(list) != 1 {
			t.Fatalf("%d messages, %v", len(list), err)
		}
		if off := list[0].CreatedAt.Sub(th.CreatedAt); off < -1e9 || off > 60e9 {
			t.Fatalf("the database's own clock is off by %v", off)
		}
	})
}

func TestTwoProcessesMigrateAtOnce(t *testing.T) {
	for _, dialect := range storetest.Dialects {
		t.Run(dialect, func(t *testing.T) {
			o := storetest.Options(t, dialect)
			inParallel(t, 6, func(int) error {
				s, err := models.Open(t.Context(), o)
				if err != nil {
					return err
				}
				return s.Close()
			})
			thread(t, storetest.Reopen(t, o), 1)
		})
	}
}

func TestNewerSchemaIsRefused(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		known := countRows(t, s, "schema_migrations")
		if err := models.MigrateUnknown(s); !errors.Is(err, models.ErrNewer) {
			t.Fatalf("a program that does not know the schema said %v", err)
		}
		if got := countRows(t, s, "schema_migrations"); got != known {
			t.Fatalf("it left %d rows of migrations of %d", got, known)
		}
	})
}

func TestOpenRefusesPlainly(t *testing.T) {
	for _, c := range []struct{ url, want string }{
		{"", "must start with"},
		{"mysql://x", "must start with"},
		{"sqlite://", "needs the path"},
		{"sqlite://:memory:", "needs the path"},
		{"sqlite:///nowhere/at/all/chat.db", "no such file"},
		{"postgres://user:hunter2@127.0.0.1:1/x", "models:"},
		{"postgres://user:hunter2@%zz", "cannot be read"},
	} {
		s, err := models.Open(context.Background(), models.Options{URL: c.url, Keys: []string{storetest.Key}})
		if err == nil {
			t.Errorf("%q opened: %v", c.url, s.Close())
			continue
		}
		if !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", c.url, err)
		}
	}
}

func TestPing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		if err := s.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if err := s.Ping(t.Context()); err != models.ErrClosed {
			t.Fatalf("after Close: %v", err)
		}
	})
}

// Every new table must be part of the backup, or be listed here as not needing to be.
func TestEveryTableIsDumpedOrNeedNotBe(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		query := "SELECT group_concat(name) FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
		if s.Dialect() == "postgres" {
			query = "SELECT string_agg(tablename, ',') FROM pg_tables WHERE schemaname = current_schema()"
		}
		var all string
		if err := models.Raw(t, s).QueryRow(query).Scan(&all); err != nil {
			t.Fatal(err)
		}
		known := append([]string{"schema_migrations", "write_checks", "one_time_codes", "telegram_updates",
			"security_state", "sessions", "budgets", "push_subscriptions", "consoles", "leases"}, models.DumpTables...)
		tables := strings.Split(all, ",")
		slices.Sort(tables)
		slices.Sort(known)
		if !slices.Equal(tables, known) {
			t.Errorf("tables %v, known %v", tables, known)
		}
	})
}
