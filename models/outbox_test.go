package models_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"sohbet/models"
	"sohbet/models/storetest"
)

func TestOutboxSetsAsideAndSendsAgain(t *testing.T) {
	withBot(t, func(t *testing.T, s *models.Store) {
		id := thread(t, s, 1).ID
		bad, good := say(t, s, id, "bad").Message.ID, say(t, s, id, "good").Message.ID
		rows, _ := outbox(t, s)
		if err := s.OutboxSetAside(t.Context(), rows[0].ID, repeat("é", 400), time.Now()); err != nil {
			t.Fatal(err)
		}
		if _, got := outbox(t, s); !slices.Equal(got, []string{fmt.Sprintf("message %s %d", id, good)}) {
			t.Errorf("what waits: %v", got)
		}
		for _, of := range []string{"", id} {
			aside, err := s.OutboxAside(t.Context(), models.ChannelTelegram, of)
			if err != nil || len(aside) != 1 || aside[0].MessageID != bad || aside[0].SetAsideAt == nil || aside[0].Reason != repeat("é", 300) {
				t.Errorf("set aside: %+v, %v", aside, err)
			}
		}
		if b, err := s.OutboxBacklog(t.Context(), models.ChannelTelegram); err != nil || b.Rows != 1 || b.Aside != 1 {
			t.Errorf("backlog %+v, %v", b, err)
		}
		// Telegram has the later message, but the mark may not pass the undelivered one.
		if upTo, err := s.OutboxSent(t.Context(), rows[1:], nil, false); err != nil || upTo != bad-1 {
			t.Errorf("Telegram has all up to %d, want %d, %v", upTo, bad-1, err)
		}
		notified := 0
		s.OutboxListen(models.ChannelTelegram, func([]models.OutboxKey, bool) { notified++ })
		for _, c := range []struct {
			message int64
			want    int
		}{{good, 0}, {bad, 1}, {bad, 0}} {
			if n, err := s.OutboxSendAgain(t.Context(), models.ChannelTelegram, id, c.message); err != nil || n != c.want {
				t.Errorf("message %d: %d rows, %v", c.message, n, err)
			}
		}
		if notified != 1 {
			t.Errorf("the sender was notified %d times", notified)
		}
		rows, got := outbox(t, s)
		if !slices.Equal(got, []string{fmt.Sprintf("message %s %d", id, bad)}) || rows[0].Tries != 0 || rows[0].Reason != "" {
			t.Errorf("sent again: %+v", rows)
		}
		if upTo, err := s.OutboxSent(t.Context(), rows, nil, false); err != nil || upTo != good {
			t.Errorf("in the end Telegram has all up to %d, want %d, %v", upTo, good, err)
		}
	})
}

// oldOutbox creates the outbox table of the previous version, with rows.
func oldOutbox(t *testing.T, s *models.Store, rows ...string) {
	t.Helper()
	id := "integer PRIMARY KEY AUTOINCREMENT"
	if s.Dialect() == "postgres" {
		id = "bigserial PRIMARY KEY"
	}
	statements := []string{
		"DROP TABLE outbox",
		"CREATE TABLE telegram_outbox (id " + id + `, thread_id varchar(50) NOT NULL, message_id bigint NOT NULL DEFAULT 0, kind varchar(20) NOT NULL,
			parts integer NOT NULL DEFAULT 0, tries integer NOT NULL DEFAULT 0, due_at timestamp, created_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP)`,
		"DELETE FROM schema_migrations WHERE id = 'outbox_0001_channels'",
	}
	for _, row := range rows {
		statements = append(statements, "INSERT INTO telegram_outbox (thread_id, message_id, kind, parts, created_at) VALUES "+row)
	}
	for _, st := range statements {
		if _, err := storetest.Raw(t, s).Exec(st); err != nil {
			t.Fatalf("%s: %v", st, err)
		}
	}
}

// Rows queued by an older version are sent by this one, once and in order.
func TestOutboxOfAnOlderVersion(t *testing.T) {
	for _, dialect := range storetest.Dialects {
		t.Run(dialect, func(t *testing.T) {
			o := storetest.Options(t, dialect)
			s := storetest.Reopen(t, o)
			oldOutbox(t, s, "('a', 7, 'message', 2, '2026-01-02 03:04:05')", "('b', 0, 'topic', 0, '2026-01-02 03:04:06')", "('a', 8, 'edit', 0, '2026-01-02 03:04:07')")
			for range 2 { // a second start has nothing to migrate
				again := storetest.Reopen(t, o)
				rows, got := outbox(t, again)
				if want := []string{"message a 7", "topic b 0", "edit a 8"}; !slices.Equal(got, want) {
					t.Fatalf("outbox %v, want %v", got, want)
				}
				if at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC); rows[0].Parts != 2 || !rows[0].CreatedAt.Equal(at) {
					t.Errorf("the first row became %+v", rows[0])
				}
				if n := len(columns(t, again, "telegram_outbox")); n != 0 {
					t.Errorf("the old table still has %d columns", n)
				}
			}
		})
	}
}

// A dump of such a version has its rows in the old table.
func TestLoadOfADumpWithTheOldOutbox(t *testing.T) {
	s := storetest.Open(t, "postgres")
	dir := t.TempDir()
	say(t, s, thread(t, s, 1).ID, "kept")
	if err := s.Dump(t.Context(), dir, func(string) {}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "tables.json")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var all struct {
		Steps     []string            `json:"steps"`
		Columns   map[string][]string `json:"columns"`
		Sequences map[string]int64    `json:"sequences"`
	}
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	all.Steps = slices.DeleteFunc(all.Steps, func(step string) bool { return step == "outbox_0001_channels" })
	delete(all.Columns, "outbox")
	delete(all.Sequences, "outbox")
	all.Columns["telegram_outbox"] = []string{"id", "thread_id", "message_id", "kind", "parts", "tries", "due_at", "created_at"}
	all.Sequences["telegram_outbox"] = 9
	rows := "5\ta\t7\tmessage\t0\t3\t\\N\t2026-01-02 03:04:05\n6\ta\t8\tmessage\t0\t0\t\\N\t2026-01-02 03:04:06\n"
	if err := os.WriteFile(filepath.Join(dir, "telegram_outbox"), []byte(rows), 0o600); err != nil {
		t.Fatal(err)
	}
	if text, err = json.Marshal(all); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	fresh := storetest.Open(t, "postgres")
	if err := fresh.Load(t.Context(), dir, models.LoadOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, got := outbox(t, fresh); !slices.Equal(got, []string{"message a 7", "message a 8"}) {
		t.Errorf("outbox %v", got)
	}
}

// A copy of an SQLite database of such a version has the old table with its indexes.
func TestLoadOfACopyWithTheOldOutbox(t *testing.T) {
	s := storetest.Open(t, "sqlite")
	say(t, s, thread(t, s, 1).ID, "kept")
	oldOutbox(t, s, "('a', 7, 'message', 0, '2026-01-02 03:04:05')", "('a', 8, 'message', 0, '2026-01-02 03:04:06')")
	for _, statement := range []string{
		"CREATE INDEX idx_telegram_outbox_thread_id ON telegram_outbox (thread_id)",
		"CREATE INDEX idx_telegram_outbox_due ON telegram_outbox (due_at) WHERE due_at IS NOT NULL",
	} {
		if _, err := storetest.Raw(t, s).Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	if err := s.Dump(t.Context(), dir, func(string) {}); err != nil {
		t.Fatal(err)
	}
	fresh := storetest.Open(t, "sqlite")
	if err := fresh.Load(t.Context(), dir, models.LoadOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, got := outbox(t, fresh); !slices.Equal(got, []string{"message a 7", "message a 8"}) {
		t.Errorf("outbox %v", got)
	}
}
