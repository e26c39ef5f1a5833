package app

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"sohbet/models"
	"sohbet/models/storetest"
)

type agentSession struct {
	ID, Browser, Platform, Address string
	StartedAt                      string `json:"started_at"`
	SeenAt                         string `json:"seen_at"`
	Current                        bool
}

func (s *site) agentSessions(t *testing.T, c *http.Client) (list []agentSession) {
	t.Helper()
	r := s.do(t, c, "GET", "/api/me/sessions", "")
	if err := json.Unmarshal([]byte(r.body), &list); err != nil {
		t.Fatalf("%d %s", r.status, r.body)
	}
	return list
}

func TestAgentSessions(t *testing.T) {
	const firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
	storetest.Each(t, func(t *testing.T, store *models.Store) {
		s := open(t, store, "RATE_LIMIT_LOGIN", "off")
		one, bob := s.member(t, "Ada"), s.member(t, "Bob")
		other := s.browser(t)
		if r := s.do(t, other, "POST", "/admin/login", `{"username":"Ada","password":"`+memberPassword+`"}`, "User-Agent", firefox); r.status != 200 {
			t.Fatalf("%d %s", r.status, r.body)
		}
		list := s.agentSessions(t, one)
		if len(list) != 2 || list[0].Current == list[1].Current {
			t.Fatalf("%+v", list)
		}
		its := list[0]
		if its.Current {
			its = list[1]
		}
		if its.Browser != "Firefox 140" || its.Platform != "Linux" || its.Address != "127.0.0.1" || its.StartedAt == "" || its.SeenAt == "" {
			t.Errorf("%+v", its)
		}
		if r := s.do(t, bob, "POST", "/api/me/sessions/end", `{"id":"`+its.ID+`"}`); r.status != 404 {
			t.Errorf("of another agent: %d", r.status)
		}
		ends := func(c *http.Client, body string, lost ...*http.Client) {
			t.Helper()
			sockets := make([]*socket, len(lost))
			for i, client := range lost {
				sockets[i] = s.socket(t, client)
				if a := sockets[i].emit("admin_join", ""); !a.OK {
					t.Fatal(a.raw)
				}
			}
			if r := s.do(t, c, "POST", "/api/me/sessions/end", body); r.status != 200 {
				t.Fatalf("%s: %d %s", body, r.status, r.body)
			}
			for i, client := range lost {
				if p := sockets[i].received("error"); !strings.Contains(p, `"unauthorized"`) {
					t.Errorf("%s: the socket gets %s", body, p)
				}
				if r := s.do(t, client, "GET", "/api/me", ""); r.status != 401 {
					t.Errorf("%s: another session still works: %d", body, r.status)
				}
			}
			if r := s.do(t, c, "GET", "/api/me", ""); r.status != 200 {
				t.Errorf("%s: the own session: %d", body, r.status)
			}
		}
		ends(one, `{"id":"`+its.ID+`"}`, other)
		if list = s.agentSessions(t, one); len(list) != 1 || !list[0].Current {
			t.Errorf("after one was ended: %+v", list)
		}

		third := s.browser(t)
		s.enter(t, other, "Ada")
		s.enter(t, third, "Ada")
		ends(one, `{"others":true}`, other, third)
		if list = s.agentSessions(t, one); len(list) != 1 || !list[0].Current {
			t.Errorf("after all others were ended: %+v", list)
		}
		if r := s.do(t, bob, "GET", "/api/me", ""); r.status != 200 {
			t.Errorf("another agent: %d", r.status)
		}
		if !strings.Contains(s.log.String(), "sessions_ended") {
			t.Error("not in the audit log")
		}
	})
}
