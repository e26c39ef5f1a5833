package app

import (
	"compress/gzip"
	"encoding/json"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"sohbet/models"
	"sohbet/models/storetest"
)

type wireMessage struct {
	ID          int64  `json:"id"`
	ContentText string `json:"content_text"`
	SenderType  string `json:"sender_type"`
	CreatedAt   string `json:"created_at"`
}

func checkRun(t *testing.T, what string, got []wireMessage, from, to int) {
	t.Helper()
	if len(got) != to-from+1 {
		t.Fatalf("%s: %d messages, want %d to %d", what, len(got), from, to)
	}
	for i, m := range got {
		if m.ContentText != "message "+strconv.Itoa(from+i) || !strings.HasSuffix(m.CreatedAt, "Z") {
			t.Fatalf("%s: at %d: %+v", what, i, m)
		}
	}
}

func TestMessagesInEveryShape(t *testing.T) {
	const total = 1234 // several chunks of the stream
	texts := make([]string, total)
	for i := range texts {
		texts[i] = "message " + strconv.Itoa(i+1)
	}
	storetest.Each(t, func(t *testing.T, store *models.Store) {
		seed(t, store, threadA, "Ada", texts...)
		seed(t, store, threadB, "Bob")
		s := open(t, store)
		c := s.agent(t)
		const base = "/api/messages?thread_id=" + threadA

		var bare []wireMessage
		s.do(t, c, "GET", base, "").into(t, &bare)
		checkRun(t, "bare array", bare, 1, total)

		var object struct {
			Success  bool
			Messages []wireMessage
		}
		s.do(t, c, "GET", "/api/messages/"+threadA, "").into(t, &object)
		checkRun(t, "object", object.Messages, 1, total)
		if !object.Success {
			t.Error("no success")
		}

		for _, tc := range []struct {
			query    string
			from, to int
			more     bool
		}{{"&page=1", 1, 50, true}, {"&page=2&per_page=100", 101, 200, true}, {"&per_page=5000", 1, 100, true},
			{"&page=13&per_page=100", 1201, total, false}, {"&page=14&per_page=100", total + 1, total, false}} {
			var page struct {
				Success bool
				Data    struct {
					Messages   []wireMessage
					Pagination struct {
						Page    int
						PerPage int `json:"per_page"`
						Total   int
						Pages   int
						HasMore *bool `json:"has_more"`
					}
				}
			}
			s.do(t, c, "GET", base+tc.query, "").into(t, &page)
			checkRun(t, tc.query, page.Data.Messages, tc.from, tc.to)
			p := page.Data.Pagination
			if !page.Success || p.Total != total || p.Pages != (total+p.PerPage-1)/p.PerPage || p.HasMore == nil || *p.HasMore != tc.more {
				t.Errorf("%s: %+v", tc.query, p)
			}
		}

		middle := strconv.FormatInt(bare[599].ID, 10)
		for query, want := range map[string][2]int{
			"&limit=20": {total - 19, total}, "&after_id=" + middle + "&limit=10": {601, 610}, "&before_id=" + middle + "&limit=10": {590, 599},
		} {
			var part []wireMessage
			s.do(t, c, "GET", base+query, "").into(t, &part)
			checkRun(t, query, part, want[0], want[1])
		}

		for path, want := range map[string]string{
			"/api/messages?thread_id=" + threadB:             "[]",
			"/api/messages/" + threadB:                       `{"success":true,"messages":[]}`,
			"/api/messages?thread_id=" + threadB + "&page=1": `{"success":true,"data":{"messages":[],"pagination":{"page":1,"per_page":50,"total":0,"pages":0,"has_more":false}}}`,
			"/api/messages?thread_id=" + unknown:             "[]",
		} {
			if r := s.do(t, c, "GET", path, ""); r.status != 200 || strings.TrimSpace(r.body) != want {
				t.Errorf("%s: %d %s", path, r.status, r.body)
			}
		}
		for _, query := range []string{"&page=0", "&page=x", "&per_page=-1", "&limit=0", "&after_id=x", "&before_id=-5", "&before_id=1&after_id=2"} {
			if r := s.do(t, c, "GET", base+query, ""); r.status != 400 || r.code() != "VALIDATION_FAILED" {
				t.Errorf("%s: %d %s", query, r.status, r.body)
			}
		}
	})
}

func TestJSONIsCompressed(t *testing.T) {
	store := storetest.Open(t, "sqlite")
	seed(t, store, threadA, "Ada", strings.Repeat("long ", 1000))
	s := open(t, store)
	r := s.do(t, s.agent(t), "GET", "/api/messages/"+threadA, "", "Accept-Encoding", "gzip")
	if r.header.Get("Content-Encoding") != "gzip" {
		t.Fatalf("headers: %v", r.header)
	}
	z, err := gzip.NewReader(strings.NewReader(r.body))
	if err != nil {
		t.Fatal(err)
	}
	var object struct{ Messages []wireMessage }
	if err := json.NewDecoder(z).Decode(&object); err != nil || len(object.Messages) != 1 {
		t.Errorf("%v, %d messages", err, len(object.Messages))
	}
}

func TestThreadsList(t *testing.T) {
	storetest.Each(t, func(t *testing.T, store *models.Store) {
		seed(t, store, threadA, "Ada", "one", "two")
		seed(t, store, threadB, "Bob", "hello")
		seed(t, store, unknown, "Silent") // no messages: not listed
		s := open(t, store)
		c := s.agent(t)
		if r := s.do(t, c, "POST", "/api/messages/send", `{"thread_id":"`+threadA+`","text":"answer"}`); r.status != 200 {
			t.Fatalf("send: %s", r.body)
		}
		type row map[string]any
		list := func(query string) []row {
			t.Helper()
			var rows []row
			s.do(t, c, "GET", "/api/threads"+query, "").into(t, &rows)
			return rows
		}
		rows := list("")
		if len(rows) != 2 || rows[0]["id"] != threadA || rows[1]["id"] != threadB {
			t.Fatalf("got %v", rows)
		}
		for _, key := range []string{"id", "user_id", "display_name", "phone_number", "status", "created_at", "last_activity", "last_activity_at",
			"last_message", "last_message_time", "message_count", "unread_count", "online"} {
			if _, ok := rows[0][key]; !ok {
				t.Errorf("no %s in %v", key, rows[0])
			}
		}
		if rows[0]["last_message"] != "answer" || rows[0]["message_count"] != 3.0 || rows[0]["unread_count"] != 2.0 || rows[0]["online"] != false {
			t.Errorf("got %v", rows[0])
		}
		for query, want := range map[string]int{"?q=bob": 1, "?q=nobody": 0, "?limit=1": 1, "?status=closed": 0, "?status=active": 2,
			"?before=" + rows[0]["last_activity"].(string): 1, "?before=2000-01-01T00:00:00Z": 0, "?limit=99999": 2} {
			if got := list(query); len(got) != want {
				t.Errorf("%s: %d rows, want %d", query, len(got), want)
			}
		}
		for _, query := range []string{"?limit=x", "?limit=0", "?before=yesterday", "?status=gone"} {
			if r := s.do(t, c, "GET", "/api/threads"+query, ""); r.status != 400 {
				t.Errorf("%s: %d", query, r.status)
			}
		}
	})
}

func TestSendIsStoredOnce(t *testing.T) {
	store := storetest.Open(t, "sqlite")
	seed(t, store, threadA, "Ada")
	s := open(t, store)
	var first, second struct {
		Success   bool
		MessageID int64  `json:"message_id"`
		ThreadID  string `json:"thread_id"`
	}
	body := `{"text":"<b>literally</b>","client_id":"c1"}`
	s.do(t, s.browser(t), "POST", "/api/messages/send", body, "Authorization", "bearer "+threadA).into(t, &first)
	s.do(t, s.browser(t), "POST", "/api/messages/send", body, "Authorization", "Bearer "+threadA).into(t, &second)
	if !first.Success || first.MessageID == 0 || first != second || first.ThreadID != threadA {
		t.Errorf("got %+v and %+v", first, second)
	}
	messages, _, err := store.Messages(t.Context(), threadA, models.MessageQuery{})
	if err != nil || len(messages) != 1 || messages[0].ContentText != "<b>literally</b>" || messages[0].SenderType != "visitor" {
		t.Errorf("stored %+v, %v", messages, err)
	}
	form := "thread_id=" + threadA + "&content_text=form"
	if r := s.do(t, s.agent(t), "POST", "/api/messages/send", form, "Content-Type", "application/x-www-form-urlencoded"); r.status != 200 {
		t.Errorf("as a form: %d %s", r.status, r.body)
	}
	if r := s.do(t, s.browser(t), "POST", "/api/messages/send", `{"text":"`+strings.Repeat("x", 300<<10)+`"}`, "Authorization", "Bearer "+threadA); r.status != 413 {
		t.Errorf("300 kB: %d %s", r.status, r.body)
	}
	if r := s.do(t, s.browser(t), "POST", "/api/messages/send", `{"text":"`+strings.Repeat("x", 10_001)+`"}`, "Authorization", "Bearer "+threadA); r.status != 400 {
		t.Errorf("10,001 runes: %d %s", r.status, r.body)
	}
}

func TestLimits(t *testing.T) {
	store := storetest.Open(t, "sqlite")
	seed(t, store, threadA, "Ada")
	s := open(t, store, "RATE_LIMIT_API", "8/1m", "RATE_LIMIT_MESSAGE", "2/1m")
	c := s.browser(t)
	post := func() reply {
		return s.do(t, c, "POST", "/api/messages/send", `{"text":"hi"}`, "Authorization", "Bearer "+threadA)
	}
	for range 2 {
		if r := post(); r.status != 200 {
			t.Fatalf("within the limit: %d %s", r.status, r.body)
		}
	}
	if r := post(); r.status != 429 || r.code() != "RATE_LIMIT_EXCEEDED" || r.header.Get("Retry-After") == "" {
		t.Errorf("third message: %d %s", r.status, r.body)
	}
	for range 5 {
		s.do(t, c, "GET", "/api/threads", "")
	}
	if r := s.do(t, c, "GET", "/api/threads", ""); r.status != 429 || r.header.Get("Retry-After") == "" {
		t.Errorf("ninth request: %d %s", r.status, r.body)
	}
	if r := s.do(t, c, "GET", "/", ""); r.status != 200 {
		t.Errorf("pages are not part of the API: %d", r.status)
	}
}

func TestOtherSites(t *testing.T) {
	store := storetest.Open(t, "sqlite")
	seed(t, store, threadA, "Ada")
	s := open(t, store, "CORS_ORIGINS", "https://shop.example")
	agent := s.agent(t)
	body := `{"thread_id":"` + threadA + `","text":"x"}`
	page := s.do(t, agent, "GET", "/", "")
	token := regexp.MustCompile(`name="csrf-token" content="([0-9a-f]{64})"`).FindStringSubmatch(page.body)
	if token == nil {
		t.Fatal("no CSRF token on the page")
	}
	for name, tc := range map[string]struct {
		headers []string
		want    int
	}{
		"no browser":              {nil, 200},
		"own page":                {[]string{"Origin", s.URL, "Sec-Fetch-Site", "same-origin"}, 200},
		"own page, older browser": {[]string{"Origin", s.URL}, 200},
		"wrong token, own page":   {[]string{"Origin", s.URL, "X-CSRF-Token", "wrong"}, 200},
		"another site":            {[]string{"Origin", "https://evil.test", "Sec-Fetch-Site", "cross-site"}, 403},
		"another site, older":     {[]string{"Origin", "https://evil.test"}, 403},
		"a sibling":               {[]string{"Origin", "https://evil.example", "Sec-Fetch-Site", "same-site"}, 403},
		"no origin told":          {[]string{"Origin", "null", "Sec-Fetch-Site", "cross-site"}, 403},
		"wrong token":             {[]string{"Origin", "https://evil.test", "X-CSRF-Token", strings.Repeat("0", 64)}, 403},
		"token, host rewritten":   {[]string{"Origin", "https://chat.example", "X-CSRF-Token", token[1]}, 200},
		"a listed site":           {[]string{"Origin", "https://shop.example", "Sec-Fetch-Site", "cross-site"}, 200},
	} {
		if name == "a listed site" { // treated as a visitor, never as an agent
			if r := s.do(t, agent, "POST", "/api/messages/send", body, tc.headers...); r.status != 401 {
				t.Errorf("%s acts as the agent whose cookie came along: %d %s", name, r.status, r.body)
			}
			tc.headers = append(tc.headers, "Authorization", "Bearer "+threadA)
		}
		r := s.do(t, agent, "POST", "/api/messages/send", body, tc.headers...)
		if r.status != tc.want {
			t.Errorf("%s: %d, want %d: %s", name, r.status, tc.want, r.body)
		}
		allowed := r.header.Get("Access-Control-Allow-Origin")
		if (allowed != "") != (name == "a listed site") || allowed == "*" || r.header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: may be read by %q", name, allowed)
		}
	}
	preflight := func(origin string) reply {
		return s.do(t, agent, "OPTIONS", "/api/messages/send", "", "Origin", origin, "Access-Control-Request-Method", "POST",
			"Access-Control-Request-Headers", "authorization,content-type")
	}
	if r := preflight("https://shop.example"); r.status != 204 || r.header.Get("Access-Control-Allow-Origin") != "https://shop.example" ||
		!strings.Contains(strings.ToLower(r.header.Get("Access-Control-Allow-Headers")), "authorization") {
		t.Errorf("preflight of a listed site: %d %v", r.status, r.header)
	}
	if r := preflight("https://evil.test"); r.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("preflight of another site: %v", r.header)
	}
	if !strings.Contains(page.header.Get("Content-Security-Policy"), "frame-ancestors 'self' https://shop.example") {
		t.Errorf("the listed site may not embed: %s", page.header.Get("Content-Security-Policy"))
	}
	for _, path := range []string{"/admin", "/login"} {
		r := s.do(t, agent, "GET", path, "")
		if !strings.Contains(r.header.Get("Content-Security-Policy"), "frame-ancestors 'none'") || r.header.Get("X-Frame-Options") != "DENY" {
			t.Errorf("%s may be framed: %v", path, r.header)
		}
	}
	for origin, want := range map[string]int{"": 200, s.URL: 200, "https://shop.example": 200, "https://evil.test": 403, "null": 403} {
		var headers []string
		if origin != "" {
			headers = []string{"Origin", origin}
		}
		if r := s.do(t, agent, "GET", "/socket.io/?EIO=4&transport=polling", "", headers...); r.status != want {
			t.Errorf("handshake from %q: %d, want %d", origin, r.status, want)
		}
	}
}

func TestHeadersAndErrorPages(t *testing.T) {
	s := open(t, storetest.Open(t, "sqlite"))
	c := s.browser(t)
	for _, path := range []string{"/", "/login", "/health", "/api/threads", "/nothing", "/robots.txt", "/socket.io/socket.io.js"} {
		r := s.do(t, c, "GET", path, "")
		for _, name := range []string{"Content-Security-Policy", "X-Content-Type-Options", "Referrer-Policy", "Permissions-Policy",
			"Cross-Origin-Opener-Policy", "Cross-Origin-Resource-Policy", "X-Request-Id"} {
			if r.header.Get(name) == "" {
				t.Errorf("%s: no %s", path, name)
			}
		}
		if csp := r.header.Get("Content-Security-Policy"); strings.Contains(csp, "unsafe") || !strings.Contains(csp, "default-src 'none'") {
			t.Errorf("%s: policy %q", path, csp)
		}
	}
	inline := regexp.MustCompile(`(?i)<style|\sstyle=|\son[a-z]+=`)
	script := regexp.MustCompile(`(?is)<script([^>]*)>(.*?)</script>`)
	for _, path := range []string{"/", "/login", "/nothing"} {
		r := s.do(t, c, "GET", path, "", "Accept", "text/html")
		if found := inline.FindString(r.body); found != "" {
			t.Errorf("%s: inline %q is against its own policy", path, found)
		}
		for _, tag := range script.FindAllStringSubmatch(r.body, -1) {
			if strings.TrimSpace(tag[2]) != "" && !strings.Contains(tag[1], "json") {
				t.Errorf("%s: inline script <script%s>", path, tag[1])
			}
		}
		if !strings.Contains(r.body, `<meta name="csrf-token" content="`) {
			t.Errorf("%s: no CSRF token", path)
		}
	}
	for name, headers := range map[string][]string{"older browser": {"Accept", "text/html,*/*"}, "browser": {"Sec-Fetch-Mode", "navigate"}} {
		if r := s.do(t, c, "GET", "/nothing", "", headers...); r.status != 404 || !strings.HasPrefix(r.header.Get("Content-Type"), "text/html") {
			t.Errorf("%s: %d %s", name, r.status, r.header.Get("Content-Type"))
		}
	}
	for name, headers := range map[string][]string{"script": {"Accept", "text/html", "Sec-Fetch-Mode", "cors"}, "older script": {"Accept", "text/html", "X-Requested-With", "XMLHttpRequest"}, "tool": {"Accept", "*/*"}} {
		if r := s.do(t, c, "GET", "/nothing", "", headers...); r.code() != "NOT_FOUND" {
			t.Errorf("%s: %d %s", name, r.status, r.body)
		}
	}
	if r := s.do(t, c, "GET", "/health/live", "", "X-Request-Id", "mine-1"); r.header.Get("X-Request-Id") != "mine-1" {
		t.Errorf("a plain request id is not kept: %q", r.header.Get("X-Request-Id"))
	}
	if r := s.do(t, c, "GET", "/health/live", "", "X-Request-Id", `x" level=ERROR`); strings.Contains(r.header.Get("X-Request-Id"), "ERROR") {
		t.Error("a forged request id is kept")
	}
}

// TestPagesOverPlainHTTP sends requests over HTTPS from a page that was loaded over HTTP, which an attacker on the network path can
// modify.
func TestPagesOverPlainHTTP(t *testing.T) {
	store := storetest.Open(t, "sqlite")
	seed(t, store, threadA, "Ada")
	s := open(t, store, "TRUSTED_PROXIES", "127.0.0.1")
	host := strings.TrimPrefix(s.URL, "http://")
	agent := s.agent(t)
	page := s.do(t, agent, "GET", "/", "")
	token := regexp.MustCompile(`name="csrf-token" content="([0-9a-f]{64})"`).FindStringSubmatch(page.body)[1]
	cookies := "sohbet_session=" + s.cookie(t, agent, "sohbet_session") + "; sohbet_csrf=" + s.cookie(t, agent, "sohbet_csrf")
	body := `{"thread_id":"` + threadA + `","text":"x"}`
	for _, tc := range []struct {
		origin, proto      string
		post, get, polling int
	}{
		{"http://" + host, "", 200, 200, 200},
		{"http://" + host, "http", 200, 200, 200},
		{"https://" + host, "https", 200, 200, 200},
		{"https://" + host, "", 200, 200, 200}, // a proxy that terminates TLS without saying so
		{"http://" + host, "https", 403, 401, 403},
	} {
		headers := []string{"Origin", tc.origin, "Cookie", cookies, "X-CSRF-Token", token}
		if tc.proto != "" {
			headers = append(headers, "X-Forwarded-Proto", tc.proto)
		}
		c := &http.Client{}
		if r := s.do(t, c, "POST", "/api/messages/send", body, headers...); r.status != tc.post {
			t.Errorf("%s over %q: POST %d, want %d: %s", tc.origin, tc.proto, r.status, tc.post, r.body)
		}
		if r := s.do(t, c, "GET", "/api/threads", "", headers...); r.status != tc.get {
			t.Errorf("%s over %q: GET %d, want %d", tc.origin, tc.proto, r.status, tc.get)
		}
		if r := s.do(t, c, "GET", "/socket.io/?EIO=4&transport=polling", "", headers...); r.status != tc.polling {
			t.Errorf("%s over %q: handshake %d, want %d", tc.origin, tc.proto, r.status, tc.polling)
		}
	}
}
