package models_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"sohbet/models"
	"sohbet/models/storetest"
)

// Many deleted messages are deleted at once on SQLite, except those written meanwhile, which keep every column.
func TestErasingEverythingKeepsNewMessages(t *testing.T) {
	for _, dialect := range storetest.Dialects {
		t.Run(dialect, func(t *testing.T) {
			var files []string
			o := storetest.Options(t, dialect)
			o.Removed = func(list []string) { files = append(files, list...) }
			s, n := storetest.Reopen(t, o), 0
			for i := range 3 {
				n += len(someThread(t, s, threadID(i)))
			}
			sql := "INSERT INTO messages (thread_id, content_text, sender_type) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 21000) " +
				"SELECT CASE i % 2 WHEN 0 THEN ? ELSE ? END, 'x', 'visitor' FROM n"
			if dialect == "postgres" {
				sql = "INSERT INTO messages (thread_id, content_text, sender_type) SELECT CASE i % 2 WHEN 0 THEN $1 ELSE $2 END, 'x', 'visitor' FROM generate_series(1, 21000) i"
			}
			if _, err := storetest.Raw(t, s).Exec(sql, threadID(0), threadID(1)); err != nil {
				t.Fatal(err)
			}
			n += 21_000
			if _, _, err := s.StartClearAll(t.Context(), 0); err != nil {
				t.Fatal(err)
			}
			again := []models.Message{post(t, s, models.NewMessage{
				ThreadID: threadID(0), ClientID: "c1", ContentText: "again", SenderType: models.Visitor, OpenThread: &models.NewThread{},
			}).Message}
			fresh := someThread(t, s, "fresh")
			if dialect == "sqlite" {
				if _, err := storetest.Raw(t, s).Exec("PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
					t.Fatal(err)
				}
			}
			var reports []int64
			if err := s.Erase(t.Context(), "", func(n int64) { reports = append(reports, n) }); err != nil {
				t.Fatal(err)
			}
			sum := int64(0)
			for _, n := range reports {
				sum += n
			}
			if sum != int64(n) || dialect == "sqlite" && reports[0] != sum {
				t.Errorf("deleted %v, want %d", reports, n)
			}
			for _, want := range [][]models.Message{again, fresh} {
				list, _, err := s.Messages(t.Context(), want[0].ThreadID, models.MessageQuery{})
				if err != nil || fmt.Sprint(list) != fmt.Sprint(want) {
					t.Errorf("%v, want %v, %v", list, want, err)
				}
			}
			for table, want := range map[string]int{"messages": 4, "threads": 2, "telegram_links": 2} {
				if got := countRows(t, s, table); got != want {
					t.Errorf("%d %s, want %d", got, table, want)
				}
			}
			if len(files) != 3 {
				t.Errorf("removed %v", files)
			}
			next := say(t, s, "fresh", "newest").Message
			if next.ID <= fresh[len(fresh)-1].ID {
				t.Errorf("id %d was used before", next.ID)
			}
			if dialect == "sqlite" {
				storetest.Intact(t, s)
				if info, err := os.Stat(strings.TrimPrefix(o.URL, "sqlite://") + "-wal"); err != nil || info.Size() > 500_000 {
					t.Errorf("wrote the pages of deleted messages: %v, %v", info, err)
				}
				if _, err := storetest.Raw(t, s).Exec("INSERT INTO messages (thread_id, sender_type) VALUES ('missing', 'visitor')"); err == nil {
					t.Error("foreign keys are not checked any more")
				}
			}
		})
	}
}
