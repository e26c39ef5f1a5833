package app

import (
	"database/sql"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"sohbet/models"
	"sohbet/models/storetest"
)

func TestHealthReflectsFailures(t *testing.T) {
	options := storetest.Options(t, "sqlite")
	store, err := models.Open(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, store)
	type answer struct {
		Status, Timestamp, Version, Environment string
		Checks                                  map[string]struct {
			Status     string
			UsedBytes  int64 `json:"used_bytes"`
			FreeBytes  int64 `json:"free_bytes"`
			TotalBytes int64 `json:"total_bytes"`
		}
	}
	var good answer
	r := s.do(t, s.browser(t), "GET", "/health", "", "Authorization", "Bearer "+metricsToken)
	r.into(t, &good)
	if r.status != 200 || good.Version == "" || good.Environment == "" || good.Checks["database"].Status != "ok" ||
		good.Checks["telegram"].Status != "off" || good.Checks["cloudinary"].Status != "off" ||
		good.Checks["memory"].UsedBytes < 1<<20 || good.Checks["disk"].TotalBytes < 1<<20 || good.Checks["disk"].FreeBytes == 0 {
		t.Errorf("healthy: %d %s", r.status, r.body)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	broken := open(t, store) // with no cached results
	var bad answer
	r = broken.do(t, broken.browser(t), "GET", "/health", "")
	r.into(t, &bad)
	if r.status != http.StatusServiceUnavailable || bad.Status != "unhealthy" || bad.Checks["database"].Status != "error" {
		t.Errorf("without a database: %d %s", r.status, r.body)
	}
	if r = broken.do(t, broken.browser(t), "GET", "/health/live", ""); r.status != 200 {
		t.Errorf("live: %d", r.status)
	}
}

// TestPublicHealthHasStatesOnly compares the response to an unauthenticated client with a list of everything it may contain.
func TestPublicHealthHasStatesOnly(t *testing.T) {
	s := open(t, storetest.Open(t, "sqlite"))
	form := regexp.MustCompile(`^\{"status":"healthy","timestamp":"[0-9T:.Z-]+","checks":\{"clock":\{"status":"ok"\},"cloudinary":\{"status":"off"\},"database":\{"status":"ok"\},` +
		`"disk":\{"status":"\w+"\},"memory":\{"status":"\w+"\},"redis":\{"status":"off"\},"telegram":\{"status":"off"\}\}\}\n$`)
	for _, headers := range [][]string{nil, {"Authorization", "Bearer wrong"}, {"Authorization", "Bearer "}, {"Cookie", "sohbet_session=x"}} {
		if r := s.do(t, s.browser(t), "GET", "/health", "", headers...); r.status != 200 || !form.MatchString(r.body) {
			t.Errorf("%v: %d %s", headers, r.status, r.body)
		}
	}
	var found state
	for name, r := range map[string]reply{
		"an agent":  s.do(t, s.agent(t), "GET", "/health", ""),
		"the token": s.do(t, s.browser(t), "GET", "/health", "", "Authorization", "Bearer "+metricsToken),
	} {
		if r.into(t, &found); found.Checks["memory"].UsedBytes == 0 || found.Checks["database"].Detail != "sqlite" || !strings.Contains(r.body, `"version":`) {
			t.Errorf("%s: %s", name, r.body)
		}
	}
}

func TestMetrics(t *testing.T) {
	store := storetest.Open(t, "sqlite")
	seed(t, store, threadA, "Ada")
	s := open(t, store)
	read := func(name string) float64 {
		t.Helper()
		r := s.do(t, s.browser(t), "GET", "/metrics", "", "Authorization", "Bearer "+metricsToken)
		found := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + ` (\S+)$`).FindStringSubmatch(r.body)
		if found == nil {
			t.Fatalf("no %s: %d %.500s", name, r.status, r.body)
		}
		v, err := strconv.ParseFloat(found[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	accepted, sockets := read("sohbet_messages_accepted_total"), read("sohbet_sockets")
	s.do(t, s.browser(t), "POST", "/api/messages/send", `{"text":"x"}`, "Authorization", "Bearer "+threadA)
	s.do(t, s.browser(t), "GET", "/socket.io/?EIO=4&transport=polling", "")
	if got := read("sohbet_messages_accepted_total"); got != accepted+1 {
		t.Errorf("messages: %v, then %v", accepted, got)
	}
	if got := read("sohbet_sockets"); got != sockets+1 {
		t.Errorf("sockets: %v, then %v", sockets, got)
	}
	if read(`sohbet_http_requests_total{method="POST",route="/api/messages/send",status="200"}`) != 1 || read("go_goroutines") < 1 || read("sohbet_uptime_seconds") <= 0 {
		t.Error("requests, goroutines or uptime are not counted")
	}
	event := func(name, outcome string) string {
		return `sohbet_socket_events_total{event="` + name + `",outcome="` + outcome + `"}`
	}
	visitor := s.socket(t, s.browser(t))
	visitor.emit("join", `{"display_name":"Can"}`)
	visitor.emit("message", `{"text":"hello"}`)
	visitor.emit("message", `{"text":""}`)
	visitor.emit("admin_join", `{}`)
	for name, want := range map[string]float64{
		event("join", "ok"): 1, event("message", "ok"): 1, event("message", "validation_error"): 1, event("admin_join", "unauthorized"): 1,
		`sohbet_socket_event_duration_seconds_count{event="message"}`: 2, "sohbet_visitors_online": 1, "sohbet_sockets_opened_total": sockets + 2,
		"sohbet_sockets_cut_total": 0, "sohbet_sockets_queued_bytes": 0, "sohbet_store_queue": 0,
	} {
		if got := read(name); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	if read("sohbet_store_commits_total") < 2 || read(`go_sql_open_connections{db_name="write"}`) < 1 {
		t.Error("commits or the database's connections are not counted")
	}
	for _, token := range []string{"", "Bearer ", "Bearer wrong", "Bearer metrics-secre", "metrics-secret", "Basic metrics-secret"} {
		for _, path := range []string{"/metrics", "/api/metrics"} {
			if r := s.do(t, s.browser(t), "GET", path, "", "Authorization", token); r.status != 401 {
				t.Errorf("%s with %q: %d", path, token, r.status)
			}
		}
	}
	var numbers map[string]any
	s.do(t, s.agent(t), "GET", "/api/metrics", "").into(t, &numbers)
	if numbers["messages_accepted"] != accepted+2 || numbers["sockets"] != sockets+2 {
		t.Errorf("JSON: %v", numbers)
	}
	if strings.Contains(s.log.String(), "metrics-secret") {
		t.Error("the token is in the log")
	}
}

// locked simulates another program that locks a SQLite database for writing until it executes ROLLBACK, or the test ends.
func locked(t *testing.T, url string) *sql.DB {
	t.Helper()
	driver := "sqlite3"
	if !slices.Contains(sql.Drivers(), driver) {
		driver = "sqlite" // in a build without cgo
	}
	other, err := sql.Open(driver, strings.TrimPrefix(url, "sqlite://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = other.Close() })
	other.SetMaxOpenConns(1)
	if _, err := other.Exec("BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	return other
}

// While another program locks the database file, stored data can be read, and writes fail.
func TestHealthReportsThatNothingIsStored(t *testing.T) {
	options := storetest.Options(t, "sqlite")
	store := storetest.Reopen(t, options)
	seed(t, store, threadA, "Ada", "hello")
	s := open(t, store)
	other := locked(t, options.URL)
	var answer struct {
		Status string
		Checks map[string]struct{ Status, Detail string }
	}
	r := s.do(t, s.browser(t), "GET", "/health", "", "Authorization", "Bearer "+metricsToken)
	r.into(t, &answer)
	if r.status != http.StatusServiceUnavailable || answer.Status != "degraded" || answer.Checks["database"].Status != "error" ||
		answer.Checks["database"].Detail != "the database does not answer in time" {
		t.Errorf("locked: %d %s", r.status, r.body)
	}
	if r := s.do(t, s.browser(t), "GET", "/health/ready", ""); r.status != http.StatusServiceUnavailable {
		t.Errorf("ready: %d", r.status)
	}
	if r := s.do(t, s.browser(t), "GET", "/", ""); r.status != 200 {
		t.Errorf("the page: %d", r.status)
	}
	if _, err := other.Exec("ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	healed := open(t, store) // with no cached results
	for deadline := time.Now().Add(10 * time.Second); ; {
		if r = healed.do(t, healed.browser(t), "GET", "/health", ""); r.status == 200 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("healed: %d %s", r.status, r.body)
		}
		time.Sleep(100 * time.Millisecond)
	}
}
