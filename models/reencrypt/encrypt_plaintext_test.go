package reencrypt_test

import (
	"fmt"
	"strings"
	"testing"

	"sohbet/models"
	"sohbet/models/storetest"
)

// readableSchema reverts a database to the version that stored pages and shortcuts unencrypted.
var readableSchema = []string{
	"DROP INDEX idx_threads_readable", "ALTER TABLE threads DROP COLUMN sealed_page_url", "ALTER TABLE threads DROP COLUMN sealed_page_title",
	"ALTER TABLE canned_replies DROP COLUMN sealed_shortcut", "DELETE FROM schema_migrations WHERE id = 'sealing_1_pages'",
}

func TestExistingTextsAreEncrypted(t *testing.T) {
	const rows, secret = 320, "kırmızıbalık" // more rows than one transaction
	for _, dialect := range storetest.Dialects {
		t.Run(dialect, func(t *testing.T) {
			o := storetest.Options(t, dialect)
			o.Keys = []string{oldKey}
			s := storetest.Reopen(t, o)
			messages := make([]models.NewMessage, rows)
			for i := range messages {
				messages[i] = models.NewMessage{ThreadID: threadID(i), SenderType: models.Visitor, ContentText: "hello", OpenThread: &models.NewThread{}}
			}
			appendAll(t, s, messages)
			reply, err := s.SaveCanned(t.Context(), models.CannedReply{Shortcut: "x", ContentText: "later"})
			if err != nil {
				t.Fatal(err)
			}
			raw := storetest.Raw(t, s)
			statements := append([]string(nil), readableSchema...)
			for i := range rows - 1 { // one thread has no page
				statements = append(statements, fmt.Sprintf("UPDATE threads SET page_url = 'https://%s.example/%d', page_title = 'gAAAA %s %d' WHERE id = '%s'", secret, i, secret, i, threadID(i)))
			}
			statements = append(statements, fmt.Sprintf("UPDATE canned_replies SET shortcut = '%s', folded = '%s'", strings.ToUpper(secret), secret))
			for _, statement := range statements {
				if _, err := raw.Exec(statement); err != nil {
					t.Fatalf("%s: %v", statement, err)
				}
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}

			holds := func(s *models.Store) {
				t.Helper()
				for _, i := range []int{0, 299, 300, rows - 2} {
					if th := readThread(t, s, threadID(i)); th.PageURL != fmt.Sprintf("https://%s.example/%d", secret, i) || th.PageTitle != fmt.Sprintf("gAAAA %s %d", secret, i) {
						t.Errorf("thread %d: %q, %q", i, th.PageURL, th.PageTitle)
					}
				}
				if th := readThread(t, s, threadID(rows-1)); th.PageURL != "" || th.PageTitle != "" {
					t.Errorf("a thread without a page: %q, %q", th.PageURL, th.PageTitle)
				}
				list, err := s.CannedReplies(t.Context())
				if err != nil || len(list) != 1 || list[0].ID != reply.ID || list[0].Shortcut != strings.ToUpper(secret) {
					t.Errorf("canned: %+v, %v", list, err)
				}
			}
			s = storetest.Reopen(t, o)
			holds(s)
			if _, err := s.SaveCanned(t.Context(), models.CannedReply{Shortcut: secret}); err == nil {
				t.Error("the shortcut is free")
			}
			// An interrupted migration, or an older process still running, leaves unencrypted rows next to newer encrypted ones.
			for _, statement := range []string{
				fmt.Sprintf("UPDATE threads SET page_title = 'an older one' WHERE id = '%s'", threadID(0)),
				fmt.Sprintf("UPDATE threads SET page_url = 'https://%s.example/1', sealed_page_url = '' WHERE id = '%s'", secret, threadID(1)),
			} {
				if _, err := storetest.Raw(t, s).Exec(statement); err != nil {
					t.Fatal(err)
				}
			}
			o.Keys = []string{newKey, oldKey}
			s = storetest.Reopen(t, o)
			holds(s)
			if th := readThread(t, s, threadID(1)); th.PageURL != "https://"+secret+".example/1" {
				t.Errorf("%q", th.PageURL)
			}
			if _, err := s.SaveCanned(t.Context(), models.CannedReply{Shortcut: secret}); err == nil {
				t.Error("the shortcut is free by another key")
			}
			if _, err := storetest.Rekey(t, s); err != nil {
				t.Fatal(err)
			}
			o.Keys = []string{newKey}
			s = storetest.Reopen(t, o)
			holds(s)
			if _, err := s.SaveCanned(t.Context(), models.CannedReply{Shortcut: secret}); err == nil {
				t.Error("the shortcut is free after rekey")
			}
			for table, columns := range map[string]string{"threads": "page_url || page_title || sealed_page_url || sealed_page_title", "canned_replies": "shortcut || folded || sealed_shortcut"} {
				for _, row := range stored(t, s, "SELECT "+columns+" FROM "+table) {
					if strings.Contains(row, secret) || strings.Contains(row, strings.ToUpper(secret)) {
						t.Errorf("%s holds %q", table, row)
					}
				}
			}
			if dialect == "sqlite" { // not even in the free space of its file
				if found := storetest.FileWith(t, s, secret); found != "" {
					t.Errorf("%s holds it", found)
				}
			}
		})
	}
}

// stored returns the rows of a query of one text.
func stored(t *testing.T, s *models.Store, query string) (list []string) {
	t.Helper()
	rows, err := storetest.Raw(t, s).Query(query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			t.Fatal(err)
		}
		list = append(list, text)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return list
}
