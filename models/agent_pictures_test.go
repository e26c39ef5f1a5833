package models_test

import (
	"errors"
	"testing"

	"sohbet/models"
	"sohbet/models/storetest"
)

func TestAgentPictures(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		ctx := t.Context()
		ada := addAgent(t, s, models.Agent{Name: "Ada", Role: models.RoleOwner})
		for _, c := range []struct{ url, data string }{{"/a/1.jpg", "one\x00"}, {"/a/2.jpg", "two"}} {
			set, err := s.SetAgentPicture(ctx, ada.ID, c.url, []byte(c.data))
			if err != nil || set.AvatarURL != c.url || set.SessionGeneration != ada.SessionGeneration {
				t.Fatalf("%+v, %v", set, err)
			}
			for range 2 { // from the table, and from memory
				if data, err := s.AgentPicture(ctx, c.url); err != nil || string(data) != c.data {
					t.Errorf("%s: %q, %v", c.url, data, err)
				}
			}
		}
		if _, err := s.SetAgentPicture(ctx, ada.ID, "", nil); err != nil {
			t.Fatal(err)
		}
		for _, url := range []string{"/a/1.jpg", "/a/2.jpg", "/a/3.jpg", ""} {
			if data, err := s.AgentPicture(ctx, url); !errors.Is(err, models.ErrNotFound) {
				t.Errorf("%s, which is removed: %q, %v", url, data, err)
			}
		}
		var rows int
		if err := storetest.Raw(t, s).QueryRow("SELECT count(*) FROM agent_pictures").Scan(&rows); err != nil || rows != 0 {
			t.Errorf("%d rows, %v", rows, err)
		}
		if _, err := s.SetAgentPicture(ctx, 99, "/a/3.jpg", []byte("x")); !errors.Is(err, models.ErrNotFound) {
			t.Errorf("of an agent who does not exist: %v", err)
		}
	})
}

func TestAgentPicturesOfAnotherProcess(t *testing.T) {
	o := storetest.Options(t, "postgres")
	s, other := storetest.Reopen(t, o), storetest.Reopen(t, o)
	ada := addAgent(t, s, models.Agent{Name: "Ada", Role: models.RoleOwner})
	if _, err := s.SetAgentPicture(t.Context(), ada.ID, "/a/1.jpg", []byte("one")); err != nil {
		t.Fatal(err)
	}
	if data, err := other.AgentPicture(t.Context(), "/a/1.jpg"); err != nil || string(data) != "one" {
		t.Errorf("%q, %v", data, err)
	}
}

func TestAgentPicturesInDumps(t *testing.T) {
	for _, dialect := range []string{"sqlite", "postgres"} {
		from, to := storetest.Open(t, dialect), storetest.Open(t, dialect)
		ada := addAgent(t, from, models.Agent{Name: "Ada", Role: models.RoleOwner})
		picture := []byte("\xff\xd8\x00\\\n\tpicture")
		if _, err := from.SetAgentPicture(t.Context(), ada.ID, "/a/1.jpg", picture); err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		if err := from.Dump(t.Context(), dir, func(string) {}); err != nil {
			t.Fatal(err)
		}
		if err := to.Load(t.Context(), dir, models.LoadOptions{}); err != nil {
			t.Fatal(err)
		}
		if data, err := to.AgentPicture(t.Context(), "/a/1.jpg"); err != nil || string(data) != string(picture) {
			t.Errorf("%s: %q, %v", dialect, data, err)
		}
	}
}
