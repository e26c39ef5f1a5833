package chat_test

import (
	"testing"

	"sohbet/models"
	"sohbet/models/storetest"
	"sohbet/server/apperr"
	"sohbet/server/chat"
)

func TestAssign(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		w := newEnv(s, 100, 100)
		v := visitorAt("v")
		id := w.join(t, v, "Ayşe")
		w.post(t, v, id, "hello")
		ada, first := w.member(t, "Ada", models.RoleOwner)
		bob, second := w.member(t, "Bob", models.RoleAgent)
		w.take(t)
		none, adas, bobs := models.AgentID(0), models.AgentID(ada.ID), models.AgentID(bob.ID)
		for _, c := range []struct {
			what     string
			by       chat.Actor
			to       models.AgentID
			from     *models.AgentID
			code     string
			assignee string
		}{
			{"a visitor", v, adas, nil, apperr.CodeUnauthorized, ""},
			{"Telegram", operator, adas, nil, apperr.CodeUnauthorized, ""},
			{"to an unknown agent", first, bobs + 9, nil, apperr.CodeValidation, ""},
			{"Bob takes it", second, bobs, nil, "", "Bob"},
			{"Ada too", first, adas, nil, apperr.CodeConflict, "Bob"},
			{"Bob again", second, bobs, nil, "", "Bob"},
			{"Ada, who does not know of Bob", first, adas, &none, apperr.CodeConflict, "Bob"},
			{"Ada from Bob", first, adas, &bobs, "", "Ada"},
			{"Ada hands it over", first, bobs, nil, "", "Bob"},
			{"Bob lets go, but believes it is Ada's", second, 0, &adas, apperr.CodeConflict, "Bob"},
			{"Bob lets go", second, 0, nil, "", ""},
		} {
			err := w.Assign(t.Context(), c.by, id, c.to, c.from, "")
			if code(err) != c.code {
				t.Errorf("%s: %v", c.what, err)
			}
			h := w.take(t)
			if c.code != "" {
				if len(h) != 0 {
					t.Errorf("%s: published %+v", c.what, h)
				}
				if message := "Bob has taken this conversation."; c.code == apperr.CodeConflict && chat.Public(err).Message != message {
					t.Errorf("%s: %q", c.what, chat.Public(err).Message)
				}
				continue
			}
			want := `{"assignee":null}`
			if who, found := s.FindAgent(c.assignee); found {
				want = `{"assignee":{"avatar_url":"","id":` + wire(t, who.ID) + `,"name":"` + who.Name + `"}}`
			}
			if told := len(h) == 2 && names(h[1].Agents) == "agent_notified"; told != (c.to != 0 && c.to != c.by.AgentID) {
				t.Errorf("%s: the receiver is told %v", c.what, told)
			}
			if names(h[0].Agents) != "thread_updated" || h[0].Thread != nil || !h[0].State || pick(t, h[0].Agents[0].Payload, "assignee") != want {
				t.Errorf("%s: published %+v, want %s", c.what, h, want)
			}
		}

		// The first to answer takes it, and agents receive that.
		w.post(t, second, id, "hi")
		h := w.take(t)
		if len(h) != 2 || names(h[1].Agents) != "thread_updated" || pick(t, h[1].Agents[0].Payload, "assignee") != `{"assignee":{"avatar_url":"","id":`+wire(t, bob.ID)+`,"name":"Bob"}}` {
			t.Errorf("published %+v", h)
		}
		// A thread of a disabled agent can be taken, but none can be given to one.
		disabled := true
		if _, err := s.UpdateAgent(t.Context(), bob.ID, models.AgentPatch{Disabled: &disabled}); err != nil {
			t.Fatal(err)
		}
		if err := w.Assign(t.Context(), first, id, adas, nil, ""); err != nil {
			t.Errorf("taken from a disabled agent: %v", err)
		}
		if err := w.Assign(t.Context(), first, id, bobs, nil, ""); code(err) != apperr.CodeValidation {
			t.Errorf("given to a disabled agent: %v", err)
		}
	})
}
