package models_test

import (
	"errors"
	"strings"
	"testing"

	"sohbet/models"
	"sohbet/models/storetest"
)

// A database whose disk is full reports it, and accepts writes again once there is space.
func TestFullDatabaseSaysSo(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		fill := []string{"PRAGMA max_page_count = 1"} // SQLite rounds it up to the current size
		free := "PRAGMA max_page_count = 4294967294"
		if s.Dialect() == "postgres" {
			fill = []string{
				`CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no space' USING ERRCODE = '53100'; END $$`,
				`CREATE TRIGGER full_disk BEFORE INSERT ON messages FOR EACH ROW EXECUTE FUNCTION full_disk()`,
			}
			free = "DROP TRIGGER full_disk ON messages"
		}
		exec := func(statement string) {
			t.Helper()
			if _, err := storetest.Raw(t, s).Exec(statement); err != nil {
				t.Fatal(err)
			}
		}
		id := thread(t, s, 1).ID
		for _, statement := range fill {
			exec(statement)
		}
		long := models.NewMessage{ThreadID: id, SenderType: models.Visitor, ContentText: strings.Repeat("x", models.MaxContentText)}
		var err error
		for n := 0; err == nil && n < 100; n++ {
			_, err = s.AppendWait(t.Context(), long)
		}
		if !errors.Is(err, models.ErrUnavailable) || !strings.Contains(err.Error(), "is full") {
			t.Errorf("%v", err)
		}
		exec(free)
		if _, err := s.AppendWait(t.Context(), long); err != nil {
			t.Errorf("with space again: %v", err)
		}
	})
}
