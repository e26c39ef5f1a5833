package dump_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sohbet/models"
	"sohbet/models/dump"
	"sohbet/models/storetest"
)

// Every new table must be part of the backup, or be listed here as not needing to be.
func TestEveryTableIsDumpedOrNeedNotBe(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		query := "SELECT group_concat(name) FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
		if s.Dialect() == "postgres" {
			query = "SELECT string_agg(tablename, ',') FROM pg_tables WHERE schemaname = current_schema()"
		}
		var all string
		if err := storetest.Raw(t, s).QueryRow(query).Scan(&all); err != nil {
			t.Fatal(err)
		}
		known := append([]string{"schema_migrations", "write_checks", "one_time_codes", "telegram_updates",
			"security_state", "sessions", "budgets", "push_subscriptions", "consoles", "leases", "jobs", "invitations"}, dump.Tables...)
		tables := strings.Split(all, ",")
		slices.Sort(tables)
		slices.Sort(known)
		if !slices.Equal(tables, known) {
			t.Errorf("tables %v, known %v", tables, known)
		}
	})
}

// A dump made before the bridge existed has none of its tables.
func TestLoadOfAnOlderDump(t *testing.T) {
	s := storetest.Open(t, "postgres")
	dir := t.TempDir()
	kept := models.NewMessage{ThreadID: "thread", SenderType: models.Visitor, ContentText: "kept", OpenThread: &models.NewThread{}}
	if _, err := s.AppendWait(t.Context(), kept); err != nil {
		t.Fatal(err)
	}
	if err := s.Dump(t.Context(), dir, func(string) {}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "tables.json")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var index struct {
		Steps     []string            `json:"steps"`
		Columns   map[string][]string `json:"columns"`
		Sequences map[string]int64    `json:"sequences"`
	}
	if err := json.Unmarshal(text, &index); err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"outbox", "telegram_threads", "switches"} {
		delete(index.Columns, table)
		delete(index.Sequences, table)
		if err := os.Remove(filepath.Join(dir, table)); err != nil {
			t.Fatal(err)
		}
	}
	if text, err = json.Marshal(index); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	fresh := storetest.Open(t, "postgres")
	if err := fresh.Load(t.Context(), dir, models.LoadOptions{}); err != nil {
		t.Fatal(err)
	}
	if th, err := fresh.Thread(t.Context(), "thread"); err != nil || th.LastMessage != "kept" {
		t.Errorf("restored %+v, %v", th, err)
	}
}
