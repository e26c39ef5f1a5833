package app

import (
	"encoding/json"
	"strings"
	"sync/atomic"
	"testing"

	"sohbet/models"
	"sohbet/models/storetest"
	"sohbet/server/media/mediatest"
)

const mega = 1 << 20

// TestFullDisk fills the disk: /health warns first; below the floor visitors' messages are refused, while agents can still read,
// answer, delete and see the reason.
func TestFullDisk(t *testing.T) {
	storetest.Each(t, func(t *testing.T, store *models.Store) {
		var free atomic.Uint64
		free.Store(900 * mega)
		s := openOn(t, store, func(string) (uint64, uint64, error) { return free.Load(), 1000 * mega, nil }, "MIN_FREE_DISK", "64MB")
		s.runWorkers(t)
		v := s.socket(t, s.browser(t))
		thread := v.emit("join", `{"display_name":"Ada"}`).ThreadID
		browser := s.agent(t)
		agent := s.socket(t, browser)
		if a := agent.emit("admin_join", ""); !strings.Contains(a.raw, `"storage":"ok"`) {
			t.Errorf("the agent's response is %s", a.raw)
		}
		health := func(status, check string, code int) {
			t.Helper()
			var found struct {
				Checks map[string]struct{ Status, Reason string }
			}
			s.do(t, browser, "GET", "/api/diagnostics?fresh=1", "").into(t, &found) // without cached results
			r := s.do(t, s.browser(t), "GET", "/health", "")
			var whole struct{ Status string }
			r.into(t, &whole)
			if found.Checks["disk"].Status != check || whole.Status != status || r.status != code {
				t.Errorf("with %d MB: disk %+v, %s, %d", free.Load()/mega, found.Checks["disk"], whole.Status, r.status)
			}
		}
		upload := func() reply {
			t.Helper()
			return s.upload(t, "image", "a.png", mediatest.PNG(t, mediatest.Picture(8, 8, 0)))
		}
		visitors := map[string]string{
			"message": `{"text":"hello"}`, "contact": `{"email":"ada@shop.example"}`, "rate": `{"score":4,"comment":"fine"}`,
			"page": `{"page_url":"https://shop.example/a"}`, "join": `{"display_name":"Another"}`,
		}
		agents := map[string]string{
			"message": `"text":"an answer"`, "note": `"text":"a note"`, "set_status": `"status":"active"`,
		}
		mine := func(fields string) string {
			if fields == "" {
				return `{"thread_id":"` + thread + `"}`
			}
			return `{"thread_id":"` + thread + `"` + strings.TrimSuffix(","+strings.TrimPrefix(fields, "{"), "}") + `}`
		}

		health("healthy", "ok", 200)
		free.Store(150 * mega)
		health("degraded", "warning", 200)
		agent.received("storage_status")
		if a := v.emit("message", mine(`{"text":"hello"}`)); !a.OK {
			t.Errorf("nearly full: %s", a.raw)
		}
		if r := upload(); r.status != 200 {
			t.Errorf("an upload when nearly full: %d %s", r.status, r.body)
		}

		free.Store(50 * mega)
		health("degraded", "error", 503)
		if got := agent.received("storage_status"); !strings.Contains(got, `"storage":"full"`) {
			t.Errorf("agents received %s", got)
		}
		for event, payload := range visitors {
			if event != "join" {
				payload = mine(payload)
			}
			if a := v.emit(event, payload); a.Error.Code != "db_save_failed" || !strings.Contains(a.Error.Message, "try again later") {
				t.Errorf("%s of a visitor: %s", event, a.raw)
			}
		}
		if r := s.do(t, s.browser(t), "POST", "/api/messages/send", mine(`{"text":"x"}`), "Authorization", "Bearer "+thread); r.status != 507 || r.code() != "INTERNAL_ERROR" {
			t.Errorf("over HTTP: %d %s", r.status, r.body)
		}
		if r := upload(); r.status != 507 || r.code() != "UPLOAD_FAILED" {
			t.Errorf("an upload: %d %s", r.status, r.body)
		}
		for _, event := range []string{"history", "rejoin", "typing", "heartbeat"} {
			if a := v.emit(event, mine("")); !a.OK {
				t.Errorf("%s of a visitor: %s", event, a.raw)
			}
		}
		for event, fields := range agents {
			if a := agent.emit(event, mine(fields)); !a.OK {
				t.Errorf("%s of an agent: %s", event, a.raw)
			}
		}
		if a := agent.emit("admin_join", ""); !strings.Contains(a.raw, `"storage":"full"`) {
			t.Errorf("the response to an agent who connects now is %s", a.raw)
		}

		free.Store(7 * mega) // the reserve for deleting
		health("unhealthy", "error", 503)
		if a := agent.emit("message", mine(`"text":"x"`)); a.Error.Code != "db_save_failed" {
			t.Errorf("an agent's message: %s", a.raw)
		}
		if r := s.do(t, browser, "POST", "/api/messages/clear", `{"thread_id":"`+thread+`"}`); r.status != 200 {
			t.Errorf("deleting: %d %s", r.status, r.body)
		}

		free.Store(900 * mega)
		health("healthy", "ok", 200)
		if a := v.emit("message", mine(`{"text":"hello again"}`)); !a.OK {
			t.Errorf("with room again: %s", a.raw)
		}
		if strings.Count(s.log.String(), "not saved")+strings.Count(s.log.String(), "request failed") > 0 {
			t.Error("refusals fill the log")
		}
	})
}

// Deleted rows free space inside SQLite's file, which the file system does not see.
func TestDeletingMakesRoomForVisitors(t *testing.T) {
	store := storetest.Open(t, "sqlite")
	s := openOn(t, store, func(string) (uint64, uint64, error) { return 63 * mega, 1000 * mega, nil }, "MIN_FREE_DISK", "64MB")
	seed(t, store, threadA, "Ada")
	for range 200 {
		if _, err := store.AppendWait(t.Context(), models.NewMessage{ThreadID: threadA, SenderType: models.Visitor, ContentText: strings.Repeat("x", 10_000)}); err != nil {
			t.Fatal(err)
		}
	}
	seed(t, store, threadB, "Eve")
	send := func() reply {
		return s.do(t, s.browser(t), "POST", "/api/messages/send", `{"text":"x"}`, "Authorization", "Bearer "+threadB)
	}
	if r := send(); r.status != 507 {
		t.Fatalf("below the floor: %d %s", r.status, r.body)
	}
	if err := store.DeleteThread(t.Context(), threadA); err != nil {
		t.Fatal(err)
	}
	if r := send(); r.status != 200 {
		t.Errorf("after 2 MB were deleted: %d %s", r.status, r.body)
	}
}

// TestTextsOfAnAddress stores as much as one address may, by many visitors with the longest texts.
func TestTextsOfAnAddress(t *testing.T) {
	const most = 6 * mega // three times the size on SQLite: PostgreSQL may keep old row versions for a while
	storetest.Each(t, func(t *testing.T, store *models.Store) {
		s := open(t, store, "RATE_LIMIT_MESSAGE", "30/1m")
		before := stored(t, store)
		paste, _ := json.Marshal(strings.Repeat("ğ", 10_000)) // 20 kB
		flood, _ := json.Marshal(strings.Repeat("🙂", 10_000))
		page := `"page_url":"https://shop.example/` + strings.Repeat("x", 2000) + `","page_title":"` + strings.Repeat("ğ", 300) + `"`
		limited := 0
		for n := range 80 {
			v := s.socket(t, s.browser(t))
			a := v.emit("join", `{"display_name":"`+strings.Repeat("ğ", 100)+`",`+page+`}`)
			if !a.OK {
				limited++
				if a.Error.Code != "rate_limit_exceeded" || a.Error.RetryAfterMS < 1 {
					t.Fatalf("join %d: %s", n, a.raw)
				}
				continue
			}
			if n == 0 { // an occasional long text is within the limits
				for range 5 {
					if a := v.emit("message", `{"text":`+string(paste)+`}`); !a.OK {
						t.Errorf("a paste: %s", a.raw[:200])
					}
				}
			}
			for range 30 {
				a := v.emit("message", `{"text":`+string(flood)+`}`)
				if !a.OK {
					limited++
					if a.Error.Code != "rate_limit_exceeded" || a.Error.RetryAfterMS < 1 {
						t.Fatalf("a message: %.300s", a.raw)
					}
					break
				}
			}
			v.emit("rate", `{"score":1,"comment":"`+strings.Repeat("🙂", 1000)+`"}`)
			if n > 5 && limited > 5 { // steady state
				break
			}
		}
		if grown := stored(t, store) - before; limited == 0 || grown > most {
			t.Errorf("one address stored %d bytes, limited %d times", grown, limited)
		} else {
			t.Logf("one address stored %d bytes", grown)
		}
	})
}

// stored returns the size of the database.
func stored(t *testing.T, store *models.Store) int64 {
	t.Helper()
	c, err := store.Compact(t.Context(), false, func(int64, int64) {})
	if err != nil {
		t.Fatal(err)
	}
	return c.After
}
