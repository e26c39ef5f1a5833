package app

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"sohbet/models"
	"sohbet/models/storetest"
	"sohbet/server/media/mediatest"
)

var address = regexp.MustCompile(`(?:href|src)="(/[^"]*)"`)

// TestBelowAPath has a PUBLIC_URL with a path: no URL may point outside it, because another site may be at the root.
func TestBelowAPath(t *testing.T) {
	store := storetest.Open(t, "sqlite")
	seed(t, store, threadA, "Ada")
	s := open(t, store, "PUBLIC_URL", "https://shop.example/chat/", "BRAND_COLOR", "#e91e63")
	root := &site{Server: &httptest.Server{URL: s.URL}, log: s.log}
	s.URL += "/chat"
	agent := s.agent(t)

	for _, page := range []string{"/?lang=en&theme=dark", "/widget", "/login", "/admin", "/admin/diagnostics", "/offline", "/no/such/page"} {
		r := s.do(t, agent, "GET", page, "", "Accept", "text/html")
		found := address.FindAllStringSubmatch(r.body, -1)
		if len(found) == 0 {
			t.Errorf("%s: no address in %d %s", page, r.status, r.body)
		}
		for _, a := range found {
			to := strings.ReplaceAll(a[1], "&amp;", "&")
			if !strings.HasPrefix(to, "/chat/") {
				t.Errorf("%s leads to %s", page, to)
			} else if r := s.do(t, agent, "GET", strings.TrimPrefix(to, "/chat"), ""); r.status >= 400 {
				t.Errorf("%s names %s: %d", page, to, r.status)
			}
			if strings.HasSuffix(to, "/logout") {
				s.signIn(t, agent)
			}
		}
		for _, c := range r.header.Values("Set-Cookie") {
			if !strings.Contains(c, "Path=/chat/;") {
				t.Errorf("%s sets %s", page, c)
			}
		}
	}
	stranger := s.browser(t)
	for path, want := range map[string]string{"/admin": "/chat/login", "/logout": "/chat/login", "": "/chat/", "?lang=en": "/chat/?lang=en"} {
		if r := s.do(t, stranger, "GET", path, ""); r.status != http.StatusFound || r.header.Get("Location") != want {
			t.Errorf("%q: %d to %s, want %s", path, r.status, r.header.Get("Location"), want)
		}
	}
	s.do(t, stranger, "POST", "/request-otp", "")
	r := s.do(t, stranger, "POST", "/verify-otp", `{"otp":"`+s.lastCode(t)+`"}`)
	if !strings.Contains(r.body, `"redirect":"/chat/admin"`) {
		t.Errorf("signed in: %s", r.body)
	}
	for _, c := range r.header.Values("Set-Cookie") {
		if !strings.Contains(c, "Path=/chat/;") {
			t.Errorf("signing in sets %s", c)
		}
	}
	for path, part := range map[string]string{"/manifest.json": `"start_url": "/chat/"`, "/sw.js": `"base":"/chat"`} {
		r := s.do(t, stranger, "GET", path, "")
		if !strings.Contains(r.body, part) {
			t.Errorf("%s: %s", path, r.body)
		}
		if strays := regexp.MustCompile(`": ?"/[^c][^"]*"`).FindAllString(r.body, -1); len(strays) > 0 {
			t.Errorf("%s leads to %s", path, strays)
		}
	}
	// A proxy that strips the path, and a platform that probes /health, send requests without it.
	for _, path := range []string{"/", "/health/live", "/login"} {
		if r := root.do(t, stranger, "GET", path, ""); r.status != 200 {
			t.Errorf("%s without the path: %d", path, r.status)
		}
	}
	if r := root.do(t, stranger, "GET", "/chatter", ""); r.status != 404 {
		t.Errorf("another path: %d", r.status)
	}
	files(t, s, agent, store)
}

// files sends an image to a thread, and checks the URLs of the image and its thumbnail.
func files(t *testing.T, s *site, agent *http.Client, store *models.Store) {
	t.Helper()
	body, kind := form(t, "file", "tea.png", mediatest.PNG(t, mediatest.Picture(1600, 1200, 1)))
	var sent struct {
		URL   string
		Thumb string `json:"thumb_url"`
		Data  struct{ URL string }
	}
	s.do(t, agent, "POST", "/api/upload/image", string(body), "Content-Type", kind).into(t, &sent)
	const want = "/chat/uploads/"
	if !strings.HasPrefix(sent.URL, want) || sent.Data.URL != sent.URL || !strings.HasPrefix(sent.Thumb, want) {
		t.Fatalf("uploaded: %+v", sent)
	}
	s.do(t, agent, "POST", "/api/messages/send", `{"thread_id":"`+threadA+`","type":"image","file_url":"`+sent.URL+`"}`)
	var list []struct {
		FileURL  string `json:"file_url"`
		FilePath string `json:"file_path"`
		Thumb    string `json:"thumb_url"`
	}
	s.do(t, agent, "GET", "/api/messages?thread_id="+threadA, "").into(t, &list)
	if len(list) != 1 || list[0].FileURL != sent.URL || list[0].FilePath != sent.URL || list[0].Thumb != sent.Thumb {
		t.Errorf("shown: %+v", list)
	}
	if r := s.do(t, agent, "GET", strings.TrimPrefix(sent.URL, "/chat"), ""); r.status != 200 {
		t.Errorf("the file: %d", r.status)
	}
	stored, _, err := store.Messages(t.Context(), threadA, models.MessageQuery{})
	if err != nil || len(stored) != 1 || stored[0].FileURL != strings.TrimPrefix(sent.URL, "/chat") {
		t.Errorf("stored: %+v %v", stored, err)
	}
}

// Neither database stores NUL or invalid UTF-8 as text; PostgreSQL cannot compare with them either.
func TestAddressesThatAreNoText(t *testing.T) {
	storetest.Each(t, func(t *testing.T, store *models.Store) {
		seed(t, store, threadA, "Ada")
		s := open(t, store)
		agent := s.agent(t)
		for _, c := range []string{"%00", "a%00b", "%ff", "%c3%28"} {
			for path, want := range map[string]int{
				"/uploads/a/" + c: 404, "/uploads/images/" + c: 404, "/uploads/" + c + "/a": 404, "/" + c: 404, "/static/" + c: 404, "/static/x/" + c: 404, "/api/messages/" + c: 404,
				"/api/messages?thread_id=" + c: 400, "/api/messages?page=1&thread_id=" + c: 400, "/api/threads?q=" + c: 400, "/api/threads?limit=2&before=2026-01-02T03:04:05Z&before_id=" + c: 400,
				"/api/threads?status=" + c: 400, "/api/threads/counts?q=" + c: 400, "/?lang=" + c: 200, "/?" + c + "=1": 200,
			} {
				if r := s.do(t, agent, "GET", path, ""); r.status != want {
					t.Errorf("GET %s: %d %s", path, r.status, r.body)
				}
			}
			if r := s.do(t, agent, "POST", "/api/messages/clear?thread_id="+c, ""); r.status != 400 {
				t.Errorf("clear %s: %d %s", c, r.status, r.body)
			}
			for path, field := range map[string]string{
				"/api/messages/clear": "thread_id", "/api/messages/send": "text=hi&thread_id", "/api/threads/block": "thread_id", "/api/threads/unblock": "thread_id",
				"/api/push/unsubscribe": "endpoint", "/api/upload/confirm": "id", "/api/undelivered/send": "message_id=1&thread_id", "/api/threads/export": "thread_id",
				"/verify-otp": "otp",
			} {
				r := s.do(t, agent, "POST", path, field+"="+c, "Content-Type", "application/x-www-form-urlencoded")
				if r.status >= 500 {
					t.Errorf("POST %s %s=%s: %d %s", path, field, c, r.status, r.body)
				}
			}
		}
		for path, body := range map[string]string{
			"/api/messages/clear": `{"thread_id":"\u0000"}`, "/api/messages/send": `{"thread_id":"\u0000","text":"hi"}`, "/api/threads/block": `{"thread_id":"\u0000"}`,
			"/api/threads/unblock": `{"thread_id":"\u0000"}`, "/api/push/unsubscribe": `{"endpoint":"\u0000"}`, "/api/upload/confirm": `{"id":"\u0000"}`,
			"/api/undelivered/send": `{"thread_id":"\u0000","message_id":1}`, "/api/threads/export": `{"thread_id":"\u0000"}`, "/verify-otp": `{"otp":"\u0000"}`,
		} {
			if r := s.do(t, agent, "POST", path, body); r.status >= 500 {
				t.Errorf("POST %s %s: %d %s", path, body, r.status, r.body)
			}
		}
	})
}
