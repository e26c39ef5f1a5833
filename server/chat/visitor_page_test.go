package chat_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sohbet/models"
	"sohbet/models/storetest"
	"sohbet/server/apperr"
	"sohbet/server/broker"
	"sohbet/server/chat"
	"sohbet/server/chat/chattest"
)

func TestContact(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		w := newEnv(s, 100, 100)
		v := visitorAt("v")
		id := w.join(t, v, "Ayşe")
		w.post(t, v, id, "call me")
		w.take(t)
		published := func() []chat.Publication { // without the confirmations, which are published when they are stored
			return slices.DeleteFunc(w.take(t), func(p chat.Publication) bool { return p.MessageID != 0 })
		}
		for _, good := range []string{"a@b.co", "ayşe.yılmaz+shop@örnek.com.tr", "x_y-z@sub.domain.example", strings.Repeat("a", 64) + "@b.co"} {
			if err := w.Contact(t.Context(), v, id, good, ""); err != nil {
				t.Errorf("%s: %v", good, err)
			}
		}
		w.take(t)
		for _, bad := range []string{
			"a", "a@", "@b.co", "a@b", "a b@c.co", "a@b..co", "a@-b.co", "Ayşe <a@b.co>", "a@b.co,c@d.co", "a@b.co\nBcc: c@d.co", "a@[127.0.0.1]",
			strings.Repeat("a", 65) + "@b.co", "a@" + strings.Repeat("b.", 126) + "co", "a@b.co\x00", "a@b.c\xff",
		} {
			if err := w.Contact(t.Context(), v, id, bad, ""); code(err) != apperr.CodeValidation || chat.Public(err).Field != "email" {
				t.Errorf("%q: %v", bad, err)
			}
		}
		if err := w.Contact(t.Context(), v, id, "", strings.Repeat("5", 21)); code(err) != apperr.CodeValidation || chat.Public(err).Field != "phone_number" {
			t.Errorf("a long number: %v", err)
		}
		if err := w.Contact(t.Context(), v, id, " ", ""); code(err) != apperr.CodeValidation {
			t.Errorf("nothing: %v", err)
		}
		for _, a := range []chat.Actor{agent, operator, visitorAt("o")} {
			if err := w.Contact(t.Context(), a, id, "a@b.co", ""); code(err) != apperr.CodeUnauthorized {
				t.Errorf("%s: %v", a.Role, err)
			}
		}
		if h := published(); len(h) != 0 {
			t.Errorf("refused calls published %+v", h)
		}
		if err := w.Contact(t.Context(), v, id, " ayse@shop.example ", "+90 555"); err != nil {
			t.Fatal(err)
		}
		h := published()
		if len(h) != 1 || h[0].Thread != nil || names(h[0].Agents) != "thread_updated" ||
			pick(t, h[0].Agents[0].Payload, "id", "phone_number", "email") != `{"email":"ayse@shop.example","id":"`+id+`","phone_number":"+90 555"}` {
			t.Errorf("published %+v", h)
		}
		list, err := w.Threads(t.Context(), agent, models.ThreadQuery{})
		if err != nil || len(list) != 1 || list[0].Email != "ayse@shop.example" || list[0].PhoneNumber != "+90 555" {
			t.Errorf("%+v, %v", list, err)
		}
		if err := w.Block(t.Context(), agent, id, false); err != nil {
			t.Fatal(err)
		}
		if err := w.Contact(t.Context(), v, id, "a@b.co", ""); code(err) != apperr.CodeBlocked {
			t.Errorf("a blocked visitor: %v", err)
		}
	})
}

func TestContactIsConfirmedInTheThread(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		recorder := &chattest.Recorder{}
		w := env{chat.New(chat.Options{
			Store: s, Publisher: recorder, Presence: &broker.Memory{}, Topics: &broker.Memory{}, Messages: &allow{left: 2}, NewThreads: &allow{left: 9},
		}), recorder, s}
		v := visitorAt("v")
		j, err := w.Join(t.Context(), v, chat.JoinRequest{Profile: chat.Profile{DisplayName: "Ayşe", Locale: "tr"}})
		if err != nil {
			t.Fatal(err)
		}
		w.post(t, v, j.ThreadID, "call me")
		w.take(t)
		for range 2 { // the second one exceeds the visitor's limit
			if err := w.Contact(t.Context(), v, j.ThreadID, "a@b.co", "+90 555"); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := w.Post(t.Context(), agent, chat.Post{ThreadID: j.ThreadID, Text: "thanks"}); err != nil { // everything queued before is stored then
			t.Fatal(err)
		}
		list, _, err := w.History(t.Context(), v, j.ThreadID, models.MessageQuery{})
		if err != nil || len(list) != 3 || list[1].SenderType != "system" || list[1].ContentText != "Teşekkürler. Size şuradan ulaşabiliriz: a@b.co · +90 555" {
			t.Errorf("%+v, %v", list, err)
		}
		published := 0
		for _, p := range w.take(t) {
			if p.MessageID == list[1].ID {
				published++
				if p.Except != "" || len(p.Thread) == 0 {
					t.Errorf("the visitor's own socket does not receive it: %+v", p)
				}
			}
		}
		if published != 1 {
			t.Errorf("published %d times", published)
		}
		if th, err := w.store.Thread(t.Context(), j.ThreadID); err != nil || th.UnreadCount != 1 {
			t.Errorf("%+v, %v", th, err)
		}
	})
}

func TestRate(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		w := newEnv(s, 100, 100)
		v := visitorAt("v")
		id := w.join(t, v, "Ayşe")
		w.post(t, v, id, "thanks")
		w.take(t)
		for field, try := range map[string]func() error{
			"score":   func() error { return w.Rate(t.Context(), v, id, 6, "") },
			"comment": func() error { return w.Rate(t.Context(), v, id, 5, strings.Repeat("ş", 1001)) },
		} {
			if err := try(); code(err) != apperr.CodeValidation || chat.Public(err).Field != field {
				t.Errorf("%s: %v", field, err)
			}
		}
		if err := w.Rate(t.Context(), v, id, 0, ""); code(err) != apperr.CodeValidation {
			t.Errorf("no score: %v", err)
		}
		if err := w.Rate(t.Context(), agent, id, 5, ""); code(err) != apperr.CodeUnauthorized {
			t.Errorf("an agent: %v", err)
		}
		for _, score := range []int64{2, 5} { // a rating may be changed
			comment := fmt.Sprint("words ", score)
			if err := w.Rate(t.Context(), v, id, score, comment); err != nil {
				t.Fatal(err)
			}
			want := fmt.Sprintf(`{"id":"%s","rating":%d,"rating_comment":"%s"}`, id, score, comment)
			if h := w.take(t); len(h) != 1 || h[0].Thread != nil || pick(t, h[0].Agents[0].Payload, "id", "rating", "rating_comment") != want {
				t.Errorf("published %+v", h)
			}
		}
		w.post(t, v, id, "one thing more") // the rating stays
		list, err := w.Threads(t.Context(), agent, models.ThreadQuery{})
		if err != nil || len(list) != 1 || list[0].Rating != 5 || list[0].RatingComment != "words 5" {
			t.Errorf("%+v, %v", list, err)
		}
		if j, err := w.Rejoin(t.Context(), visitorAt("v2"), id); err != nil || j.Rating != 5 {
			t.Errorf("%+v, %v", j, err)
		}
	})
}

func TestPage(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		w := newEnv(s, 100, 100)
		chat.SetPageEvery(w.Service, 50*time.Millisecond)
		v := visitorAt("v")
		id := w.join(t, v, "Ayşe")
		w.take(t)
		if err := w.Page(t.Context(), v, id, "javascript:alert(1)", "x"); code(err) != apperr.CodeValidation || chat.Public(err).Field != "page_url" {
			t.Errorf("no page: %v", err)
		}
		if err := w.Page(t.Context(), agent, id, "https://a.example/", "x"); code(err) != apperr.CodeUnauthorized {
			t.Errorf("an agent: %v", err)
		}
		for n := range 100 {
			if err := w.Page(t.Context(), v, id, fmt.Sprint("https://a.example/", n), " Sayfa\n "+fmt.Sprint(n)); err != nil {
				t.Fatal(err)
			}
		}
		var published []string
		last := `{"page_title":"Sayfa 99","page_url":"https://a.example/99"}`
		eventually(t, "the last page is published", func() bool {
			for _, p := range w.take(t) {
				published = append(published, pick(t, p.Agents[0].Payload, "page_url", "page_title"))
			}
			return len(published) > 0 && published[len(published)-1] == last
		})
		if len(published) > 50 || published[0] != `{"page_title":"Sayfa 0","page_url":"https://a.example/0"}` {
			t.Errorf("published %d times, first %s", len(published), published[0])
		}
		th, err := w.store.Thread(t.Context(), id)
		if err != nil || th.PageURL != "https://a.example/99" || th.PageTitle != "Sayfa 99" {
			t.Errorf("%+v, %v", th, err)
		}
	})
}

func TestFacts(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		w := newEnv(s, 100, 100)
		join := func(socket string, p chat.Profile) (chat.Actor, string) {
			t.Helper()
			v := visitorAt(socket)
			v.Browser, v.Platform = "Firefox 140", "Android"
			j, err := w.Join(t.Context(), v, chat.JoinRequest{Profile: p})
			if err != nil {
				t.Fatal(err)
			}
			w.post(t, v, j.ThreadID, "from "+socket)
			return v, j.ThreadID
		}
		_, earlier := join("one", chat.Profile{DisplayName: "Ayşe", PhoneNumber: "+90 555"})
		v, id := join("two", chat.Profile{DisplayName: "Ayşe Y.", PhoneNumber: "+90 555", PageURL: "https://a.example/", PageTitle: "Ana sayfa", Locale: "tr"})
		_, _ = join("three", chat.Profile{DisplayName: "Veli", PhoneNumber: "+90 556"})
		f, err := w.VisitorDetails(t.Context(), agent, id)
		if err != nil {
			t.Fatal(err)
		}
		first, err := w.store.Thread(t.Context(), earlier)
		if err != nil {
			t.Fatal(err)
		}
		last := chat.Time(*first.LastMessageAt)
		want := chat.VisitorDetails{
			Browser: "Firefox 140", Platform: "Android", Locale: "tr", PageURL: "https://a.example/", PageTitle: "Ana sayfa", FirstSeen: chat.Time(first.CreatedAt),
			DisplayName: "Ayşe Y.", PhoneNumber: "+90 555", Sessions: 2, Earlier: []chat.Earlier{{
				ID: earlier, CreatedAt: chat.Time(first.CreatedAt), LastActivity: chat.Time(first.LastActivity),
				LastMessage: "from one", MessageCount: 1, Status: models.StatusActive, LastMessageTime: &last,
			}},
		}
		if wire(t, f) != wire(t, want) {
			t.Errorf("%s, want %s", wire(t, f), wire(t, want))
		}
		for _, a := range []chat.Actor{v, operator} {
			if _, err := w.VisitorDetails(t.Context(), a, id); code(err) != apperr.CodeUnauthorized {
				t.Errorf("%s: %v", a.Role, err)
			}
		}
		if _, err := w.VisitorDetails(t.Context(), agent, "33333333-3333-4333-8333-333333333333"); code(err) != apperr.CodeNotFound {
			t.Errorf("of a missing thread: %v", err)
		}
		// Joining from another browser updates the browser.
		v.Browser = "Safari 18"
		if _, err := w.Rejoin(t.Context(), v, id); err != nil {
			t.Fatal(err)
		}
		if f, err := w.VisitorDetails(t.Context(), agent, id); err != nil || f.Browser != "Safari 18" || f.Platform != "Android" {
			t.Errorf("%+v, %v", f, err)
		}
	})
}
