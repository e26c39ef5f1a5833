package app

import (
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sohbet/models"
	"sohbet/models/storetest"
)

// TestDatabaseHoldsNoTexts inspects the database like an attacker with a copy of it: it contains names, numbers and times, but no
// message text, network address or code.
func TestDatabaseHoldsNoTexts(t *testing.T) {
	const text, name, address = "a sentence that nobody else may read", "Meryem", "198.51.100.23"
	for _, dialect := range storetest.Dialects {
		t.Run(dialect, func(t *testing.T) {
			o := storetest.Options(t, dialect)
			store := storetest.Reopen(t, o)
			s := open(t, store, "TRUSTED_PROXIES", "127.0.0.1")
			v := s.socket(t, s.browser(t), "X-Forwarded-For", address)
			thread := v.emit("join", `{"display_name":"`+name+`","page_url":"https://shop.example/sentence-that-nobody","page_title":"`+text+`"}`).ThreadID
			if a := v.emit("message", `{"text":"`+text+`"}`); !a.OK {
				t.Fatal(a.raw)
			}
			agent := s.agent(t)
			for _, r := range [][2]string{{"/api/messages/send", `{"thread_id":"` + thread + `","text":"` + text + ` too"}`}, {"/api/canned", `{"shortcut":"sentence-that-nobody","text":"x"}`}, {"/api/threads/block", `{"thread_id":"` + thread + `","address":true}`}} {
				if r := s.do(t, agent, "POST", r[0], r[1]); r.status != 200 {
					t.Fatal(r.body)
				}
			}
			s.do(t, s.browser(t), "POST", "/request-otp", "")
			if err := store.Close(); err != nil { // writes everything to the file
				t.Fatal(err)
			}
			raw := everythingStored(t, o)
			if !strings.Contains(raw, name) || !strings.Contains(raw, thread) {
				t.Fatal("not even the name is there, so this test looks at the wrong place")
			}
			for _, secret := range []string{text, "sentence that nobody", "sentence-that-nobody", address, s.lastCode(t), s.cookie(t, agent, "sohbet_session")} {
				if strings.Contains(raw, secret) {
					t.Errorf("%q is in the database", secret)
				}
			}
		})
	}
}

// everythingStored returns the content of the database: the bytes of its files, or every row of every table.
func everythingStored(t *testing.T, o models.Options) string {
	t.Helper()
	if path, isFile := strings.CutPrefix(o.URL, "sqlite://"); isFile {
		var all strings.Builder
		files, err := filepath.Glob(path + "*")
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			all.Write(content)
		}
		return all.String()
	}
	db, err := sql.Open("pgx", o.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	var all sql.NullString
	if err := db.QueryRow(`SELECT string_agg(query_to_xml('SELECT * FROM ' || quote_ident(tablename), true, true, '')::text, '')
		FROM pg_tables WHERE schemaname = current_schema()`).Scan(&all); err != nil {
		t.Fatal(err)
	}
	return all.String
}
