package app

import (
	"strings"
	"testing"

	"sohbet/models"
	"sohbet/models/storetest"
)

// Texts that cannot be stored as they were sent are refused by name, over sockets and HTTP, and nothing of them is stored.
func TestTextsThatCannotBeStored(t *testing.T) {
	storetest.Each(t, func(t *testing.T, store *models.Store) {
		seed(t, store, threadA, "Ada")
		s := open(t, store)
		agent := s.agent(t)
		for _, c := range []struct{ path, body, field string }{
			{"/api/messages/send", `{"thread_id":"` + threadA + `","text":"a\ud800"}`, "text"},
			{"/api/messages/send", `{"thread_id":"` + threadA + `","text":"a","client_id":"\udc00"}`, "client_id"},
			{"/api/messages/send", `{"thread_id":"` + threadA + `","content_text":"a\u0000"}`, "content_text"},
			{"/api/messages/send", "{\"thread_id\":\"" + threadA + "\",\"text\":\"a\xff\"}", "text"},
			{"/api/canned", `{"shortcut":"x","text":"a\ud83d"}`, "text"},
			{"/api/canned", `{"shortcut":"\ud83d","text":"a"}`, "shortcut"},
			{"/api/canned", `{"shortcut":"x","text":"a\u0000"}`, "text"},
			{"/api/diagnostics/log-level", `{"level":"info\ud800"}`, "level"},
			{"/api/diagnostics/repair", `{"name":"purge\ud800"}`, "name"},
			{"/api/push/unsubscribe", `{"endpoint":"\u0000"}`, "endpoint"},
		} {
			r := s.do(t, agent, "POST", c.path, c.body)
			if r.status != 400 || !strings.Contains(r.body, `"error":"`+c.field+" ") {
				t.Errorf("%s %q: %d %s", c.path, c.body, r.status, r.body)
			}
		}
		for body, field := range map[string]string{"text=a%ff&thread_id=" + threadA: "text", "text=a&client_id=%00&thread_id=" + threadA: "client_id", "text=%ed%a0%80&thread_id=" + threadA: "text"} {
			r := s.do(t, agent, "POST", "/api/messages/send", body, "Content-Type", "application/x-www-form-urlencoded")
			if r.status != 400 || !strings.Contains(r.body, `"error":"`+field+" ") {
				t.Errorf("form %s: %d %s", body, r.status, r.body)
			}
		}
		for query, field := range map[string]string{"q=%ff": "q", "status=active&q=%00": "q", "limit=2&before_id=%ed%a0%80": "before_id"} {
			if r := s.do(t, agent, "GET", "/api/threads?"+query, ""); r.status != 400 || !strings.Contains(r.body, `"error":"`+field+" ") {
				t.Errorf("query %s: %d %s", query, r.status, r.body)
			}
		}
		v := s.socket(t, s.browser(t))
		if a := v.emit("join", `{"display_name":"Can","page_title":"Shoes \ud83d","page_url":"https://shop.example/"}`); !a.OK {
			t.Errorf("a visitor on a page with a broken title: %s", a.raw)
		}
		for payload, field := range map[string]string{`{"text":"hello \ud83d"}`: "text", `{"text":"a","client_id":"\u0000"}`: "client_id", `{"text":"\u0000"}`: "text"} {
			if a := v.emit("message", payload); a.OK || a.Error.Code != "validation_error" || !strings.Contains(a.raw, `"field":"`+field+`"`) {
				t.Errorf("message %s: %s", payload, a.raw)
			}
		}
		for _, a := range []ack{v.emit("join", `{"display_name":"Can","phone_number":"1\u0000"}`), v.emit("contact", `{"phone_number":"\ud800"}`)} {
			if a.OK || !strings.Contains(a.raw, `"field":"phone_number"`) {
				t.Errorf("a phone number: %s", a.raw)
			}
		}
		if a := v.emit("message", `{"text":"😀 \ud83d\ude00"}`); !a.OK || !strings.Contains(a.raw, "😀 😀") {
			t.Errorf("a whole pair: %s", a.raw)
		}
		var stored []wireMessage
		s.do(t, agent, "GET", "/api/messages?thread_id="+threadA, "").into(t, &stored)
		if len(stored) != 0 {
			t.Errorf("stored: %+v", stored)
		}
		for _, id := range []string{"9007199254740992", "-1", "1e3", "1.5"} {
			if r := s.do(t, agent, "GET", "/api/messages?thread_id="+threadA+"&before_id="+id, ""); r.status != 400 || !strings.Contains(r.body, "before_id") {
				t.Errorf("before_id %s: %d %s", id, r.status, r.body)
			}
			if a := v.emit("read", `{"last_id":`+id+`}`); a.OK || !strings.Contains(a.raw, `"field":"last_id"`) {
				t.Errorf("last_id %s: %s", id, a.raw)
			}
		}
	})
}
