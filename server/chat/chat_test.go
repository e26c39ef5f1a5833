package chat_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"sohbet/models"
	"sohbet/models/storetest"
	"sohbet/server/apperr"
	"sohbet/server/chat"
)

func TestConversation(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		w := newEnv(s, 100, 100)
		v := visitorAt("v")
		id := w.join(t, v, "  Ayşe   Yılmaz ")
		if !chat.ValidThreadID(id) {
			t.Fatalf("thread id %q", id)
		}
		if h := w.take(t); len(h) != 1 || names(h[0].Agents) != "thread_created" || len(h[0].Thread) != 0 {
			t.Fatalf("a new thread was published as %+v", h)
		}

		typed := " <b>çok</b> \"iyi\"\n\t🙂 "
		m := w.post(t, v, id, typed)
		if m.ContentText != typed || m.Sender != "visitor" || m.SenderType != "visitor" || m.Type != "text" || m.ID == 0 {
			t.Errorf("message is %+v", m)
		}
		h := w.take(t)
		if len(h) != 2 || h[0].ThreadID != id || h[0].Except != "v" || h[0].Rev != 0 ||
			names(h[0].Thread) != "message" || names(h[0].Agents) != "message message_from_visitor new_message_notification" ||
			names(h[1].Agents) != "thread_updated" || !h[1].State || h[1].Rev == 0 {
			t.Fatalf("a visitor's message was published as %+v", h)
		}
		if h[0].Thread[0] != h[0].Agents[0] {
			t.Error("the lists have two different events for the message, so a socket in both rooms would receive it twice")
		}

		answer := w.post(t, agent, id, "Merhaba")
		if answer.ID <= m.ID || answer.Sender != "admin" {
			t.Errorf("the answer is %+v after %d", answer, m.ID)
		}
		h = w.take(t)
		if len(h) != 2 || names(h[0].Thread) != "message message_from_admin" || names(h[0].Agents) != "message message_from_telegram" ||
			names(h[1].Agents) != "thread_updated" || h[1].Except != "" {
			t.Fatalf("an agent's message was published as %+v", h)
		}

		list, err := w.Threads(t.Context(), agent, models.ThreadQuery{})
		if err != nil || len(list) != 1 || list[0].DisplayName != "Ayşe Yılmaz" || list[0].UnreadCount != 1 || list[0].MessageCount != 2 {
			t.Errorf("the agents' list is %+v, %v", list, err)
		}
		all, more, err := w.History(t.Context(), v, id, models.MessageQuery{})
		if err != nil || more || len(all) != 2 || all[0].ID != m.ID {
			t.Errorf("history is %+v, %v, %v", all, more, err)
		}
		after, _, err := w.History(t.Context(), v, id, models.MessageQuery{AfterID: m.ID})
		if err != nil || len(after) != 1 || after[0].ID != answer.ID {
			t.Errorf("what was missed is %+v, %v", after, err)
		}
		first, more, err := w.Beginning(t.Context(), v, id, 1)
		if err != nil || !more || len(first) != 1 || first[0].ID != m.ID {
			t.Errorf("the beginning is %+v, %v, %v", first, more, err)
		}
	})
}

func TestMessageOnTheWire(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", 3*3600))
	got, err := json.Marshal(chat.ToWire(models.Message{ID: 7, ThreadID: "t", ClientID: "c", ContentText: "a",
		ContentType: "image", FileURL: "/uploads/x", SenderType: "admin", CreatedAt: at}))
	want := `{"id":7,"client_id":"c","thread_id":"t","sender_type":"admin","sender":"admin","content_type":"image","type":"image",` +
		`"content_text":"a","file_url":"/uploads/x","file_path":"/uploads/x","created_at":"2026-01-02T00:04:05.000Z","agent":null}`
	if err != nil || string(got) != want {
		t.Errorf("got  %s, %v\nwant %s", got, err, want)
	}
}

func TestRetryIsStoredAndPublishedOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		w := newEnv(s, 100, 100)
		v := visitorAt("v")
		id := w.join(t, v, "Ali")
		w.take(t)
		p := chat.Post{ThreadID: id, Text: "bir", ClientID: "one"}
		first, err := w.Post(t.Context(), v, p)
		if err != nil {
			t.Fatal(err)
		}
		p.Text = "iki"
		again, err := w.Post(t.Context(), v, p)
		if err != nil || again != first {
			t.Errorf("the retry gave %+v, %v; the first was %+v", again, err, first)
		}
		h := w.take(t)
		if len(h) != 3 || h[0].MessageID != first.ID || h[0].Follows != 0 || !h[1].State || h[2].MessageID != first.ID || h[2].Follows != -1 {
			t.Errorf("published %+v", h) // the repetition is only for processes that may have missed it
		}
		if w.Accepted() != 1 {
			t.Errorf("%d accepted", w.Accepted())
		}
	})
}

func TestOrderOfAckAndPublication(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		w := newEnv(s, 10_000, 100)
		v := visitorAt("v")
		id := w.join(t, v, "Ali")
		w.take(t)
		const n = 500
		acked := make(chan int64, n)
		for range n {
			err := w.PostAsync(t.Context(), v, chat.Post{ThreadID: id, Text: "x"}, func(m chat.Message, err error) {
				if err != nil {
					t.Error(err)
				}
				acked <- m.ID
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		last := int64(0)
		for range n {
			if got := <-acked; got <= last {
				t.Fatalf("acked %d after %d", got, last)
			} else {
				last = got
			}
		}
		last = 0
		for _, p := range w.take(t) {
			if p.State {
				continue
			}
			m := p.Thread[0].Payload.(chat.Message)
			if m.ID <= last {
				t.Fatalf("published %d after %d", m.ID, last)
			}
			last = m.ID
		}
	})
}

// TestRights tries what each role may not do; each call must return the right error and store nothing.
func TestRights(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		w := newEnv(s, 100, 100)
		owner, stranger := visitorAt("o"), visitorAt("s")
		id := w.join(t, owner, "Ali")
		w.join(t, stranger, "Veli")
		m := w.post(t, owner, id, "mine")
		w.take(t)
		ctx := t.Context()
		tries := map[string]func(a chat.Actor) error{
			"post":    func(a chat.Actor) error { _, err := w.Post(ctx, a, chat.Post{ThreadID: id, Text: "x"}); return err },
			"history": func(a chat.Actor) error { _, _, err := w.History(ctx, a, id, models.MessageQuery{}); return err },
			"page":    func(a chat.Actor) error { _, _, err := w.MessagePage(ctx, a, id, 1, 10); return err },
			"typing":  func(a chat.Actor) error { return w.Typing(ctx, a, id, true) },
			"read":    func(a chat.Actor) error { return w.Read(ctx, a, id, m.ID) },
			"receive": func(a chat.Actor) error { return w.Delivered(ctx, a, id, m.ID) },
			"beat":    func(a chat.Actor) error { return w.Heartbeat(ctx, a, id) },
			"watch":   func(a chat.Actor) error { return w.Watch(ctx, a, id) },
			"clear":   func(a chat.Actor) error { _, err := w.Clear(ctx, a, id); return err },
			"delete":  func(a chat.Actor) error { _, err := w.Delete(ctx, a, id); return err },
			"all":     func(a chat.Actor) error { _, _, err := w.ClearAll(ctx, a); return err },
			"list":    func(a chat.Actor) error { _, err := w.Threads(ctx, a, models.ThreadQuery{}); return err },
			"count":   func(a chat.Actor) error { _, err := w.ThreadCounts(ctx, a, "name"); return err },
		}
		for name, try := range tries {
			for who, a := range map[string]chat.Actor{"stranger": stranger, "nobody": {}, "visitor without threads": {Role: chat.Visitor}} {
				if got := code(try(a)); got != apperr.CodeUnauthorized {
					t.Errorf("%s by %s: %q", name, who, got)
				}
			}
		}
		for _, name := range []string{"watch", "clear", "all", "list"} {
			if got := code(tries[name](owner)); got != apperr.CodeUnauthorized {
				t.Errorf("%s by the thread's own visitor: %q", name, got)
			}
		}
		if h := w.take(t); len(h) != 0 {
			t.Errorf("refused calls published %+v", h)
		}
		if all, _, err := w.History(ctx, agent, id, models.MessageQuery{}); err != nil || len(all) != 1 {
			t.Errorf("the thread holds %d messages, %v", len(all), err)
		}
	})
}

func TestBadInputNamesItsField(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		w := newEnv(s, 100, 100)
		v := visitorAt("v")
		id := w.join(t, v, "Ali")
		posts := map[string]struct {
			field string
			post  chat.Post
		}{
			"no thread for an agent": {"thread_id", chat.Post{Text: "x"}},
			"thread id with a path":  {"thread_id", chat.Post{ThreadID: "../" + id, Text: "x"}},
			"upper-case thread id":   {"thread_id", chat.Post{ThreadID: strings.ToUpper(id), Text: "x"}},
			"empty":                  {"content_text", chat.Post{ThreadID: id}},
			"blank":                  {"content_text", chat.Post{ThreadID: id, Text: " \n\t "}},
			"10,001 runes":           {"content_text", chat.Post{ThreadID: id, Text: strings.Repeat("ş", 10_001)}},
			"NUL":                    {"content_text", chat.Post{ThreadID: id, Text: "a\x00b"}},
			"NUL in an id":           {"client_id", chat.Post{ThreadID: id, Text: "a", ClientID: "a\x00b"}},
			"unknown type":           {"content_type", chat.Post{ThreadID: id, Text: "x", Type: "script"}},
			"client id of 65":        {"client_id", chat.Post{ThreadID: id, Text: "x", ClientID: strings.Repeat("c", 65)}},
			"image without file":     {"file_url", chat.Post{ThreadID: id, Type: "image"}},
			"script for a file":      {"file_url", chat.Post{ThreadID: id, Type: "image", FileURL: "javascript:alert(1)"}},
			"data for a file":        {"file_url", chat.Post{ThreadID: id, Type: "image", FileURL: "data:text/html,x"}},
			"host-less address":      {"file_url", chat.Post{ThreadID: id, Type: "image", FileURL: "//evil.example/x"}},
			"path of ours":           {"file_url", chat.Post{ThreadID: id, Type: "image", FileURL: "/api/messages/clear_all"}},
			"path upwards":           {"file_url", chat.Post{ThreadID: id, Type: "image", FileURL: "/uploads/../api/x"}},
			"long address":           {"file_url", chat.Post{ThreadID: id, Type: "image", FileURL: "https://a.example/" + strings.Repeat("x", 255)}},
		}
		for name, c := range posts {
			a := v
			if name == "no thread for an agent" {
				a = agent
			}
			_, err := w.Post(t.Context(), a, c.post)
			var e *apperr.Error
			if !errors.As(err, &e) || e.Code != apperr.CodeValidation || e.Field != c.field || e.Message == "" {
				t.Errorf("%s: %+v", name, err)
			}
		}
		for name, p := range map[string]chat.Profile{
			"display_name": {DisplayName: " "}, "long": {DisplayName: strings.Repeat("n", 101)},
			"phone": {DisplayName: "a", PhoneNumber: strings.Repeat("1", 21)},
		} {
			if _, err := w.Join(t.Context(), v, chat.JoinRequest{Profile: p}); code(err) != apperr.CodeValidation {
				t.Errorf("%s: %v", name, err)
			}
		}
		if m := w.post(t, v, id, strings.Repeat("🙂", 10_000)); len([]rune(m.ContentText)) != 10_000 {
			t.Error("10,000 characters did not fit")
		}
		if _, err := w.Post(t.Context(), v, chat.Post{ThreadID: id, Type: "image", FileURL: "https://res.cloudinary.com/x/y.jpg"}); err != nil {
			t.Errorf("a picture from the web: %v", err)
		}
	})
}

func TestRejoin(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		w := newEnv(s, 100, 100)
		ctx := t.Context()
		v := visitorAt("v")
		id := w.join(t, v, "Ali")
		w.post(t, v, id, "before")

		back := visitorAt("v2")
		if _, err := w.Rejoin(ctx, back, id); err != nil || !back.Threads.Has(id) {
			t.Errorf("rejoin: %v", err)
		}
		for _, bad := range []string{"", "x", "'; DROP TABLE threads; --", strings.Repeat("a", 50)} {
			if _, err := w.Rejoin(ctx, back, bad); !errors.Is(err, chat.ErrThreadNotFound) || back.Threads.Has(bad) {
				t.Errorf("rejoin %q: %v", bad, err)
			}
		}

		w.take(t)
		if _, err := w.Clear(ctx, agent, id); err != nil {
			t.Fatal(err)
		}
		if h := w.take(t); len(h) != 2 || h[0].ThreadID != id || wire(t, h[0].Thread) != wire(t, h[0].Agents) || !h[1].State || h[0].Rev != h[1].Rev ||
			!strings.Contains(wire(t, h[0].Agents), `{"thread_id":"`+id+`","kept":true,"last_id":`) {
			t.Errorf("clearing was published as %+v", h)
		}
		cleared := visitorAt("v4")
		if _, err := w.Rejoin(ctx, cleared, id); err != nil {
			t.Errorf("rejoin of a cleared thread: %v", err)
		}
		if list, err := w.Threads(ctx, agent, models.ThreadQuery{}); err != nil || len(list) != 1 || list[0].ID != id || list[0].MessageCount != 0 {
			t.Errorf("the list after clearing: %+v, %v", list, err)
		}
		if _, err := w.Delete(ctx, agent, id); err != nil {
			t.Fatal(err)
		}
		again := visitorAt("v3")
		if _, err := w.Rejoin(ctx, again, id); !errors.Is(err, chat.ErrThreadNotFound) {
			t.Errorf("rejoin of a deleted thread: %v", err)
		}
		w.take(t)
		w.post(t, again, id, "after") // as existing clients do
		h := w.take(t)
		if len(h) != 3 || names(h[0].Agents) != "thread_created" || names(h[1].Agents) != "message message_from_visitor new_message_notification" || !h[2].State {
			t.Errorf("reopening was published as %+v", h)
		}
		// A socket that joined before the thread was deleted can still post.
		w.post(t, v, id, "still here")
		if all, _, err := w.History(ctx, v, id, models.MessageQuery{}); err != nil || len(all) != 2 || all[0].ContentText != "after" {
			t.Errorf("history after reopening: %+v, %v", all, err)
		}
		// Over HTTP an unknown id does not create a thread, nor does an agent's message.
		for _, a := range []chat.Actor{{Role: chat.Visitor, Threads: chat.NewThreadSet("0190a2b4-0000-4000-8000-000000000000")}, agent} {
			if _, err := w.Post(ctx, a, chat.Post{ThreadID: "0190a2b4-0000-4000-8000-000000000000", Text: "x"}); code(err) != apperr.CodeNotFound {
				t.Errorf("%s into a thread that is not there: %v", a.Role, err)
			}
		}
	})
}

func TestResumeKeepsTheThread(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		w := newEnv(s, 100, 1)
		id := w.join(t, visitorAt("v"), "Ali")
		v := visitorAt("v2")
		j, err := w.Join(t.Context(), v, chat.JoinRequest{ThreadID: id, Profile: chat.Profile{DisplayName: "Ali Can", PageURL: "https://shop.example/x"}})
		if err != nil || j.ThreadID != id || !j.Resumed || !v.Threads.Has(id) {
			t.Fatalf("%+v, %v", j, err)
		}
		row, err := w.store.Thread(t.Context(), id)
		if err != nil || row.DisplayName != "Ali Can" || row.PageURL != "https://shop.example/x" {
			t.Errorf("the thread is %+v, %v", row, err)
		}
		if _, err := w.Join(t.Context(), v, chat.JoinRequest{Profile: chat.Profile{DisplayName: "Ali"}}); code(err) != apperr.CodeRateLimit {
			t.Errorf("a second thread from this address: %v", err)
		}
	})
}

func TestLimit(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		w := newEnv(s, 2, 1)
		v := visitorAt("v")
		id := w.join(t, v, "Ali")
		w.post(t, v, id, "1")
		w.post(t, v, id, "2")
		_, err := w.Post(t.Context(), v, chat.Post{ThreadID: id, Text: "3"})
		var e *apperr.Error
		if !errors.As(err, &e) || e.Code != apperr.CodeRateLimit || e.RetryAfter != 1500*time.Millisecond {
			t.Errorf("the third message: %v", err)
		}
		w.post(t, agent, id, "agents are not limited")
	})
}

func TestTypingAndReadReachTheOtherSide(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		w := newEnv(s, 10, 10)
		ctx := t.Context()
		v := visitorAt("v")
		id := w.join(t, v, "Ali")
		m := w.post(t, v, id, "x")
		w.take(t)
		for _, c := range []struct {
			who    chat.Actor
			side   chat.Role
			agents bool
		}{{v, chat.Agent, true}, {agent, chat.Visitor, false}} {
			if err := w.Typing(ctx, c.who, id, true); err != nil {
				t.Fatal(err)
			}
			if err := w.Read(ctx, c.who, id, m.ID); err != nil {
				t.Fatal(err)
			}
			if err := w.Read(ctx, c.who, id, m.ID); err != nil { // the mark does not move
				t.Fatal(err)
			}
			h := w.take(t)
			if c.who.Role == chat.Agent { // the other consoles get the state
				last := h[len(h)-1]
				payload := pick(t, last.Agents[0].Payload, "id", "unread_count")
				if want := `{"id":"` + id + `","unread_count":0}`; len(last.Thread) != 0 || names(last.Agents) != "thread_updated" || !last.State || payload != want {
					t.Errorf("the agents got %+v with %s", last, payload)
				}
				h = h[:len(h)-1]
			}
			if len(h) != 2 {
				t.Fatalf("%s: published %d times", c.who.Role, len(h))
			}
			for i, name := range []string{"typing", "read"} {
				if p := h[i]; names(p.Thread) != name || p.Side != c.side || p.Except != c.who.SocketID || p.Volatile != (name == "typing") ||
					(len(p.Agents) == 1) != c.agents {
					t.Errorf("%s by %s was published as %+v", name, c.who.Role, p)
				}
			}
		}
	})
}

func TestPresence(t *testing.T) {
	w := newEnv(storetest.Open(t, "sqlite"), 10, 10)
	v := visitorAt("v")
	id := w.join(t, v, "Ali")
	w.take(t)
	published := func() string {
		var out []string
		for _, p := range w.take(t) {
			out = append(out, names(p.Agents))
		}
		return strings.Join(out, " ")
	}
	w.Arrived(v, id)
	w.Arrived(v, id) // a second tab
	if got := published(); got != "user_online" || !w.Online(t.Context(), id) || w.VisitorsOnline() != 1 {
		t.Errorf("arriving twice published %q", got)
	}
	w.Departed(id)
	w.Departed(id)
	w.Arrived(v, id) // a reload
	time.Sleep(3 * grace)
	if got := published(); got != "" || !w.Online(t.Context(), id) {
		t.Errorf("a reload published %q", got)
	}
	w.Departed(id)
	waitFor(t, func() bool { return !w.Online(t.Context(), id) })
	waitFor(t, func() bool { return published() == "user_offline" })
	for range 2 { // heartbeats at the same time are sent together, once per visitor
		if err := w.Heartbeat(context.Background(), v, id); err != nil {
			t.Errorf("heartbeat: %v", err)
		}
	}
	waitFor(t, func() bool { return published() == "visitor_online" })
}

func TestClearIsPublished(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		w := newEnv(s, 10, 10)
		v := visitorAt("v")
		id := w.join(t, v, "Ali")
		w.post(t, v, id, "x")
		w.Arrived(v, id)
		w.take(t)
		if _, n, err := w.ClearAll(t.Context(), agent); n != 1 || err != nil {
			t.Fatalf("cleared %d, %v", n, err)
		}
		h := w.take(t)
		if len(h) != 2 || h[0].ThreadID != id || names(h[0].Thread) != "thread_cleared" || names(h[1].Agents) != "thread_cleared" {
			t.Errorf("published %+v", h)
		}
		if list, err := w.Threads(t.Context(), agent, models.ThreadQuery{IncludeEmpty: true}); err != nil || len(list) != 0 {
			t.Errorf("left: %+v, %v", list, err)
		}
	})
}

func waitFor(t *testing.T, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("timed out after 5 s")
		}
	}
}
