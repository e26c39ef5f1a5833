package app

import (
	"encoding/json"
	"log/slog"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"sohbet/models/storetest"
	"sohbet/server/logging"
	"sohbet/server/logging/loggingtest"
)

// TestLogsHoldNoSecrets exercises every function of the server, with successes and errors, at debug level, and searches the log for
// secrets.
func TestLogsHoldNoSecrets(t *testing.T) {
	for _, dialect := range storetest.Dialects {
		t.Run(dialect, func(t *testing.T) {
			const (
				text, name, phone = "a very private sentence", "Secretive Selma", "+90 555 123 45 67"
				page, client      = "https://shop.example/private-page-1234", "client-id-4711"
				password, token   = "correct horse battery", "metrics-token-0123456789abcdef"
			)
			all := &loggingtest.Buffer{}
			o := storetest.Options(t, dialect)
			o.Logger, o.SlowQuery = logging.New(all, slog.LevelDebug, true), time.Nanosecond // every statement is slow
			store := storetest.Reopen(t, o)
			s := open(t, store, "ADMIN_PASSWORD", password, "METRICS_TOKEN", token, "LOG_LEVEL", "debug", "RATE_LIMIT_MESSAGE", "20/1h", "RATE_LIMIT_LOGIN", "30/1h")
			agent := s.browser(t)
			for _, body := range []string{
				`{"username":"admin","password":"wrong ` + password + `"}`, `{"username":"` + password + `","password":"x"}`, `{"password":"` + password,
				`{"username":"admin","password":"` + password + `"}`,
			} {
				s.do(t, agent, "POST", "/admin/login", body)
			}
			login := s.cookie(t, agent, "sohbet_login")
			s.do(t, agent, "POST", "/admin/verify-otp", `{"otp":"999999999"}`)
			code := s.lastCode(t)
			if r := s.do(t, agent, "POST", "/admin/verify-otp", `{"otp":"`+code+`"}`); r.status != 200 {
				t.Fatal(r.body)
			}
			secrets := []string{text, name, phone, page, client, password, token, testKey, storetest.Key, login,
				s.cookie(t, agent, "sohbet_session"), s.cookie(t, agent, "sohbet_known")}

			v := s.socket(t, s.browser(t))
			thread := v.emit("join", `{"display_name":"`+name+`","phone_number":"`+phone+`","page_url":"`+page+`"}`).ThreadID
			if thread == "" {
				t.Fatal("no thread")
			}
			secrets = append(secrets, thread, strings.TrimPrefix(v.path[strings.Index(v.path, "sid="):], "sid="))
			id := `"thread_id":"` + thread + `"`
			for _, e := range [][2]string{
				{"message", `{` + id + `,"text":"` + text + `","client_id":"` + client + `"}`}, {"history", `{` + id + `}`}, {"typing", `{` + id + `}`},
				{"heartbeat", `{` + id + `}`}, {"read", `{` + id + `,"last_id":1}`}, {"rejoin", `{` + id + `}`},
				{"message", `{"text":{"` + text + `":1}}`}, {"message", `["` + text + `"]`}, {"message", `{` + id + `,"type":"` + text + `","text":"x"}`},
				{"message", `{"thread_id":"` + text + `","text":"x"}`}, {"read", `{` + id + `,"last_id":"` + text + `"}`}, {"admin_join", `{` + id + `}`},
				{"block_thread", `{` + id + `}`}, {"join", `{"display_name":"` + strings.Repeat(name, 20) + `"}`},
			} {
				v.emit(e[0], e[1])
			}
			v.send(`42["` + text + `",{` + id + `}]`) // an unknown event
			query := "?thread_id=" + thread + "&q=" + url.QueryEscape(text)
			for _, r := range [][3]string{
				{"GET", "/api/threads?q=" + url.QueryEscape(name), ""}, {"GET", "/api/messages" + query, ""}, {"GET", "/api/messages/" + thread, ""},
				{"GET", "/api/messages/" + thread + "/" + url.PathEscape(text), ""}, {"GET", "/" + thread + query, ""}, {"PUT", "/api/threads" + query, ""},
				{"POST", "/api/messages/send", `{` + id + `,"text":"` + text + ` from the team"}`}, {"POST", "/api/messages/send", `{` + id + `,"text":"` + text},
				{"POST", "/api/messages/send" + query, `{` + id + `,"type":"` + text + `","text":"x"}`}, {"GET", "/static/" + thread + "/x.js", ""},
				{"GET", "/uploads/image/" + thread + ".png", ""}, {"GET", "/metrics?" + token, ""},
				{"POST", "/api/threads/block", `{` + id + `,"address":true}`}, {"POST", "/api/threads/unblock", `{` + id + `}`},
				{"GET", "/health", ""}, {"GET", "/api/blocks", ""}, {"POST", "/api/messages/clear" + query, ""}, {"GET", "/logout", ""},
			} {
				s.do(t, agent, r[0], r[1], r[2])
			}
			stranger := s.browser(t)
			for _, headers := range [][]string{
				{"Authorization", "Bearer " + thread}, {"Authorization", "Bearer " + text}, {"Cookie", "sohbet_session=" + thread}, {"Origin", "https://evil.example/" + thread},
				{"Referer", page}, {"X-Request-Id", text}, {"X-Forwarded-For", text}, {"User-Agent", text}, {"X-CSRF-Token", token},
			} {
				s.do(t, stranger, "POST", "/api/messages/send"+query, `{"text":"`+text+`"}`, headers...)
				s.do(t, stranger, "GET", "/metrics"+query, "", headers...)
				s.do(t, stranger, "GET", "/socket.io/?EIO=4&transport=polling&sid="+thread, "", headers...)
			}
			for range 25 { // exceeds the rate limit
				v.emit("message", `{`+id+`,"text":"`+text+`"}`)
			}
			if err := store.Close(); err != nil {
				t.Fatal(err)
			}
			v.emit("message", `{`+id+`,"text":"`+text+`"}`) // fails because the database is gone
			s.do(t, agent, "GET", "/api/messages/"+thread, "")
			s.do(t, agent, "POST", "/request-otp", `{"x":"`+text+`"}`)

			marked := regexp.MustCompile(`(?m)^.*"msg":"SIGN-IN CODE".*$`)
			logged := s.log.String() + all.String()
			if len(marked.FindAllString(logged, -1)) != 1 {
				t.Errorf("the code's own line is there %d times", len(marked.FindAllString(logged, -1)))
			}
			logged = marked.ReplaceAllString(logged, "")
			for _, needed := range []string{"SELECT", `"msg":"security"`, `"route":"/api/messages/:thread_id"`, `"msg":"socket event refused"`} {
				if !strings.Contains(logged, needed) {
					t.Errorf("there is no %s in the log, so this test proves little", needed)
				}
			}
			for _, secret := range append(secrets, code) {
				for _, form := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret)} {
					if i := strings.Index(logged, form); i >= 0 {
						t.Errorf("%q is in the log: …%s…", secret, logged[max(0, i-300):min(len(logged), i+80)])
						break
					}
				}
			}
			for line := range strings.Lines(logged) {
				var v map[string]any
				if line != "\n" && json.Unmarshal([]byte(line), &v) != nil {
					t.Errorf("not one JSON object: %.200s", line)
				}
			}
		})
	}
}

// TestSecurityLog checks that relevant events are logged once, with actor and address.
func TestSecurityLog(t *testing.T) {
	store := storetest.Open(t, "sqlite")
	seed(t, store, threadA, "Ada", "first")
	s := open(t, store, "RATE_LIMIT_API", "8/1h")
	agent := s.agent(t)
	stranger := s.browser(t)
	s.do(t, stranger, "GET", "/api/threads", "")
	s.do(t, stranger, "POST", "/api/messages/clear_all", "", "Origin", "https://evil.example")
	s.do(t, stranger, "POST", "/request-otp", "")
	s.do(t, stranger, "POST", "/verify-otp", `{"otp":"1"}`)
	s.do(t, s.browser(t), "POST", "/verify-otp", `{"otp":"1"}`)
	s.do(t, agent, "POST", "/api/threads/block", `{"thread_id":"`+threadA+`"}`)
	s.do(t, s.browser(t), "POST", "/api/messages/send", `{"text":"x"}`, "Authorization", "Bearer "+threadA)
	s.do(t, agent, "POST", "/api/threads/unblock", `{"thread_id":"`+threadA+`"}`)
	s.do(t, agent, "POST", "/api/messages/clear", `{"thread_id":"`+threadA+`"}`)
	s.do(t, agent, "POST", "/api/threads/delete", `{"thread_id":"`+threadA+`"}`)
	s.do(t, stranger, "POST", "/api/upload/image", "no picture", "Content-Type", "text/plain")
	s.do(t, agent, "POST", "/api/messages/clear_all", "")
	v := s.socket(t, stranger)
	v.emit("admin_join", "")
	for range 5 {
		s.do(t, stranger, "GET", "/api/threads", "")
	}
	s.do(t, agent, "GET", "/logout", "")

	found := map[string]int{}
	for line := range strings.Lines(s.log.String()) {
		var l struct{ Msg, Event, Actor, Address, Outcome, Detail string }
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		if l.Msg != "security" {
			continue
		}
		if l.Address != "127.0.0.1" {
			t.Errorf("without the address: %s", line)
		}
		found[strings.TrimSpace(strings.Join([]string{l.Event, l.Outcome, l.Actor, l.Detail}, " "))]++
	}
	for _, want := range []string{
		"code_asked ok admin", "sign_in ok admin", "request refused  /api/threads", "request refused  /api/messages/clear_all", "code wrong", "code none",
		"block ok admin", "request blocked  /api/messages/send", "upload refused  /api/upload/image", "unblock ok admin", "thread_cleared ok admin", "thread_deleted ok admin", "threads_cleared ok admin",
		"socket_event refused  admin_join", "request limited  /api/threads", "sign_out ok admin",
	} {
		if found[want] == 0 {
			t.Errorf("not logged: %s", want)
		}
	}
	if t.Failed() {
		t.Logf("logged: %v", found)
	}
}
