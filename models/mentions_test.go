package models_test

import (
	"reflect"
	"testing"

	"sohbet/models"
	"sohbet/models/storetest"
)

func TestMentions(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		note := func(thread string, unseen ...models.AgentID) models.Note {
			t.Helper()
			n, _, err := s.AddNote(t.Context(), models.Note{ThreadID: thread, ContentText: "look", UnseenBy: unseen})
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		unseen := func(agent models.AgentID, want ...string) {
			t.Helper()
			list, err := s.Mentions(t.Context(), agent, 3)
			if err != nil {
				t.Fatal(err)
			}
			got := []string(nil)
			for _, th := range list {
				got = append(got, th.DisplayName)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("mentions of agent %d in %q, want %q", agent, got, want)
			}
		}
		var ids []string
		for n := range 4 {
			ids = append(ids, thread(t, s, n+1).ID)
		}
		for i, id := range ids {
			note(id)
			note(id, 3, 13)
			if i == 0 {
				note(id, 13)
			}
		}
		last := note(ids[0], 3)
		unseen(1)
		unseen(3, "Visitor 1", "Visitor 4", "Visitor 3")
		unseen(13, "Visitor 4", "Visitor 3", "Visitor 2")
		seen := func(thread string, agent models.AgentID, want bool) {
			t.Helper()
			if changed, err := s.MarkNotesSeen(t.Context(), thread, agent); err != nil || changed != want {
				t.Errorf("changed %v, %v", changed, err)
			}
		}
		seen(ids[3], 1, false)
		seen(ids[3], 3, true)
		seen(ids[3], 3, false)
		unseen(3, "Visitor 1", "Visitor 3", "Visitor 2")
		unseen(13, "Visitor 4", "Visitor 3", "Visitor 2")
		if list, err := s.Notes(t.Context(), ids[3]); err != nil || len(list) != 2 || len(list[0].UnseenBy) != 0 || !reflect.DeepEqual(list[1].UnseenBy, models.AgentIDs{13}) {
			t.Errorf("%+v, %v", list, err)
		}
		// They go with their notes and threads.
		if err := s.DeleteNote(t.Context(), ids[0], last.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := s.StartClear(t.Context(), ids[2], 0); err != nil {
			t.Fatal(err)
		}
		if _, err := s.StartDelete(t.Context(), ids[1], 0); err != nil {
			t.Fatal(err)
		}
		unseen(3, "Visitor 1")
		unseen(13, "Visitor 4", "Visitor 1")
	})
}

// A note is stored with the change of the assignee, or neither is.
func TestHandOverWithNote(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		ada := models.AgentID(addAgent(t, s, models.Agent{Name: "Ada", Role: models.RoleOwner}).ID)
		th := thread(t, s, 1)
		m := say(t, s, th.ID, "hello").Message
		n := models.Note{ThreadID: th.ID, ContentText: "yours", Author: "Bob", UnseenBy: models.AgentIDs{ada}}
		refused := n
		if _, err := s.Assign(t.Context(), th.ID, ada, func(models.AgentID) bool { return false }, &refused); err == nil || refused.ID != 0 {
			t.Errorf("%+v, %v", refused, err)
		}
		after, err := s.Assign(t.Context(), th.ID, ada, anyone, &n)
		if err != nil || after.AssigneeID != ada || n.ID == 0 || n.AfterID != m.ID || n.ContentText != "yours" {
			t.Errorf("%+v with %+v, %v", after, n, err)
		}
		list, err := s.Notes(t.Context(), th.ID)
		if err != nil || !reflect.DeepEqual(list, []models.Note{n}) {
			t.Errorf("%+v, want %+v, %v", list, n, err)
		}
	})
}
