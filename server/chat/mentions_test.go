package chat_test

import (
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

// notices are push notifications.
type notices chan chat.Notice

func (n notices) Notify(notice chat.Notice) { n <- notice }

func newNotifying(s *models.Store) (env, notices) {
	n, h := make(notices, 100), &chattest.Recorder{}
	return env{chat.New(chat.Options{
		Store: s, Publisher: h, Presence: &broker.Memory{}, Topics: &broker.Memory{}, Messages: &allow{left: 100}, NewThreads: &allow{left: 100}, Notifier: n,
	}), h, s}, n
}

// to fails the test unless the next notices are for these agents, and none follows; 0 = all agents.
func (n notices) to(t *testing.T, what string, want ...models.AgentID) (last chat.Notice) {
	t.Helper()
	for _, agent := range want {
		select {
		case last = <-n:
			if last.To != agent {
				t.Errorf("%s: pushed to %d, want %d", what, last.To, agent)
			}
		case <-time.After(time.Minute):
			t.Fatalf("%s: not pushed to %d", what, agent)
		}
	}
	if len(n) > 0 {
		t.Errorf("%s: pushed to %d too", what, (<-n).To)
	}
	return last
}

func TestMentions(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		w, pushed := newNotifying(s)
		v := visitorAt("v")
		id := w.join(t, v, "Ayşe")
		ada, first := w.member(t, "Ada", models.RoleOwner)
		lovelace, second := w.member(t, "Ada Lovelace", models.RoleAgent)
		_, third := w.member(t, "Işık Öz", models.RoleAgent)
		eve, _ := w.member(t, "Eve", models.RoleAgent)
		disabled := true
		if _, err := s.UpdateAgent(t.Context(), eve.ID, models.AgentPatch{Disabled: &disabled}); err != nil {
			t.Fatal(err)
		}
		who := func(ids models.AgentIDs) string {
			var list []string
			for _, id := range ids {
				a, _ := s.Agent(int64(id))
				list = append(list, a.Name)
			}
			return strings.Join(list, ", ")
		}
		for text, want := range map[string]string{
			"no name":                       "",
			"write to ada@example.com":      "",
			"@Ada, please":                  "", // the author
			"@ada lovelace":                 "Ada Lovelace",
			"@IŞIK öz ve @Ada Lovelace.":    "Ada Lovelace, Işık Öz",
			"@Işık":                         "",
			"@Ada Lovelaces":                "",
			"@Eve":                          "",
			strings.Repeat("@Işık Öz ", 30): "Işık Öz",
			"@@Işık Öz":                     "Işık Öz",
		} {
			n, err := w.AddNote(t.Context(), first, id, text, "")
			if err != nil || who(n.UnseenBy) != want {
				t.Errorf("%q mentions %s, want %s, %v", text, who(n.UnseenBy), want, err)
			}
		}
		for len(pushed) > 0 {
			<-pushed
		}
		w.take(t)
		if _, err := w.AddNote(t.Context(), first, id, "@Ada Lovelace: see the order", ""); err != nil {
			t.Fatal(err)
		}
		h := w.take(t)
		if len(h) != 2 || h[1].Thread != nil || h[1].Agents[0].Name != "agent_notified" {
			t.Fatalf("published %+v", h)
		}
		told := wire(t, h[1].Agents[0].Payload)
		if want := `{"agent_id":` + wire(t, lovelace.ID) + `,"kind":"mention","by":{"id":` + wire(t, ada.ID) + `,"name":"Ada","avatar_url":""},"text":"@Ada Lovelace: see the order","thread":{"id":"` + id + `"`; !strings.HasPrefix(told, want) {
			t.Errorf("told %s, want %s", told, want)
		}
		notice := chat.Notice{ThreadID: id, DisplayName: "Ayşe", Preview: "@Ada Lovelace: see the order", To: models.AgentID(lovelace.ID), Kind: chat.NotifiedMention, By: "Ada"}
		if p := pushed.to(t, "a mention", notice.To); p != notice {
			t.Errorf("pushed %+v, want %+v", p, notice)
		}
		mentioned := func(a chat.Actor, want int) {
			t.Helper()
			if list, err := w.Mentioned(t.Context(), a); err != nil || len(list) != want || want > 0 && list[0].ID != id {
				t.Errorf("%s is mentioned in %+v, %v", a.Name, list, err)
			}
		}
		mentioned(first, 0)
		mentioned(second, 1)
		mentioned(third, 1)
		for i, seen := range []bool{false, true, true} {
			if list, err := w.Notes(t.Context(), second, id, seen); err != nil || len(list) == 0 {
				t.Errorf("%+v, %v", list, err)
			}
			events, want := "", ""
			for _, p := range w.take(t) {
				events += p.Agents[0].Name + wire(t, p.Agents[0].Payload)
			}
			if i == 1 { // the first time
				want = `notes_seen{"thread_id":"` + id + `","agent_id":` + wire(t, lovelace.ID) + `}`
			}
			if events != want {
				t.Errorf("seen %v: published %s, want %s", seen, events, want)
			}
		}
		mentioned(second, 0)
		mentioned(third, 1)
		if _, err := w.Mentioned(t.Context(), v); code(err) != apperr.CodeUnauthorized {
			t.Errorf("a visitor: %v", err)
		}
	})
}

// Handing over notifies the receiver, with a note or without one; visitors' messages are pushed to the assignee.
func TestHandOver(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		w, pushed := newNotifying(s)
		v := visitorAt("v")
		id := w.join(t, v, "Ayşe")
		ada, first := w.member(t, "Ada", models.RoleOwner)
		bob, second := w.member(t, "Bob", models.RoleAgent)
		cem, _ := w.member(t, "Cem", models.RoleAgent)
		adas, bobs := models.AgentID(ada.ID), models.AgentID(bob.ID)
		w.post(t, v, id, "hello")
		pushed.to(t, "an unassigned thread", 0)
		if err := w.Assign(t.Context(), first, id, adas, nil, ""); err != nil {
			t.Fatal(err)
		}
		pushed.to(t, "taking a thread")
		w.take(t)
		if err := w.Assign(t.Context(), first, id, bobs, nil, "asks for @Cem"); err != nil {
			t.Fatal(err)
		}
		events := []string{}
		for _, p := range w.take(t) {
			if p.Thread != nil {
				t.Errorf("the visitor is told %+v", p.Thread)
			}
			events = append(events, names(p.Agents))
		}
		if want := []string{"thread_updated", "note_added", "agent_notified", "agent_notified"}; !slices.Equal(events, want) {
			t.Errorf("published %q, want %q", events, want)
		}
		pushed.to(t, "handing over", models.AgentID(cem.ID), bobs)
		notes, err := w.Notes(t.Context(), first, id, true)
		if err != nil || len(notes) != 1 || notes[0].Text != "asks for @Cem" || !slices.Equal(notes[0].UnseenBy, models.AgentIDs{bobs, models.AgentID(cem.ID)}) {
			t.Errorf("%+v, %v", notes, err)
		}
		w.post(t, v, id, "still there?")
		pushed.to(t, "a thread of Bob", bobs)
		// What is refused stores no note.
		if err := w.Assign(t.Context(), first, id, adas, nil, "mine"); code(err) != apperr.CodeConflict {
			t.Errorf("%v", err)
		}
		if err := w.Assign(t.Context(), second, id, adas, nil, strings.Repeat("x", models.MaxContentText+1)); code(err) != apperr.CodeValidation {
			t.Errorf("a long note: %v", err)
		}
		if notes, err := w.Notes(t.Context(), first, id, true); err != nil || len(notes) != 1 {
			t.Errorf("%+v, %v", notes, err)
		}
		pushed.to(t, "what is refused")
		disabled := true
		if _, err := s.UpdateAgent(t.Context(), bob.ID, models.AgentPatch{Disabled: &disabled}); err != nil {
			t.Fatal(err)
		}
		w.post(t, v, id, "hello?")
		pushed.to(t, "a thread of a disabled agent", 0)
	})
}

// Agents who write in Telegram are known to be there.
func TestWroteInTelegram(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		wrote := make(chan models.AgentID, 10)
		w := env{chat.New(chat.Options{
			Store: s, Publisher: &chattest.Recorder{}, Presence: &broker.Memory{}, Topics: &broker.Memory{}, Messages: &allow{left: 100}, NewThreads: &allow{left: 100},
			Wrote: func(agent models.AgentID) { wrote <- agent },
		}), nil, s}
		v := visitorAt("v")
		id := w.join(t, v, "Ayşe")
		_, ada := w.member(t, "Ada", models.RoleOwner)
		linked := operator
		linked.AgentID = ada.AgentID
		for _, by := range []chat.Actor{v, ada, operator, linked} {
			w.post(t, by, id, "hello")
		}
		select {
		case agent := <-wrote:
			if agent != ada.AgentID || len(wrote) > 0 {
				t.Errorf("agent %d wrote, and %d more", agent, len(wrote))
			}
		case <-time.After(time.Minute):
			t.Error("the agent did not write")
		}
	})
}
