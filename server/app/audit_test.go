package app

import (
	"encoding/csv"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sohbet/models"
	"sohbet/models/storetest"
	"sohbet/server/audit"
)

// auditRow is an entry of GET /api/audit.
type auditRow struct {
	ID, Times                      int64
	Event, Outcome, Actor, Address string
	Browser, Detail, About         string
	AgentID                        *int64 `json:"agent_id"`
	ThreadID                       string `json:"thread_id"`
	DisplayName                    string `json:"display_name"`
	CreatedAt                      string `json:"created_at"`
}

func (s *site) auditLog(t *testing.T, c *http.Client, query string) (rows []auditRow, next *int64) {
	t.Helper()
	var page struct {
		Entries []auditRow
		Next    *int64
	}
	s.do(t, c, "GET", "/api/audit"+query, "").into(t, &page)
	return page.Entries, page.Next
}

// What agents do is stored with who did it, to what and from where; refusals are added up; owners read all of it.
func TestAuditLog(t *testing.T) {
	storetest.Each(t, func(t *testing.T, store *models.Store) {
		s := open(t, store)
		s.runWorkers(t)
		seed(t, store, threadA, "Zeynep", "first")
		seed(t, store, threadB, "Bob", "first")
		owner, ada := s.agent(t), s.member(t, "Ada")
		me, _ := s.answer(t, owner, "GET", "/api/me", "")
		a, _ := store.FindAgent("Ada")
		const firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
		in := func(thread string) string { return `{"thread_id":"` + thread + `","format":"text"}` }
		for _, r := range [][2]string{
			{"/api/threads/block", in(threadA)}, {"/api/threads/unblock", in(threadA)}, {"/api/threads/export", in(threadA)}, {"/api/messages/clear", in(threadB)}, {"/api/threads/delete", in(threadB)},
			{"/api/canned", `{"shortcut":"kargo","text":"a very private text"}`}, {"/api/canned/delete", `{"id":1}`},
		} {
			if r := s.do(t, ada, "POST", r[0], r[1], "User-Agent", firefox); r.status != 200 {
				t.Fatalf("%d %s", r.status, r.body)
			}
		}
		console := s.socket(t, ada, "User-Agent", firefox)
		id := strconv.FormatInt(a.ID, 10)
		for _, e := range [][2]string{
			{"assign", `{"thread_id":"` + threadA + `","agent_id":` + id + `}`}, {"assign", `{"thread_id":"` + threadA + `","agent_id":` + id + `}`},
			{"set_status", `{"thread_id":"` + threadA + `","status":"closed"}`}, {"set_status", `{"thread_id":"` + threadA + `","status":"active"}`},
		} {
			if got := console.emit(e[0], e[1]); !got.OK {
				t.Fatalf("%v: %+v", e, got)
			}
		}
		for range 3 {
			s.do(t, s.browser(t), "POST", "/admin/login", `{"username":"Ada","password":"a guess"}`)
		}
		s.do(t, owner, "POST", "/api/agents/update", `{"id":`+id+`,"role":"owner"}`) // ends Ada's session
		s.do(t, owner, "POST", "/api/diagnostics/repair", `{"name":"compact"}`)

		var rows []auditRow
		eventually(t, "the last entry", func() bool {
			rows, _ = s.auditLog(t, owner, "")
			return slices.ContainsFunc(rows, func(r auditRow) bool { return r.Event == audit.Repair })
		})
		find := func(event string) auditRow {
			t.Helper()
			i := slices.IndexFunc(rows, func(r auditRow) bool { return r.Event == event && r.Outcome != "limited" })
			if i < 0 {
				t.Fatalf("no %s in %+v", event, rows)
			}
			return rows[i]
		}
		for _, event := range []string{
			audit.SignIn, audit.Block, audit.Unblock, audit.ThreadExport, audit.ThreadClear, audit.ThreadDelete, audit.CannedSave, audit.CannedDelete,
			audit.ThreadAssign, audit.ThreadClose, audit.ThreadReopen,
		} {
			r := find(event)
			if r.AgentID == nil || *r.AgentID != a.ID || r.Actor != "Ada" || r.Address != "127.0.0.1" || r.Outcome != audit.OK {
				t.Errorf("%s: %+v", event, r)
			}
		}
		if r := find(audit.ThreadClose); r.ThreadID != threadA || r.DisplayName != "Zeynep" || r.Browser != "Firefox 140 Linux" {
			t.Errorf("%+v", r)
		}
		if r := find(audit.ThreadDelete); r.ThreadID != threadB || r.DisplayName != "" {
			t.Errorf("%+v", r)
		}
		if r := find(audit.AgentChange); r.About != "Ada" || *r.AgentID != me.ID || r.Detail != "role" {
			t.Errorf("%+v", r)
		}
		if r := find(audit.Password); r.AgentID != nil || r.Actor != "" || r.Times != 3 || r.Outcome != audit.Wrong {
			t.Errorf("%+v", r)
		}
		if n := len(slices.DeleteFunc(slices.Clone(rows), func(r auditRow) bool { return r.Event != audit.ThreadAssign })); n != 1 {
			t.Errorf("%d assignments of one", n)
		}

		// Filters and pages.
		mine, _ := s.auditLog(t, owner, "?agent="+id)
		if i := slices.IndexFunc(mine, func(r auditRow) bool { return r.AgentID == nil || *r.AgentID != a.ID }); i >= 0 || len(mine) < 10 {
			t.Errorf("%+v", mine)
		}
		if none, _ := s.auditLog(t, owner, "?to=2001-01-01"); none == nil || len(none) != 0 {
			t.Errorf("%+v", none)
		}
		var paged []auditRow
		for query := "?limit=4"; ; {
			page, next := s.auditLog(t, owner, query)
			paged = append(paged, page...)
			if next == nil {
				break
			}
			query = "?limit=4&before_id=" + strconv.FormatInt(*next, 10)
		}
		if len(paged) != len(rows) {
			t.Errorf("%d entries by pages, %d at once", len(paged), len(rows))
		}
		body := s.do(t, owner, "GET", "/api/audit", "").body
		for _, secret := range []string{"private", "kargo", "guess", "first", memberPassword} {
			if strings.Contains(body, secret) {
				t.Errorf("%q is in the audit log", secret)
			}
		}
	})
}

func TestAuditFile(t *testing.T) {
	storetest.Each(t, func(t *testing.T, store *models.Store) {
		s := open(t, store)
		owner := s.agent(t)
		now := store.Now()
		list := []models.AuditEntry{{Event: "sign_in", Outcome: "ok", AgentID: 2, Actor: `=HYPERLINK("https://evil.example")`, Detail: "-1+1", Browser: "a, \"b\"", CreatedAt: now, LastAt: now}}
		for range 1100 { // more than are read at once
			list = append(list, models.AuditEntry{Event: "thread_closed", Outcome: "ok", CreatedAt: now, LastAt: now})
		}
		if err := store.AddAudit(t.Context(), list); err != nil {
			t.Fatal(err)
		}
		read := func(query string) [][]string {
			t.Helper()
			r := s.do(t, owner, "GET", "/api/audit.csv"+query, "")
			records, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(r.body, "\ufeff"))).ReadAll()
			if err != nil || r.header.Get("Content-Type") != "text/csv; charset=utf-8" || !strings.Contains(r.header.Get("Content-Disposition"), "attachment") {
				t.Fatalf("%d %v %v", r.status, r.header, err)
			}
			return records
		}
		if got := read(""); len(got) != 1102 {
			t.Errorf("%d lines", len(got))
		}
		got := read("?event=sign_in")
		if len(got) != 2 || got[1][7] != `'=HYPERLINK("https://evil.example")` || got[1][9] != "a, \"b\"" || got[1][12] != "'-1+1" {
			t.Errorf("%q", got)
		}
	})
}

// What was done before a stop is stored, also in the last moment.
func TestAuditLogOnTheTerminal(t *testing.T) {
	o := storetest.Options(t, "sqlite")
	o.Keys = []string{testKey}
	t.Chdir(t.TempDir())
	t.Setenv("DATA_DIR", t.TempDir())
	t.Setenv("DATABASE_URL", o.URL)
	t.Setenv("SECRET_KEY", testKey)
	for _, args := range [][]string{{"agent", "add", "Ada"}, {"agent", "disable", "Ada"}, {"logout-all"}} {
		if out, err := command(t, args...); err != nil {
			t.Fatal(out, err)
		}
	}
	list, err := storetest.Reopen(t, o).AuditEntries(t.Context(), models.AuditQuery{Limit: 10})
	if err != nil || len(list) != 3 || list[0].Event != audit.LogoutAll || list[1].AboutAgent == 0 || list[2].Actor != "terminal" {
		t.Errorf("%+v, %v", list, err)
	}
}
