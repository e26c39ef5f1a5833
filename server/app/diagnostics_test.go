package app

import (
	"strings"
	"testing"

	"sohbet/models/storetest"
)

func TestDiagnostics(t *testing.T) {
	store := storetest.Open(t, "sqlite")
	seed(t, store, threadA, "Ada", "hello")
	s := open(t, store, "LOG_LEVEL", "info")
	agent := s.agent(t)
	var found struct {
		LogLevel string `json:"log_level"`
		Checks   map[string]struct {
			Status    string
			CheckedAt string  `json:"checked_at"`
			LastOK    string  `json:"last_ok"`
			Duration  float64 `json:"duration_ms"`
		}
		Samples []any
		Repairs []string
	}
	s.do(t, agent, "GET", "/api/diagnostics?fresh=1", "").into(t, &found)
	first := found.Checks["database"]
	if first.Status != "ok" || first.CheckedAt == "" || first.LastOK != first.CheckedAt || first.Duration <= 0 ||
		found.Samples == nil || strings.Join(found.Repairs, " ") != "compact purge" {
		t.Errorf("%+v", found)
	}
	for name, want := range map[string]string{"compact": `"after_bytes":`, "purge": `"codes":`} {
		r := s.do(t, agent, "POST", "/api/diagnostics/repair", `{"name":"`+name+`"}`)
		if r.status != 200 || !strings.Contains(r.body, want) {
			t.Errorf("%s: %d %s", name, r.status, r.body)
		}
	}
	for path, bodies := range map[string][]string{
		"/api/diagnostics/repair":    {`{"name":"resend"}`, `{"name":"format"}`, `{}`},
		"/api/diagnostics/log-level": {`{"level":"loud"}`, `{"level":"error+4"}`, `{}`},
	} {
		for _, body := range bodies {
			if r := s.do(t, agent, "POST", path, body); r.status != 400 {
				t.Errorf("%s with %s: %d %s", path, body, r.status, r.body)
			}
		}
	}
	if strings.Contains(s.log.String(), `"level":"DEBUG"`) {
		t.Fatal("the log is at debug already")
	}
	if r := s.do(t, agent, "POST", "/api/diagnostics/log-level", `{"level":"debug"}`); r.status != 200 || !strings.Contains(r.body, `"debug"`) {
		t.Errorf("log level: %d %s", r.status, r.body)
	}
	s.do(t, agent, "GET", "/health/live", "") // logged at debug level
	if !strings.Contains(s.log.String(), `"level":"DEBUG"`) || !strings.Contains(s.log.String(), `"event":"log_level"`) {
		t.Error("the level was not changed, or the audit log does not say who changed it")
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	s.do(t, agent, "GET", "/api/diagnostics?fresh=1", "").into(t, &found)
	if now := found.Checks["database"]; now.Status != "error" || now.LastOK == "" || now.LastOK == now.CheckedAt {
		t.Errorf("without a database: %+v", now)
	}
}
