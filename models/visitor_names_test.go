package models_test

import (
	"testing"

	"sohbet/models"
	"sohbet/models/storetest"
)

func TestVisibleNames(t *testing.T) {
	for name, want := range map[string]bool{
		"": false, " \u00a0\u3000": false, "\u200b": false, "\u2800": false, "\u200d\ufeff": false, "\u0301\u0302": false, "\u3164": false,
		"\u115f\u1160\uffa0": false, "\u00ad\u034f\u061c": false, "\ufe0f\U000e0100\U000e0041": false, "\u2060\u2064\u206f": false, "\x01\x7f": false,
		"\U0001d159\U0001d173": false, "\u180e": false, "\u202e": false,
		"Ayşe": true, "\u200bA": true, "e\u0301": true, "👨‍👩‍👧‍👦": true, "李": true, ".": true, "\u200f\u05d0": true,
	} {
		if got := models.VisibleName(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
	for _, c := range [][3]string{{"Ayşe", "en", "Ayşe"}, {"\u200b", "en-GB", "Visitor"}, {"\u200b", "tr", "Ziyaretçi"}, {"", "", "Ziyaretçi"}} {
		if got := models.VisitorName(c[0], c[1]); got != c[2] {
			t.Errorf("%q in %q: %q", c[0], c[1], got)
		}
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
			if _, err := models.Raw(t, s).Exec("DELETE FROM schema_migrations WHERE id = 'names_0001_visible'"); err != nil {
				t.Fatal(err)
			}
			again := storetest.Reopen(t, o)
			for name, want := range ids {
				if got, err := again.Thread(t.Context(), "thread "+name); err != nil || got.DisplayName != want {
					t.Errorf("%q became %q, %v", name, got.DisplayName, err)
				}
			}
			var keys []string
			rows, err := models.Raw(t, again).Query("SELECT search_key FROM threads WHERE search_key LIKE 'visitor%'")
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
