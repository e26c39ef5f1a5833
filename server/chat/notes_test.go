package chat_test

import (
	"reflect"
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

func TestNotes(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		w := newEnv(s, 100, 100)
		v := visitorAt("v")
		id := w.join(t, v, "Ayşe")
		m := w.post(t, v, id, "hello")
		w.take(t)
		ada := chat.Actor{Role: chat.Agent, SocketID: "agent", Name: "ada"}
		n, err := w.AddNote(t.Context(), ada, id, "she is a regular", "c1")
		if err != nil || n.Text != "she is a regular" || n.AfterID != m.ID || n.Author != "ada" || n.ThreadID != id {
			t.Fatalf("%+v, %v", n, err)
		}
		h := w.take(t)
		if len(h) != 1 || h[0].ThreadID != "" || h[0].Thread != nil || names(h[0].Agents) != "note_added" || h[0].Except != "agent" ||
			!strings.HasPrefix(wire(t, h[0].Agents[0].Payload), `{"note":{"id":`) {
			t.Errorf("published %+v", h)
		}
		if again, err := w.AddNote(t.Context(), ada, id, "x", "c1"); err != nil || !reflect.DeepEqual(again, n) || len(w.take(t)) != 0 {
			t.Errorf("a retry: %+v, %v", again, err)
		}
		if list, err := w.Notes(t.Context(), ada, id, true); err != nil || len(list) != 1 || !reflect.DeepEqual(list[0], n) {
			t.Errorf("%+v, %v", list, err)
		}
		// No operation of a visitor gives access to it.
		for _, a := range []chat.Actor{v, operator} {
			if _, err := w.AddNote(t.Context(), a, id, "x", ""); code(err) != apperr.CodeUnauthorized {
				t.Errorf("%s notes: %v", a.Role, err)
			}
			if _, err := w.Notes(t.Context(), a, id, true); code(err) != apperr.CodeUnauthorized {
				t.Errorf("%s reads notes: %v", a.Role, err)
			}
			if err := w.DeleteNote(t.Context(), a, id, n.ID); code(err) != apperr.CodeUnauthorized {
				t.Errorf("%s deletes notes: %v", a.Role, err)
			}
		}
		if list, _, err := w.History(t.Context(), v, id, models.MessageQuery{}); err != nil || len(list) != 1 {
			t.Errorf("history %+v, %v", list, err)
		}
		for field, try := range map[string]func() error{
			"thread_id": func() error { _, err := w.AddNote(t.Context(), ada, "x", "x", ""); return err },
			"text":      func() error { _, err := w.AddNote(t.Context(), ada, id, " \n", ""); return err },
			"client_id": func() error { _, err := w.AddNote(t.Context(), ada, id, "x", strings.Repeat("c", 65)); return err },
		} {
			if err := try(); code(err) != apperr.CodeValidation || chat.Public(err).Field != field {
				t.Errorf("%s: %v", field, err)
			}
		}
		if err := w.DeleteNote(t.Context(), ada, id, n.ID+1); code(err) != apperr.CodeNotFound {
			t.Errorf("a missing note: %v", err)
		}
		w.take(t)
		if err := w.DeleteNote(t.Context(), ada, id, n.ID); err != nil {
			t.Fatal(err)
		}
		if h := w.take(t); len(h) != 1 || h[0].Thread != nil || wire(t, h[0].Agents[0].Payload) != `{"thread_id":"`+id+`","id":`+wire(t, n.ID)+`}` {
			t.Errorf("published %+v", h)
		}
	})
}

func TestOldNotesGo(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
		h := &chattest.Recorder{}
		w := env{chat.New(chat.Options{
			Store: s, Publisher: h, Presence: &broker.Memory{}, Topics: &broker.Memory{}, Messages: &allow{left: 9}, NewThreads: &allow{left: 9}, Now: func() time.Time { return now },
		}), h, s}
		v := visitorAt("v")
		id := w.join(t, v, "Ayşe")
		n, err := w.AddNote(t.Context(), agent, id, "old", "")
		if err != nil {
			t.Fatal(err)
		}
		now = now.AddDate(0, 0, 2)
		w.post(t, v, id, "young")
		w.take(t)
		if _, err := w.Sweep(t.Context(), 24*time.Hour); err != nil {
			t.Fatal(err)
		}
		if published := h.Take(); len(published) != 1 || names(published[0].Agents) != "note_deleted" || wire(t, published[0].Agents[0].Payload) != `{"thread_id":"`+id+`","id":`+wire(t, n.ID)+`}` {
			t.Errorf("published %+v", published)
		}
		if list, err := w.Notes(t.Context(), agent, id, true); err != nil || len(list) != 0 {
			t.Errorf("%+v, %v", list, err)
		}
	})
}

func TestCanned(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		w := newEnv(s, 100, 100)
		c, err := w.SaveCanned(t.Context(), agent, chat.Canned{Shortcut: "iade-süresi_2", Text: "Merhaba {name}, …"})
		if err != nil || c.ID == 0 {
			t.Fatalf("%+v, %v", c, err)
		}
		if h := w.take(t); len(h) != 1 || h[0].Thread != nil || names(h[0].Agents) != "canned_changed" || wire(t, h[0].Agents[0].Payload) != "{}" {
			t.Errorf("published %+v", h)
		}
		for _, bad := range []chat.Canned{{Shortcut: "", Text: "x"}, {Shortcut: "a b", Text: "x"}, {Shortcut: "a/b", Text: "x"},
			{Shortcut: strings.Repeat("ş", 33), Text: "x"}, {Shortcut: "x", Text: ""}, {Shortcut: "x", Text: "a\x00"}} {
			if _, err := w.SaveCanned(t.Context(), agent, bad); code(err) != apperr.CodeValidation {
				t.Errorf("%q: %v", bad.Shortcut, err)
			}
		}
		if _, err := w.SaveCanned(t.Context(), agent, chat.Canned{Shortcut: "İADE-SÜRESİ_2", Text: "x"}); code(err) != apperr.CodeConflict {
			t.Errorf("the same shortcut: %v", err)
		}
		for _, a := range []chat.Actor{visitorAt("v"), operator} {
			_, listed := w.Canned(t.Context(), a)
			_, saved := w.SaveCanned(t.Context(), a, chat.Canned{Shortcut: "y", Text: "x"})
			if code(listed) != apperr.CodeUnauthorized || code(saved) != apperr.CodeUnauthorized || code(w.DeleteCanned(t.Context(), a, c.ID)) != apperr.CodeUnauthorized {
				t.Errorf("%s: %v, %v", a.Role, listed, saved)
			}
		}
		if h := w.take(t); len(h) != 0 {
			t.Errorf("refused calls published %+v", h)
		}
		if list, err := w.Canned(t.Context(), agent); err != nil || len(list) != 1 || list[0] != c {
			t.Errorf("%+v, %v", list, err)
		}
		if err := w.DeleteCanned(t.Context(), agent, c.ID); err != nil || names(w.take(t)[0].Agents) != "canned_changed" {
			t.Errorf("%v", err)
		}
		if err := w.DeleteCanned(t.Context(), agent, c.ID); code(err) != apperr.CodeNotFound {
			t.Errorf("deleted twice: %v", err)
		}
	})
}
