package migrate_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"sohbet/models"
	"sohbet/models/storetest"
)

// activitySchema reverts a database to the version that listed threads by activity, with a thread "half" whose deletion was interrupted
// by a crash.
var activitySchema = []string{
	"DROP INDEX idx_threads_listed", "DROP INDEX idx_threads_waiting",
	"CREATE INDEX idx_threads_listed ON threads (last_activity, id) WHERE message_count > 0",
	"CREATE INDEX idx_threads_waiting ON threads (last_activity, id) WHERE waiting_since IS NOT NULL",
	"DELETE FROM schema_migrations WHERE id LIKE 'list_%'",
	"UPDATE threads SET search_key = 'ayşe yilmaz' WHERE id = 'ayse'",
	"UPDATE threads SET message_count = 0, unread_count = 0, last_message = '', waiting_since = NULL WHERE id = 'half'",
}

func oldList(t *testing.T, s *models.Store) {
	t.Helper()
	for id, name := range map[string]string{"ayse": "Ayşe Yılmaz", "bob": "Bob", "half": "Half"} {
		m := models.NewMessage{ThreadID: id, SenderType: models.Visitor, ContentText: "hi", OpenThread: &models.NewThread{DisplayName: name}}
		if _, err := s.AppendWait(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	for _, statement := range activitySchema {
		if _, err := storetest.Raw(t, s).Exec(statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

func checkOldList(t *testing.T, s *models.Store) {
	t.Helper()
	for search, want := range map[string][]string{"": {"ayse", "bob"}, "ayse yilmaz": {"ayse"}, "YILMAZ ayşe": {"ayse"}} {
		list, err := s.Threads(t.Context(), models.ThreadQuery{Search: search})
		var got []string
		for _, th := range list {
			got = append(got, th.ID)
		}
		slices.Sort(got)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q finds %v, %v, want %v", search, got, err, want)
		}
	}
}

func TestListOfAnOlderVersion(t *testing.T) {
	for _, dialect := range storetest.Dialects {
		t.Run(dialect, func(t *testing.T) {
			o := storetest.Options(t, dialect)
			s := storetest.Reopen(t, o)
			oldList(t, s)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = storetest.Reopen(t, o)
			checkOldList(t, s)
			query := "SELECT count(*) FROM sqlite_master WHERE name IN ('idx_threads_listed', 'idx_threads_waiting') AND sql LIKE '%(last_message_at, id)%'"
			if dialect == "postgres" {
				query = "SELECT count(*) FROM pg_indexes WHERE indexname IN ('idx_threads_listed', 'idx_threads_waiting') AND indexdef LIKE '%(last_message_at, id)%' AND schemaname = current_schema()"
			}
			var indexes int
			if err := storetest.Raw(t, s).QueryRow(query).Scan(&indexes); err != nil || indexes != 2 {
				t.Errorf("%d indexes by last message, %v", indexes, err)
			}
		})
	}
}

func TestLoadOfADumpWithTheOldList(t *testing.T) {
	for _, dialect := range storetest.Dialects {
		t.Run(dialect, func(t *testing.T) {
			s, dir := storetest.Open(t, dialect), t.TempDir()
			oldList(t, s)
			if err := s.Dump(t.Context(), dir, func(string) {}); err != nil {
				t.Fatal(err)
			}
			if dialect == "postgres" { // the index of its dump lists the applied migrations
				text, err := os.ReadFile(filepath.Join(dir, "tables.json"))
				if err != nil {
					t.Fatal(err)
				}
				var index struct{ Steps []string }
				if err := json.Unmarshal(text, &index); err != nil || slices.Contains(index.Steps, "list_0001_last_message") {
					t.Fatalf("steps %v, %v", index.Steps, err)
				}
			}
			fresh := storetest.Open(t, dialect)
			if err := fresh.Load(t.Context(), dir, models.LoadOptions{}); err != nil {
				t.Fatal(err)
			}
			checkOldList(t, fresh)
		})
	}
}
