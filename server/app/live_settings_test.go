package app

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"sohbet/models"
	"sohbet/models/storetest"
)

type settingView struct {
	Value, Source       string
	Set, Locked, Secret bool
}

func (s *site) settings(t *testing.T, c *http.Client) map[string]settingView {
	t.Helper()
	var all map[string]settingView
	s.do(t, c, "GET", "/api/settings", "").into(t, &all)
	return all
}

func (s *site) set(t *testing.T, c *http.Client, changes map[string]any, headers ...string) (status int, errors map[string]string) {
	t.Helper()
	body, err := json.Marshal(changes)
	if err != nil {
		t.Fatal(err)
	}
	r := s.do(t, c, "POST", "/api/settings", string(body), headers...)
	var answer struct{ Errors map[string]string }
	r.into(t, &answer)
	return r.status, answer.Errors
}

func TestSettingsAreAppliedAtOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, store *models.Store) {
		seed(t, store, threadA, "Vera")
		s := open(t, store, "AGENT_NAME", "Ayşe", "LOG_LEVEL", "", "METRICS_TOKEN", "", "RATE_LIMIT_LOGIN", "")
		owner, visitor := s.agent(t), s.browser(t)
		all := s.settings(t, owner)
		if v := all["AGENT_NAME"]; !v.Locked || v.Source != "environment" || v.Value != "Ayşe" {
			t.Errorf("%+v", v)
		}
		if v := all["SECRET_KEY"]; v.Value != "" || !v.Secret || !v.Set || !v.Locked {
			t.Errorf("%+v", v)
		}
		const other = "https://shop.example"
		api := func(origin string) reply {
			return s.do(t, visitor, "GET", "/api/threads", "", "Origin", origin)
		}
		if api(other).header.Get("Access-Control-Allow-Origin") != "" {
			t.Error("a site that is not listed may read answers")
		}
		status, wrong := s.set(t, owner, map[string]any{
			"BRAND_NAME": "Çay Evi", "BRAND_COLOR": "#E91E63", "CORS_ORIGINS": other, "DEFAULT_LOCALE": "en", "METRICS_TOKEN": "zyxwv-token",
			"OPENING_HOURS": "Europe/Istanbul Mon 03:00-03:01", "LOG_LEVEL": "debug", "RATE_LIMIT_LOGIN": "1/1h", "IDENTITY_SECRET": strings.Repeat("s", 40),
		})
		if status != 200 || len(wrong) != 0 {
			t.Fatalf("%d %v", status, wrong)
		}
		page := s.do(t, visitor, "GET", "/", "")
		for _, part := range []string{"Çay Evi", "/brand.css", `lang="en"`, `&#34;hours&#34;:true`} {
			if !strings.Contains(page.body, part) {
				t.Errorf("the page has no %s", part)
			}
		}
		if policy := page.header.Get("Content-Security-Policy"); !strings.Contains(policy, "frame-ancestors 'self' "+other) {
			t.Errorf("policy %s", policy)
		}
		if loader := s.do(t, visitor, "GET", "/widget.js", ""); !strings.Contains(loader.body, other) || !strings.Contains(loader.body, "Çay Evi") {
			t.Error("the loader does not know the site")
		}
		if manifest := s.do(t, visitor, "GET", "/manifest.json", ""); !strings.Contains(manifest.body, "Çay Evi") {
			t.Errorf("manifest %s", manifest.body)
		}
		if got := api(other).header.Get("Access-Control-Allow-Origin"); got != other {
			t.Errorf("a listed site: %q", got)
		}
		if r := s.do(t, visitor, "GET", "/metrics", "", "Authorization", "Bearer zyxwv-token"); r.status != 200 {
			t.Errorf("metrics: %d", r.status)
		}
		limited := 0
		for range 3 {
			if r := s.do(t, visitor, "POST", "/verify-otp", `{"otp":"111111"}`); r.status == 429 {
				limited++
			}
		}
		if limited == 0 {
			t.Error("the limit for signing in has not changed")
		}
		if v := s.settings(t, owner)["BRAND_NAME"]; v.Value != "Çay Evi" || v.Source != "database" || v.Locked {
			t.Errorf("%+v", v)
		}
		if r := s.do(t, owner, "GET", "/api/settings", ""); strings.Contains(r.body, "zyxwv") || strings.Contains(r.body, "ssss") {
			t.Error("a secret is shown")
		}
		if log := s.log.String(); strings.Contains(log, "ssss") || strings.Count(log, "setting_changed") != 9 {
			t.Errorf("log: %s", log)
		}

		if status, wrong := s.set(t, owner, map[string]any{"BRAND_NAME": nil, "CORS_ORIGINS": "", "OPENING_HOURS": nil}); status != 200 || len(wrong) != 0 {
			t.Errorf("set back: %d %v", status, wrong)
		}
		if page := s.do(t, visitor, "GET", "/", ""); strings.Contains(page.body, "Çay Evi") || strings.Contains(page.body, `&#34;hours&#34;:true`) || api(other).header.Get("Access-Control-Allow-Origin") != "" {
			t.Error("what was set back is still in effect")
		}
	})
}

func TestWrongSettingsChangeNothing(t *testing.T) {
	s := open(t, storetest.Open(t, "sqlite"), "AGENT_NAME", "Ayşe", "LOG_LEVEL", "", "RATE_LIMIT_LOGIN", "")
	owner := s.agent(t)
	for name, value := range map[string]any{
		"AGENT_NAME": "Ada", "PORT": "1", "NO_SUCH": "x", "BRAND_COLOR": "pink", "OPENING_HOURS": "sometimes", "CORS_ORIGINS": "shop.example", "RATE_LIMIT_LOGIN": "5",
		"MESSAGE_RETENTION_DAYS": "-1", "IDENTITY_SECRET": "short", "DEFAULT_LOCALE": "fr", "LOG_LEVEL": "loud", "BRAND_LOGO": "missing.png", "BRAND_NAME": strings.Repeat("x", 61),
	} {
		status, wrong := s.set(t, owner, map[string]any{"BRAND_GREETING": "hello", name: value})
		if status != 400 || len(wrong) != 1 || wrong[name] == "" {
			t.Errorf("%s: %d %v", name, status, wrong)
		}
	}
	if _, wrong := s.set(t, owner, map[string]any{"MESSAGE_RETENTION_DAYS": "x"}, "Cookie", "lang=tr", "Accept-Language", "tr"); !strings.Contains(wrong["MESSAGE_RETENTION_DAYS"], "tam sayı") {
		t.Errorf("in Turkish: %v", wrong)
	}
	for _, body := range []string{`[]`, `{"BRAND_NAME":1}`, `{}`, `x`} {
		if r := s.do(t, owner, "POST", "/api/settings", body); r.status != 400 {
			t.Errorf("%s: %d", body, r.status)
		}
	}
	if v := s.settings(t, owner)["BRAND_GREETING"]; v.Set {
		t.Errorf("stored: %+v", v)
	}
	ada := s.member(t, "Ada")
	if r := s.do(t, ada, "GET", "/api/settings", ""); r.status != 403 {
		t.Errorf("an agent: %d", r.status)
	}
	if status, _ := s.set(t, ada, map[string]any{"BRAND_NAME": "x"}); status != 403 {
		t.Errorf("an agent: %d", status)
	}
}

// A change leaves alone what was not changed, such as the level that was set on the diagnostics page.
func TestSettingsChangeOnlyWhatChanged(t *testing.T) {
	s := open(t, storetest.Open(t, "sqlite"), "LOG_LEVEL", "")
	owner := s.agent(t)
	if r := s.do(t, owner, "POST", "/api/diagnostics/log-level", `{"level":"error"}`); r.status != 200 {
		t.Fatalf("%d %s", r.status, r.body)
	}
	for name, value := range map[string]string{"BRAND_NAME": "  Çay Evi\n", "AGENT_NAME": " \t "} {
		if status, wrong := s.set(t, owner, map[string]any{name: value}); status != 200 {
			t.Errorf("%s: %d %v", name, status, wrong)
		}
	}
	all := s.settings(t, owner)
	if all["BRAND_NAME"].Value != "Çay Evi" || all["AGENT_NAME"].Set {
		t.Errorf("%+v, %+v", all["BRAND_NAME"], all["AGENT_NAME"])
	}
	var found struct {
		Level string `json:"log_level"`
	}
	s.do(t, owner, "GET", "/api/diagnostics", "").into(t, &found)
	if found.Level != "error" {
		t.Errorf("the level is %q", found.Level)
	}
}

// A stored value that is not valid any more does not prevent the start.
func TestStartWithStoredSettings(t *testing.T) {
	store := storetest.Open(t, "sqlite")
	values := map[string]string{"BRAND_NAME": "Çay Evi", "OPENING_HOURS": "sometimes", "BRAND_LOGO": "missing.png"}
	if err := store.ChangeSettings(t.Context(), 0, values); err != nil {
		t.Fatal(err)
	}
	s := open(t, store)
	if r := s.do(t, s.browser(t), "GET", "/", ""); r.status != 200 {
		t.Errorf("%d", r.status)
	}
	if log := s.log.String(); !strings.Contains(log, "OPENING_HOURS") || !strings.Contains(log, "BRAND_LOGO") {
		t.Errorf("log: %s", log)
	}
}
