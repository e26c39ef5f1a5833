package chat_test

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"sohbet/models"
	"sohbet/models/storetest"
	"sohbet/server/apperr"
	"sohbet/server/chat"
)

var operator = chat.Actor{Role: chat.Telegram}

// wire returns a payload in wire format.
func wire(t *testing.T, payload any) string {
	t.Helper()
	text, err := json.Marshal(payload)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestSetStatus(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		w := newEnv(s, 100, 100)
		v := visitorAt("v")
		id := w.join(t, v, "Ayşe")
		w.post(t, v, id, "hello")
		w.take(t)
		if err := w.SetStatus(t.Context(), v, id, models.StatusClosed); code(err) != apperr.CodeUnauthorized {
			t.Errorf("a visitor closed it: %v", err)
		}
		if err := w.SetStatus(t.Context(), operator, id, "gone"); code(err) != apperr.CodeValidation {
			t.Errorf("an invalid status: %v", err)
		}
		if err := w.SetStatus(t.Context(), operator, "01890000-0000-4000-8000-000000000000", models.StatusClosed); code(err) != apperr.CodeNotFound {
			t.Errorf("a missing thread: %v", err)
		}
		published := func(status string) {
			t.Helper()
			h := w.take(t)
			if len(h) != 2 || h[0].ThreadID != id || names(h[0].Thread) != "thread_status" || names(h[1].Agents) != "thread_updated" || !h[0].State || !h[1].State {
				t.Fatalf("published %+v", h)
			}
			rev := strconv.FormatInt(h[0].Rev, 10)
			want := `{"thread_id":"` + id + `","status":"` + status + `","rev":` + rev + `} {"id":"` + id + `","rev":` + rev + `,"status":"` + status + `","waiting_since":null}`
			if got := wire(t, h[0].Thread[0].Payload) + " " + pick(t, h[1].Agents[0].Payload, "id", "rev", "status", "waiting_since"); got != want {
				t.Errorf("published %s, want %s", got, want)
			}
		}
		for _, status := range []string{models.StatusClosed, models.StatusActive, models.StatusClosed} {
			for range 2 { // the second call changes nothing
				if err := w.SetStatus(t.Context(), operator, id, status); err != nil {
					t.Fatal(err)
				}
			}
			published(status)
		}
		list, err := w.Threads(t.Context(), agent, models.ThreadQuery{Status: models.StatusClosed})
		if err != nil || len(list) != 1 || list[0].Status != models.StatusClosed {
			t.Errorf("closed threads %+v, %v", list, err)
		}
		// The visitor writes again.
		w.post(t, v, id, "one thing more")
		h := w.take(t)
		if len(h) != 3 || names(h[0].Thread) != "thread_status" || names(h[1].Agents) != "thread_updated" || names(h[2].Thread) != "message" {
			t.Errorf("published %+v", h)
		}
	})
}

func TestEdit(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		w := newEnv(s, 100, 100)
		v, other := visitorAt("v"), visitorAt("o")
		id, elsewhere := w.join(t, v, "Ayşe"), w.join(t, other, "Veli")
		theirs := w.post(t, v, id, "mine")
		ours := w.post(t, operator, id, "Merhab")
		if text, err := json.Marshal(ours); err != nil || strings.Contains(string(text), "edited_at") {
			t.Errorf("before: %s, %v", text, err)
		}
		w.take(t)
		for name, c := range map[string]struct {
			actor  chat.Actor
			thread string
			id     int64
			text   string
			code   string
		}{
			"a visitor edits ours":   {v, id, ours.ID, "x", apperr.CodeUnauthorized},
			"we edit a visitor's":    {agent, id, theirs.ID, "x", apperr.CodeUnauthorized},
			"of another thread":      {agent, elsewhere, ours.ID, "x", apperr.CodeNotFound},
			"of no thread":           {agent, "x", ours.ID, "x", apperr.CodeValidation},
			"that is not there":      {agent, id, 1 << 40, "x", apperr.CodeNotFound},
			"into nothing":           {agent, id, ours.ID, " \n", apperr.CodeValidation},
			"into too much":          {agent, id, ours.ID, strings.Repeat("x", models.MaxContentText+1), apperr.CodeValidation},
			"into what no store has": {agent, id, ours.ID, "a\x00b", apperr.CodeValidation},
		} {
			if _, err := w.Edit(t.Context(), c.actor, c.thread, c.id, c.text); code(err) != c.code {
				t.Errorf("%s: %v", name, err)
			}
		}
		if h := w.take(t); len(h) != 0 {
			t.Errorf("refused calls published %+v", h)
		}
		for range 2 { // the second call changes nothing
			m, err := w.Edit(t.Context(), operator, id, ours.ID, "Merhaba")
			if err != nil || m.ContentText != "Merhaba" || m.ID != ours.ID {
				t.Fatalf("%+v, %v", m, err)
			}
		}
		h := w.take(t)
		if len(h) != 3 || h[0].ThreadID != id || names(h[0].Thread) != "message_edited" || h[0].Side != chat.Visitor || h[0].Agents != nil ||
			h[1].ThreadID != id || h[1].Side != chat.Agent || h[1].Thread[0] != h[1].Agents[0] || !h[2].State {
			t.Fatalf("published %+v", h)
		}
		text, err := json.Marshal(h[0].Thread[0].Payload)
		if err != nil || !strings.Contains(string(text), `"content_text":"Merhaba"`) || !strings.Contains(string(text), `"edited_at":"2`) {
			t.Errorf("published %s, %v", text, err)
		}
		list, _, err := w.History(t.Context(), v, id, models.MessageQuery{})
		if err != nil || len(list) != 2 || list[1].ContentText != "Merhaba" || list[1].EditedAt == nil || list[0].EditedAt != nil {
			t.Errorf("history %+v, %v", list, err)
		}
	})
}
