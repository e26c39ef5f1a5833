package models_test

import (
	"context"
	"database/sql"
	"slices"
	"strings"
	"sync"
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
	return names(t, storetest.Raw(t, s), query)
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
		have := names(t, storetest.Raw(t, s), query)
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
		for table, model := range map[string]any{
			"users": models.User{}, "threads": models.Thread{}, "messages": models.Message{},
			"telegram_links": models.TelegramLink{}, "one_time_codes": models.OneTimeCode{},
			"telegram_threads": models.TelegramThread{},
			"uploads":          models.Upload{}, "first_answers": models.FirstAnswer{},
			"notes": models.Note{}, "canned_replies": models.CannedReply{}, "agents": models.Agent{}, "invitations": models.Invitation{},
			"recovery_codes": models.RecoveryCodeRow, "sessions": models.Session{}, "passkeys": models.Passkey{}, "agent_pictures": models.AgentPictureRow, "settings": models.SettingRow,
		} {
			parsed, err := schema.Parse(model, &sync.Map{}, schema.NamingStrategy{})
			if err != nil {
				t.Fatal(err)
			}
			if parsed.Table != table {
				t.Errorf("%T is looked for in %s, not %s", model, parsed.Table, table)
			}
			have := columns(t, s, table)
			for _, column := range parsed.DBNames {
				if !slices.Contains(have, column) {
					t.Errorf("%s has no column %s", table, column)
				}
			}
		}
	})
}

func TestDefaultsAreUTC(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		th := thread(t, s, 1)
		if _, err := storetest.Raw(t, s).Exec("INSERT INTO messages (thread_id, sender_type) VALUES ('" + th.ID + "', 'system')"); err != nil {
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
