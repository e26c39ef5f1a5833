package migrate_test

import (
	"errors"
	"log/slog"
	"sync"
	"testing"

	"sohbet/models"
	"sohbet/models/database"
	"sohbet/models/migrate"
	"sohbet/models/storetest"
)

func TestTwoProcessesMigrateAtOnce(t *testing.T) {
	for _, dialect := range storetest.Dialects {
		t.Run(dialect, func(t *testing.T) {
			o := storetest.Unmigrated(t, dialect)
			var wg sync.WaitGroup
			for range 6 {
				wg.Go(func() {
					s, err := models.Open(t.Context(), o)
					if err == nil {
						err = s.Close()
					}
					if err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if _, err := storetest.Reopen(t, o).CreateThread(t.Context(), models.NewThread{ID: "thread"}); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestNewerSchemaIsRefused(t *testing.T) {
	for _, dialect := range storetest.Dialects {
		t.Run(dialect, func(t *testing.T) {
			db, err := database.Open(storetest.Unmigrated(t, dialect).URL, slog.New(slog.DiscardHandler), 0)
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := db.Close(); err != nil {
					t.Error(err)
				}
			}()
			if err := migrate.Run(t.Context(), db); err != nil {
				t.Fatal(err)
			}
			steps := func() (n int64) {
				if err := db.Read.Table("schema_migrations").Count(&n).Error; err != nil {
					t.Fatal(err)
				}
				return n
			}
			known := steps()
			if err := migrate.RunUnknown(t.Context(), db); !errors.Is(err, migrate.ErrNewer) {
				t.Fatalf("a program that does not know the schema said %v", err)
			}
			if got := steps(); got != known || known == 0 {
				t.Fatalf("it left %d rows of migrations of %d", got, known)
			}
		})
	}
}

// Threads of an older version with invisible names get a generic one, and are found by it; the others keep theirs.
func TestInvisibleNamesOfAnOlderVersion(t *testing.T) {
	for _, dialect := range storetest.Dialects {
		t.Run(dialect, func(t *testing.T) {
			o := storetest.Options(t, dialect)
			s := storetest.Reopen(t, o)
			ids := map[string]string{"\u200b": "Visitor", "\u2800\u3164": "Visitor", "Ayşe": "Ayşe"}
			for name := range ids {
				if _, err := s.CreateThread(t.Context(), models.NewThread{ID: "thread " + name, DisplayName: name, Locale: "en"}); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := storetest.Raw(t, s).Exec("DELETE FROM schema_migrations WHERE id = 'names_0001_visible'"); err != nil {
				t.Fatal(err)
			}
			again := storetest.Reopen(t, o)
			for name, want := range ids {
				if got, err := again.Thread(t.Context(), "thread "+name); err != nil || got.DisplayName != want {
					t.Errorf("%q became %q, %v", name, got.DisplayName, err)
				}
			}
			var keys []string
			rows, err := storetest.Raw(t, again).Query("SELECT search_key FROM threads WHERE search_key LIKE 'visitor%'")
			if err != nil {
				t.Fatal(err)
			}
			for rows.Next() {
				var key string
				if err := rows.Scan(&key); err != nil {
					t.Fatal(err)
				}
				keys = append(keys, key)
			}
			if err := rows.Err(); err != nil || len(keys) != 2 {
				t.Errorf("%d threads are found by their new name, %v", len(keys), err)
			}
			if err := rows.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}
