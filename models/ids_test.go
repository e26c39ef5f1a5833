package models_test

import (
	"errors"
	"strings"
	"testing"

	"sohbet/models"
	"sohbet/models/storetest"
)

// No row gets an id that clients cannot hold, whatever the sequences of the database say.
func TestIDsStayBelowTwoToThe53(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		th := thread(t, s, 1)
		say(t, s, th.ID, "first")
		note := models.Note{ThreadID: th.ID, ContentText: "a note", Author: "Ada"}
		if _, _, err := s.AddNote(t.Context(), note); err != nil {
			t.Fatal(err)
		}
		if _, err := s.SaveCanned(t.Context(), models.CannedReply{Shortcut: "a", ContentText: "a"}); err != nil {
			t.Fatal(err)
		}
		last := func(table string, id int64) {
			t.Helper()
			statement := "UPDATE sqlite_sequence SET seq = " + itoa(id) + " WHERE name = '" + table + "'"
			if s.Dialect() == "postgres" {
				statement = "SELECT setval('" + table + "_id_seq', " + itoa(id) + ")"
			}
			exec(t, s, statement)
		}
		last("messages", models.MaxID-1)
		if got := say(t, s, th.ID, "the last"); got.Message.ID != models.MaxID {
			t.Errorf("the last message is %d", got.Message.ID)
		}
		for _, table := range []string{"notes", "canned_replies", "users"} {
			last(table, models.MaxID)
		}
		_, message := s.AppendWait(t.Context(), models.NewMessage{ThreadID: th.ID, SenderType: models.Visitor})
		_, _, noted := s.AddNote(t.Context(), note)
		_, canned := s.SaveCanned(t.Context(), models.CannedReply{Shortcut: "b", ContentText: "b"})
		_, user := s.CreateThread(t.Context(), models.NewThread{ID: threadID(2)})
		for what, err := range map[string]error{"message": message, "note": noted, "reply": canned, "user": user} {
			if !errors.Is(err, models.ErrUnavailable) || !strings.Contains(err.Error(), "no ids left") {
				t.Errorf("%s: %v", what, err)
			}
		}
		if got := readThread(t, s, th.ID); got.MessageCount != 2 || got.LastMessageID != models.MaxID {
			t.Errorf("the thread: %+v", got)
		}
		condition(t, s, "", "no ids left")
	})
}
