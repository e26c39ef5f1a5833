package app

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"sohbet/handlers"
	"sohbet/models"
	"sohbet/models/storetest"
	"sohbet/server/auth"
)

// payloads are valid payloads for the events of agents. Other tests delete notes and edit messages.
var payloads = map[string]string{
	"admin_join": "", "join_thread": inThreadB(""), "leave_thread": inThreadB(""), "message_to_visitor": inThreadB(`"text":"x"`), "message": inThreadB(`"text":"x"`),
	"history": inThreadB(""), "read": inThreadB(`"last_id":1`), "typing": inThreadB(""), "delivered": inThreadB(`"last_id":1`),
	"set_status": inThreadB(`"status":"active"`), "assign": inThreadB(`"agent_id":null`), "set_away": `{"away":false}`, "note": inThreadB(`"text":"x"`), "notes": inThreadB(""),
	"facts": inThreadB(""), "presence": `{"visible":true}`, "block_thread": inThreadB(""), "unblock_thread": inThreadB(""),
	"edit_message": inThreadB(`"id":999999,"text":"x"`), "note_delete": inThreadB(`"id":999999`),
}

func inThreadB(more string) string {
	if more != "" {
		more = "," + more
	}
	return `{"thread_id":"` + threadB + `"` + more + `}`
}

// cookie returns the value of a cookie that a browser would send.
func (s *site) cookie(t *testing.T, c *http.Client, name string) string {
	t.Helper()
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	for _, cookie := range c.Jar.Cookies(u) {
		if cookie.Name == name {
			return cookie.Value
		}
	}
	t.Fatalf("no cookie %s", name)
	return ""
}

// TestEveryEventAsEveryCaller sends the agents' events with every kind of invalid authentication.
func TestEveryEventAsEveryCaller(t *testing.T) {
	storetest.Each(t, func(t *testing.T, store *models.Store) {
		s := open(t, store, "CORS_ORIGINS", "https://shop.example")
		seed(t, store, threadA, "Ada", "first")
		seed(t, store, threadB, "Bob", "first")
		agent, former := s.agent(t), s.agent(t)
		ada, disabled, promoted := s.member(t, "Ada"), s.member(t, "Eve"), s.member(t, "Bob")
		s.update(t, "Eve", models.AgentPatch{Disabled: ref(true)})
		s.update(t, "Bob", models.AgentPatch{Role: ref(models.RoleOwner)})
		asking := s.browser(t)
		s.do(t, asking, "POST", "/request-otp", "")
		ended := "sohbet_session=" + s.cookie(t, former, "sohbet_session")
		s.do(t, former, "GET", "/logout", "")

		session := s.cookie(t, agent, "sohbet_session")
		callers := []struct {
			name   string
			client *http.Client
			header []string
			thread string // joined before
			want   string
		}{
			{"agent", agent, nil, "", "ok"},
			{"agent on our own page", agent, []string{"Origin", s.URL}, "", "ok"},
			{"agent's browser on a page of a listed site", agent, []string{"Origin", "https://shop.example"}, "", "unauthorized"},
			{"agent with the role agent", ada, nil, "", "ok"},
			{"session of an earlier version", s.browser(t), []string{"Cookie", cookieFrom(t, store, time.Now, auth.Account{})}, "", "ok"},
			{"disabled agent", disabled, nil, "", "unauthorized"},
			{"session from before another role", promoted, nil, "", "unauthorized"},
			{"session of an agent who does not exist", s.browser(t), []string{"Cookie", cookieFrom(t, store, time.Now, auth.Account{ID: 99})}, "", "unauthorized"},
			{"anonymous", s.browser(t), nil, "", "unauthorized"},
			{"visitor of another thread", s.browser(t), nil, threadA, "unauthorized"},
			{"ended session", s.browser(t), []string{"Cookie", ended}, "", "unauthorized"},
			{"expired session", s.browser(t), []string{"Cookie", expiredCookie(t)}, "", "unauthorized"},
			{"forged session", s.browser(t), []string{"Cookie", "sohbet_session=" + strings.Repeat("MTc5", 60)}, "", "unauthorized"},
			{"changed session", s.browser(t), []string{"Cookie", "sohbet_session=" + session[:len(session)-3] + "abc"}, "", "unauthorized"},
			{"login cookie as session", s.browser(t), []string{"Cookie", "sohbet_session=" + s.cookie(t, asking, "sohbet_login")}, "", "unauthorized"},
			{"known browser's cookie as session", s.browser(t), []string{"Cookie", "sohbet_session=" + s.cookie(t, agent, "sohbet_known")}, "", "unauthorized"},
			{"session under another name", s.browser(t), []string{"Cookie", "sohbet_login=" + session}, "", "unauthorized"},
			{"thread id as session", s.browser(t), []string{"Cookie", "sohbet_session=" + threadB}, "", "unauthorized"},
		}
		for _, c := range callers {
			so := s.socket(t, c.client, c.header...)
			if c.thread != "" {
				if a := so.emit("join", `{"display_name":"x","thread_id":"`+c.thread+`"}`); !a.OK {
					t.Fatalf("%s cannot join: %s", c.name, a.raw)
				}
			}
			for _, event := range append(handlers.ClientEvents(handlers.Agents), handlers.ClientEvents(handlers.Both)...) {
				payload, ok := payloads[event]
				if !ok {
					t.Fatalf("no payload for %s", event)
				}
				want := c.want
				if want == "ok" && strings.Contains(payload, "999999") {
					want = "not_found"
				}
				if got := so.emit(event, payload).code(); got != want {
					t.Errorf("%s as %s: %s, want %s", event, c.name, got, want)
				}
			}
			if c.want == "ok" {
				continue
			}
			if r := s.do(t, c.client, "GET", "/api/threads", "", c.header...); r.status != 401 {
				t.Errorf("GET /api/threads as %s: %d", c.name, r.status)
			}
		}
		for _, origin := range []string{"https://evil.example", "null", "https://shop.example.evil.test", "http://shop.example", "file://"} {
			if r := s.do(t, agent, "GET", "/socket.io/?EIO=4&transport=polling", "", "Origin", origin); r.status != 403 {
				t.Errorf("handshake from %s: %d", origin, r.status)
			}
			ws := []string{"Origin", origin, "Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="}
			if r := s.do(t, agent, "GET", "/socket.io/?EIO=4&transport=websocket", "", ws...); r.status != 403 {
				t.Errorf("websocket from %s: %d", origin, r.status)
			}
		}
	})
}

// TestSocketsOfEndedSessions checks that an open socket immediately loses the agent's rights, receives no more events and is closed.
func TestSocketsOfEndedSessions(t *testing.T) {
	storetest.Each(t, func(t *testing.T, store *models.Store) {
		s := open(t, store)
		seed(t, store, threadA, "Ada", "first")
		other := s.agent(t)
		stays := s.socket(t, other)
		if a := stays.emit("admin_join", ""); !a.OK {
			t.Fatal(a.raw)
		}
		for what, end := range map[string]func(c *http.Client){
			"sign-out":      func(c *http.Client) { s.do(t, c, "GET", "/logout", "") },
			"a new sign-in": func(c *http.Client) { s.signIn(t, c) },
		} {
			c := s.agent(t)
			so := s.socket(t, c)
			so.emit("admin_join", "")
			end(c)
			if p := so.received("error"); !strings.Contains(p, "unauthorized") {
				t.Errorf("%s: the socket received %s", what, p)
			}
			so.await(func(p string) bool { return p == "41" || p == "1" }) // or closed already
		}
		if a := stays.emit("join_thread", `{"thread_id":"`+threadA+`"}`); !a.OK {
			t.Errorf("another agent's socket: %s", a.raw)
		}
		trying := s.socket(t, other) // the agent's own browser on the chat page
		if a := trying.emit("join", `{"display_name":"Me"}`); !a.OK {
			t.Fatal(a.raw)
		}
		s.do(t, other, "GET", "/logout", "", "Sec-Fetch-Site", "cross-site")
		if r := s.do(t, other, "GET", "/api/threads", ""); r.status != 200 {
			t.Errorf("a link on another site signs the agent out: %d", r.status)
		}
		if err := store.EndAllSessions(t.Context()); err != nil {
			t.Fatal(err)
		}
		if p := stays.received("error"); !strings.Contains(p, "unauthorized") {
			t.Errorf("after all sessions ended: %s", p)
		}
		if a := trying.emit("message", `{"text":"a visitor like any other"}`); !a.OK {
			t.Errorf("the chat page in an agent's browser: %s", a.raw)
		}
		if a := trying.emit("join_thread", `{"thread_id":"`+threadA+`"}`); a.code() != "unauthorized" {
			t.Errorf("the chat page in a former agent's browser: %s", a.raw)
		}
		if r := s.do(t, other, "GET", "/api/threads", ""); r.status != 401 {
			t.Errorf("HTTP after all sessions ended: %d", r.status)
		}
		s.agent(t)
	})
}

// TestLogoutAllCommand runs the command while a server uses the same database.
func TestLogoutAllCommand(t *testing.T) {
	for _, dialect := range storetest.Dialects {
		t.Run(dialect, func(t *testing.T) {
			o := storetest.Options(t, dialect)
			o.Keys = []string{testKey}
			s := open(t, storetest.Reopen(t, o))
			c := s.agent(t)
			so := s.socket(t, c)
			so.emit("admin_join", "")
			t.Chdir(t.TempDir())
			t.Setenv("DATA_DIR", t.TempDir())
			t.Setenv("DATABASE_URL", o.URL)
			t.Setenv("SECRET_KEY", testKey)
			if out, err := command(t, "logout-all"); err != nil || !strings.Contains(out, "signed out") {
				t.Fatalf("%q, %v", out, err)
			}
			if p := so.received("error"); !strings.Contains(p, "unauthorized") {
				t.Errorf("the open console received %s", p)
			}
			if r := s.do(t, c, "GET", "/api/threads", ""); r.status != 401 {
				t.Errorf("afterwards: %d", r.status)
			}
			s.agent(t)
		})
	}
}

// TestSessionFixation checks that no cookie from before signing in is valid afterwards.
func TestSessionFixation(t *testing.T) {
	s := open(t, storetest.Open(t, "sqlite"))
	c := s.agent(t)
	before := s.cookie(t, c, "sohbet_session")
	s.signIn(t, c)
	if s.cookie(t, c, "sohbet_session") == before {
		t.Error("signing in keeps the session")
	}
	if r := s.do(t, s.browser(t), "GET", "/api/threads", "", "Cookie", "sohbet_session="+before); r.status != 401 {
		t.Errorf("the session from before the sign-in: %d", r.status)
	}
}

// TestKeyRotationKeepsSessions signs in with an old key and continues with a new one.
func TestKeyRotationKeepsSessions(t *testing.T) {
	store := storetest.Open(t, "sqlite")
	s := open(t, store)
	session := "sohbet_session=" + s.cookie(t, s.agent(t), "sohbet_session")
	const next = "another secret of thirty-two letters"
	for key, want := range map[string]int{next + "," + testKey: 200, next: 401} {
		other := open(t, store, "SECRET_KEY", key)
		if r := other.do(t, other.browser(t), "GET", "/api/threads", "", "Cookie", session); r.status != want {
			t.Errorf("with %d keys: %d, want %d", strings.Count(key, ",")+1, r.status, want)
		}
	}
}

// TestIdleSessionIsRefused uses a session that was last used three hours ago.
func TestIdleSessionIsRefused(t *testing.T) {
	store := storetest.Open(t, "sqlite")
	s := open(t, store)
	cookie := cookieFrom(t, store, func() time.Time { return time.Now().Add(-3 * time.Hour) }, auth.Account{})
	if r := s.do(t, s.browser(t), "GET", "/api/threads", "", "Cookie", cookie); r.status != 401 {
		t.Errorf("idle for three hours: %d", r.status)
	}
}

// TestBlockedAddressUploadsNothing checks that a blocked address cannot upload, but agents at that address can.
func TestBlockedAddressUploadsNothing(t *testing.T) {
	s := open(t, storetest.Open(t, "sqlite"))
	agent := s.agent(t)
	v := s.socket(t, s.browser(t))
	thread := v.emit("join", `{"display_name":"Kara"}`).ThreadID
	s.do(t, agent, "POST", "/api/threads/block", `{"thread_id":"`+thread+`","address":true}`)
	for name, tc := range map[string]struct {
		client *http.Client
		want   int
	}{"a visitor": {s.browser(t), 403}, "an agent": {agent, 400}} {
		for _, path := range []string{"/api/upload/image", "/api/upload/sign"} {
			if r := s.do(t, tc.client, "POST", path, `{"kind":"x"}`); r.status != tc.want {
				t.Errorf("%s by %s: %d %s", path, name, r.status, r.body)
			}
		}
	}
}
