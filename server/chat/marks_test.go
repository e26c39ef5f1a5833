package chat_test

import (
	"testing"

	"sohbet/models"
	"sohbet/models/storetest"
	"sohbet/server/apperr"
	"sohbet/server/chat"
)

func TestDelivered(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		w := newEnv(s, 100, 100)
		v := visitorAt("v")
		id := w.join(t, v, "Ayşe")
		m := w.post(t, v, id, "hello")
		w.take(t)
		published := func(side chat.Role, agents string, want string) {
			t.Helper()
			h := w.take(t)
			if want == "" {
				if len(h) != 0 {
					t.Errorf("published %+v", h)
				}
				return
			}
			if len(h) != 1 || h[0].ThreadID != id || h[0].Side != side || names(h[0].Thread) != "delivered" || names(h[0].Agents) != agents || pick(t, h[0].Thread[0].Payload, "thread_id", "last_id", "by") != want {
				t.Errorf("published %+v", h)
			}
		}
		payload := func(by string) string {
			return `{"by":"` + by + `","last_id":` + wire(t, m.ID) + `,"thread_id":"` + id + `"}`
		}
		if err := w.Delivered(t.Context(), v, id, 0); code(err) != apperr.CodeValidation {
			t.Errorf("no message: %v", err)
		}
		for range 2 { // the second call changes nothing
			if err := w.Delivered(t.Context(), operator, id, m.ID); err != nil {
				t.Fatal(err)
			}
		}
		published(chat.Visitor, "", payload("admin"))
		if err := w.Delivered(t.Context(), v, id, m.ID+1000); err != nil {
			t.Fatal(err)
		}
		published(chat.Agent, "delivered", payload("visitor")) // never beyond the newest message
		back := visitorAt("v2")
		j, err := w.Rejoin(t.Context(), back, id)
		if err != nil || j.TeamReceivedID != m.ID || j.TeamReadID != 0 || j.Status != models.StatusActive || j.Rating != 0 || !j.Resumed {
			t.Errorf("%+v, %v", j, err)
		}
		if err := w.Read(t.Context(), agent, id, m.ID); err != nil {
			t.Fatal(err)
		}
		w.take(t)
		if err := w.Delivered(t.Context(), agent, id, m.ID); err != nil {
			t.Fatal(err)
		}
		published("", "", "") // a read message was already received
		list, err := w.Threads(t.Context(), agent, models.ThreadQuery{})
		if err != nil || len(list) != 1 || list[0].VisitorReceivedID != m.ID {
			t.Errorf("%+v, %v", list, err)
		}
	})
}

func TestWaiting(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		w := newEnv(s, 100, 100)
		v := visitorAt("v")
		id := w.join(t, v, "Ayşe")
		waiting := func(want string) {
			t.Helper()
			found := ""
			for _, p := range w.take(t) {
				for _, e := range p.Agents {
					if e.Name == "thread_updated" {
						found += pick(t, e.Payload, "waiting_since")
					}
				}
			}
			if found != want {
				t.Errorf("published %s, want %s", found, want)
			}
		}
		m := w.post(t, v, id, "hello")
		waiting(`{"waiting_since":` + wire(t, m.CreatedAt) + `}`)
		w.post(t, v, id, "is anybody there?")
		waiting("")
		list, err := w.Threads(t.Context(), agent, models.ThreadQuery{Status: models.StatusWaiting})
		if err != nil || len(list) != 1 || wire(t, list[0].WaitingSince) != wire(t, m.CreatedAt) {
			t.Errorf("%+v, %v", list, err)
		}
		w.post(t, operator, id, "yes")
		waiting(`{"waiting_since":null}`)
		w.post(t, agent, id, "here we are")
		waiting("")
		if list, err := w.Threads(t.Context(), agent, models.ThreadQuery{Status: models.StatusWaiting}); err != nil || len(list) != 0 {
			t.Errorf("%+v, %v", list, err)
		}
	})
}

// Changes of a visitor's profile are sent to open consoles.
func TestProfileIsPublished(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		w := newEnv(s, 100, 100)
		id := w.join(t, visitorAt("v"), "Ayşe")
		w.take(t)
		again := visitorAt("v2")
		p := chat.Profile{DisplayName: "Ayşe Yılmaz", PageURL: "https://shop.example/a", Locale: "tr"}
		for range 2 { // the second call changes nothing
			if _, err := w.Join(t.Context(), again, chat.JoinRequest{ThreadID: id, Profile: p}); err != nil {
				t.Fatal(err)
			}
		}
		h := w.take(t)
		if len(h) != 1 || names(h[0].Agents) != "thread_updated" || !h[0].State ||
			pick(t, h[0].Agents[0].Payload, "display_name", "page_url") != `{"display_name":"Ayşe Yılmaz","page_url":"https://shop.example/a"}` {
			t.Errorf("published %+v", h)
		}
	})
}
