package app

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"sohbet/models"
	"sohbet/models/storetest"
	"sohbet/server/auth"
)

// p256dh is a browser's public key, from RFC 8291 §5.
const p256dh = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"

// ownersOnly are the routes that need the role of an owner.
var ownersOnly = []string{"/api/messages/clear_all", "/api/agents/password-link", "/api/agents/invite", "/api/agents/update", "/api/settings", "/admin/settings", "/api/audit", "/api/audit.csv", "/admin/audit", "/api/diagnostics/repair", "/api/diagnostics/log-level"}

// TestEveryRoute tries each route as each kind of caller (docs/protocol.md, "HTTP").
func TestEveryRoute(t *testing.T) {
	const send = `{"thread_id":"` + threadA + `","text":"hello"}`
	type want struct {
		anonymous, visitor, agent int
		stranger                  int // a visitor with a thread id that is not stored
	}
	all := func(status int) want { return want{status, status, status, status} }
	agents, public, refused := want{401, 401, 200, 401}, all(200), all(404)
	table := []struct {
		method, path, body string
		want
	}{
		{"GET", "/", "", public}, {"GET", "/widget.js", "", public}, {"GET", "/widget", "", public}, {"GET", "/login", "", public}, {"GET", "/admin", "", want{302, 302, 200, 302}},
		{"GET", "/health", "", public}, {"GET", "/health/live", "", public}, {"GET", "/health/ready", "", all(503)},
		{"GET", "/favicon.ico", "", public}, {"GET", "/favicon.svg", "", public}, {"GET", "/manifest.json", "", public}, {"GET", "/admin/manifest.json", "", public}, {"GET", "/sw.js", "", public}, {"GET", "/offline", "", public},
		{"GET", "/icon-192.png", "", public}, {"GET", "/icon-512.png", "", public}, {"GET", "/icon-maskable-512.png", "", public}, {"GET", "/apple-touch-icon.png", "", public}, {"GET", "/robots.txt", "", public},
		{"GET", "/static/*", "", public}, {"GET", "/brand.css", "", refused}, {"GET", "/brand/logo", "", refused}, {"GET", "/brand/avatar", "", refused}, // neither is set
		{"GET", "/socket.io/socket.io.min.js", "", public}, {"GET", "/socket.io/socket.io.js", "", public}, {"GET", "/socket.io/socket.io.esm.min.js", "", public},
		{"GET", "/api/threads", "", agents},
		{"GET", "/api/threads/counts?q=a", "", agents},
		{"GET", "/api/messages", "", want{401, 401, 400, 401}},
		{"GET", "/api/messages?thread_id=" + threadA, "", agents},
		{"GET", "/api/messages?thread_id=" + threadA + "&page=1", "", agents},
		{"GET", "/api/messages?thread_id=nonsense", "", want{401, 401, 400, 401}},
		{"GET", "/api/messages/" + threadA, "", agents},
		{"GET", "/metrics", "", agents}, {"GET", "/api/metrics", "", agents},
		{"POST", "/api/messages/send", send, want{401, 200, 200, 403}},
		{"POST", "/api/messages/send", strings.Replace(send, threadA, threadB, 1), want{401, 403, 200, 403}},
		{"POST", "/api/messages/send", `{"text":"hello"}`, want{401, 200, 400, 401}},
		{"POST", "/api/messages/send", `{"thread_id":"` + threadA + `"}`, want{401, 400, 400, 403}},
		{"POST", "/api/messages/send", `{"text":`, want{401, 400, 400, 400}},
		{"POST", "/api/messages/clear", "", want{401, 401, 400, 401}},
		{"POST", "/api/messages/clear?thread_id=" + threadB, "", agents},
		{"POST", "/api/messages/clear", `{"thread_id":"` + unknown + `"}`, want{401, 401, 404, 401}},
		{"POST", "/api/messages/clear_all", "", agents},
		{"POST", "/api/threads/delete", `{"thread_id":"` + threadB + `"}`, agents},
		{"POST", "/api/threads/delete", `{"thread_id":"` + unknown + `"}`, want{401, 401, 404, 401}},
		{"POST", "/api/threads/delete?thread_id=" + threadB, "", want{401, 401, 400, 401}},
		{"GET", "/api/blocks", "", agents},
		{"POST", "/api/threads/block", `{"thread_id":"` + threadB + `","address":true}`, agents},
		{"POST", "/api/threads/block", `{"thread_id":"` + unknown + `"}`, want{401, 401, 404, 401}},
		{"POST", "/api/threads/block", "", want{401, 401, 400, 401}},
		{"POST", "/api/threads/unblock", `{"thread_id":"` + threadB + `"}`, agents},
		{"POST", "/api/threads/unblock", "", want{401, 401, 400, 401}},
		{"POST", "/api/threads/export", `{"thread_id":"` + threadB + `","format":"text"}`, agents},
		{"POST", "/api/threads/export", `{"thread_id":"` + threadB + `","format":"xml"}`, want{401, 401, 400, 401}},
		{"POST", "/api/threads/export", `{"thread_id":"` + unknown + `","format":"json"}`, want{401, 401, 404, 401}},
		{"POST", "/api/threads/export", `{"format":"json"}`, want{401, 401, 400, 401}},
		{"GET", "/api/push/key", "", agents},
		{"POST", "/api/push/subscribe", `{"endpoint":"https://push.example/x","locale":"tr","keys":{"auth":"AAAAAAAAAAAAAAAAAAAAAA","p256dh":"` + p256dh + `"}}`, agents},
		{"POST", "/api/push/subscribe", `{"endpoint":"https://10.0.0.1/x","keys":{}}`, want{401, 401, 400, 401}},
		{"POST", "/api/push/unsubscribe", `{"endpoint":"https://push.example/x"}`, agents},
		{"POST", "/api/push/unsubscribe", "", want{401, 401, 400, 401}},
		{"GET", "/api/undelivered", "", agents},
		{"POST", "/api/undelivered/send", `{"thread_id":"` + threadA + `","message_id":1}`, agents},
		{"POST", "/api/undelivered/send", `{}`, want{401, 401, 400, 401}},
		{"GET", "/api/canned", "", agents},
		{"POST", "/api/canned", `{"shortcut":"kargo","text":"Kargonuz yolda."}`, agents},
		{"POST", "/api/canned", `{"shortcut":"KARGO","text":"x"}`, want{401, 401, 409, 401}},
		{"POST", "/api/canned", `{"shortcut":"a b","text":"x"}`, want{401, 401, 400, 401}},
		{"POST", "/api/canned/delete", `{"id":1}`, agents},
		{"POST", "/api/canned/delete", `{"id":1}`, want{401, 401, 404, 401}},
		{"GET", "/api/me", "", agents}, {"GET", "/api/agents", "", agents},
		{"POST", "/api/me/totp/confirm", `{"otp":"123456"}`, want{401, 401, 409, 401}}, {"POST", "/api/me/totp", "", want{401, 401, 409, 401}},
		{"GET", "/api/me/passkeys", "", agents}, {"POST", "/api/me/passkeys/begin", "", want{401, 401, 409, 401}}, {"POST", "/api/me/passkeys/finish", `{"credential":{}}`, want{401, 401, 400, 401}},
		{"POST", "/api/me/passkeys/remove", `{"id":1}`, want{401, 401, 404, 401}}, {"POST", "/api/invite/passkey", `{"token":"nothing","name":"Eve"}`, refused},
		{"GET", "/api/me/sessions", "", agents}, {"POST", "/api/me/sessions/end", `{"id":"x"}`, want{401, 401, 404, 401}}, {"POST", "/api/me/sessions/end", "", want{401, 401, 400, 401}},
		{"POST", "/api/me/picture", "", want{401, 401, 400, 401}}, {"POST", "/api/me/picture/remove", "", agents}, {"GET", "/agents/pictures/1-0.jpg", "", all(404)},
		{"POST", "/api/me/totp/remove", `{"password":{}}`, want{401, 401, 400, 401}},
		{"POST", "/api/me/telegram", "", want{401, 401, 409, 401}}, {"POST", "/api/me/telegram/unlink", "", agents}, // without a bot
		{"POST", "/api/me", `{"locale":"en"}`, agents}, {"POST", "/api/me", `{"email":"x"}`, want{401, 401, 400, 401}},
		{"POST", "/api/agents/update", `{"id":1}`, agents}, {"POST", "/api/agents/update", `{}`, want{401, 401, 400, 401}},
		{"POST", "/api/agents/update", `{"id":1,"disabled":true}`, want{401, 401, 409, 401}}, {"POST", "/api/agents/update", `{"id":99}`, want{401, 401, 404, 401}},
		{"GET", "/api/settings", "", agents}, {"GET", "/admin/settings", "", want{302, 302, 200, 302}},
		{"POST", "/api/settings", `{"BRAND_NAME":"Tea House"}`, agents}, {"POST", "/api/settings", `{"PORT":"1"}`, want{401, 401, 400, 401}}, {"POST", "/api/settings", "", want{401, 401, 400, 401}},
		{"POST", "/api/agents/invite", `{"role":"agent"}`, agents}, {"POST", "/api/agents/invite", `{"role":"boss"}`, want{401, 401, 400, 401}},
		{"POST", "/api/agents/password-link", `{"id":2}`, agents}, {"POST", "/api/agents/password-link", "", want{401, 401, 404, 401}},
		{"GET", "/password/nothing", "", refused}, {"POST", "/api/password", `{"token":"nothing","password":"long enough a password"}`, refused},
		{"GET", "/invite/nothing", "", refused}, {"POST", "/api/invite", `{"token":"nothing","name":"Eve","password":"long enough a password"}`, refused},
		{"GET", "/admin/people", "", want{302, 302, 200, 302}}, {"GET", "/admin/diagnostics", "", want{302, 302, 200, 302}},
		{"GET", "/admin/audit", "", want{302, 302, 200, 302}}, {"GET", "/api/audit?agent=1&from=2026-01-01", "", agents}, {"GET", "/api/audit.csv", "", agents},
		{"GET", "/api/audit?event=nothing", "", want{401, 401, 400, 401}}, {"GET", "/api/audit?to=yesterday", "", want{401, 401, 400, 401}},
		{"GET", "/api/diagnostics", "", agents},
		{"POST", "/api/diagnostics/repair", `{"name":"compact"}`, agents},
		{"POST", "/api/diagnostics/repair", `{"name":"format"}`, want{401, 401, 400, 401}},
		{"POST", "/api/diagnostics/log-level", `{"level":"info"}`, agents},
		{"POST", "/request-otp", "", public},
		{"POST", "/verify-otp", `{"otp":"x"}`, all(401)},
		{"POST", "/admin/login", `{"username":"admin","password":"x"}`, all(401)},
		{"POST", "/admin/verify-otp", `{"otp":"x"}`, all(401)},
		{"POST", "/login/passkey/begin", "", all(409)}, {"POST", "/login/passkey/finish", `{"credential":{}}`, all(401)}, // at an IP address
		{"GET", "/login/oidc", "", refused}, {"GET", "/login/oidc/callback?code=x&state=x", "", refused}, // no provider is configured
		{"POST", "/telegram/webhook", "{}", refused}, // no bot is configured
		{"POST", "/api/upload/image", "", all(400)}, {"POST", "/api/upload/audio", "", all(400)}, {"POST", "/api/upload/file", "{}", all(400)},
		{"POST", "/api/upload/sign", `{"kind":"image"}`, public}, {"POST", "/api/upload/sign", `{"kind":"x"}`, all(400)},
		{"POST", "/api/upload/confirm", `{"id":"x"}`, refused}, {"POST", "/api/upload/confirm", "", all(400)},
		{"GET", "/uploads/images/nothing.jpg", "", refused},
		{"GET", "/nothing", "", refused}, {"POST", "/api/nothing", "", refused}, {"GET", "/socket.io/other.js", "", refused},
		{"GET", "/static/0/nothing.js", "", refused}, {"GET", "/api/threads/x", "", refused},
		{"POST", "/", "", all(405)}, {"GET", "/request-otp", "", all(405)}, {"PUT", "/api/threads", "", all(405)},
		{"GET", "/logout", "", all(302)}, // last, because it ends the agent's session
	}
	storetest.Each(t, func(t *testing.T, store *models.Store) {
		s := open(t, store)
		tried := map[string]bool{}
		owner, visitor := s.agent(t), s.browser(t)
		ada, eve := s.member(t, "Ada"), s.member(t, "Eve")
		s.update(t, "Eve", models.AgentPatch{Disabled: ref(true)})
		type caller struct {
			name   string
			client *http.Client
			header []string
			want   func(want) int
		}
		callers := []caller{
			{"anonymous", s.browser(t), nil, func(w want) int { return w.anonymous }},
			{"visitor", visitor, []string{"Authorization", "Bearer " + threadA}, func(w want) int { return w.visitor }},
			{"owner", owner, nil, func(w want) int { return w.agent }},
			{"agent", ada, nil, func(w want) int { return w.agent }},
			{"disabled agent", eve, nil, func(w want) int { return w.anonymous }},
			{"forged cookie", s.browser(t), []string{"Cookie", "sohbet_session=" + strings.Repeat("MTc5", 60)}, func(w want) int { return w.anonymous }},
			{"expired cookie", s.browser(t), []string{"Cookie", expiredCookie(t)}, func(w want) int { return w.anonymous }},
			{"invented thread", s.browser(t), []string{"Authorization", "Bearer " + unknown}, func(w want) int { return w.stranger }},
		}
		fresh := false
		reset := func() {
			if _, err := store.ClearAll(t.Context()); err != nil {
				t.Fatal(err)
			}
			seed(t, store, threadA, "Ada", "first")
			seed(t, store, threadB, "Bob", "first")
		}
		for _, row := range table {
			bare, _, _ := strings.Cut(row.path, "?")
			path := strings.Replace(row.path, "/static/*", staticFile(t, s), 1)
			for _, c := range callers {
				// Each call needs the same two threads.
				if !fresh {
					reset()
				}
				fresh = row.method == "GET" || row.method == "PUT"
				expected := c.want(row.want)
				if c.name == "agent" {
					switch {
					case slices.Contains(ownersOnly, bare):
						expected = 403
					case row.path == "/api/canned" && expected == 200 && row.method == "POST": // the owner has done it
						expected = 409
					case row.path == "/api/canned/delete":
						expected = 404
					case row.path == "/api/me/totp": // who has a password, unlike the owner
						expected = 200
					}
				}
				r := s.do(t, c.client, row.method, path, row.body, c.header...)
				if r.status != expected {
					t.Errorf("%s %s %s as %s: %d, want %d: %.200s", row.method, row.path, row.body, c.name, r.status, expected, r.body)
				}
				checkError(t, row.path, r)
				if row.method == "GET" && row.path != "/logout" && r.status == 200 {
					if head := s.do(t, c.client, "HEAD", path, "", c.header...); head.status != 200 || head.body != "" {
						t.Errorf("HEAD %s as %s: %d %q", row.path, c.name, head.status, head.body)
					}
				}
			}
			if strings.HasPrefix(bare, "/uploads/") {
				bare = "/uploads/:folder/:name"
			}
			bare = strings.NewReplacer("/invite/nothing", "/invite/:token", "/password/nothing", "/password/:token", "/agents/pictures/1-0.jpg", "/agents/pictures/:name").Replace(bare)
			tried[row.method+" "+strings.Replace(bare, "/messages/"+threadA, "/messages/:thread_id", 1)] = true
		}
		for _, route := range s.server.Routes() {
			method, _, _ := strings.Cut(route, " ")
			if method != http.MethodHead && !tried[route] {
				t.Errorf("%s is not in the table", route)
			}
		}
		if log := s.log.String(); strings.Contains(log, threadA) || strings.Contains(log, threadB) || strings.Contains(log, unknown) {
			t.Error("a thread id is in the log")
		}
	})
}

// checkError compares a refusal with docs/protocol.md, "HTTP errors".
func checkError(t *testing.T, path string, r reply) {
	t.Helper()
	if r.status < 400 || strings.HasPrefix(path, "/static") || strings.HasPrefix(path, "/health") || strings.HasPrefix(path, "/invite/") || strings.HasPrefix(path, "/password/") {
		return
	}
	var e struct {
		Success   *bool
		Error     string
		Code      string
		Status    int
		Timestamp string
	}
	r.into(t, &e)
	if _, err := time.Parse("2006-01-02T15:04:05.000Z", e.Timestamp); err != nil || e.Success == nil || *e.Success || e.Error == "" || e.Status != r.status {
		t.Errorf("%s: error %s", path, r.body)
	}
	codes := map[int][]string{
		400: {"VALIDATION_FAILED", "MISSING_THREAD_ID", "NO_FILE"}, 401: {"UNAUTHORIZED"}, 403: {"FORBIDDEN"}, 409: {"CONFLICT", "LAST_OWNER"}, 404: {"NOT_FOUND"},
		405: {"METHOD_NOT_ALLOWED"}, 413: {"VALIDATION_FAILED"}, 429: {"RATE_LIMIT_EXCEEDED"}, 503: {"INTERNAL_ERROR"},
	}
	if !slices.Contains(codes[r.status], e.Code) {
		t.Errorf("%s: code %s with status %d", path, e.Code, r.status)
	}
	if strings.HasPrefix(r.header.Get("Content-Type"), "text/html") || r.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%s: headers of an error: %v", path, r.header)
	}
}

// noSessions is a SessionStore without sessions.
type noSessions struct{ auth.SessionStore }

func (noSessions) SessionGeneration(context.Context) (string, error) { return "", nil }

func (noSessions) StartSession(context.Context, models.Session) error { return nil }

func expiredCookie(t *testing.T) string {
	t.Helper()
	return cookieFrom(t, noSessions{}, func() time.Time { return time.Now().Add(-12*time.Hour - time.Second) }, auth.Account{})
}

// cookieFrom returns the cookie of a session that began at another time. Without an account it is like one of an earlier version.
func cookieFrom(t *testing.T, store auth.SessionStore, now func() time.Time, who auth.Account) string {
	t.Helper()
	keys, err := auth.NewKeys([]string{testKey})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	sessions := auth.NewSessions(keys, store, auth.Cookies{HTTPS: func(*http.Request) bool { return false }}, now)
	if _, err := sessions.Issue(w, httptest.NewRequest("GET", "/", nil), who); err != nil {
		t.Fatal(err)
	}
	return strings.SplitN(w.Header().Get("Set-Cookie"), ";", 2)[0]
}

// staticFile returns the URL of a file that the chat page loads.
func staticFile(t *testing.T, s *site) string {
	t.Helper()
	page := s.do(t, s.browser(t), "GET", "/", "").body
	i := strings.Index(page, "/static/")
	if i < 0 {
		t.Fatal("the chat page loads nothing from /static/")
	}
	return page[i : i+strings.IndexByte(page[i:], '"')]
}
