package models_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"sohbet/models"
	"sohbet/models/storetest"
)

func TestIdentity(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		if _, err := s.IdentityThread(t.Context(), "u1"); !errors.Is(err, models.ErrNotFound) {
			t.Fatalf("a missing thread: %v", err)
		}
		// Of many concurrent calls, one opens a thread.
		const many = 8
		ids, opened := make([]string, many), make([]bool, many)
		inParallel(t, many, func(i int) error {
			th, fresh, err := s.OpenAs(t.Context(), "u1", models.NewThread{ID: threadID(i), DisplayName: "Ayşe", Address: "192.0.2.1"})
			ids[i], opened[i] = th.ID, fresh
			return err
		})
		count := 0
		for i, fresh := range opened {
			if fresh {
				count++
			}
			if ids[i] != ids[0] {
				t.Errorf("they got %v", ids)
			}
		}
		if count != 1 || countRows(t, s, "threads") != 1 || countRows(t, s, "users") != 1 {
			t.Fatalf("%d opened one, of %d", count, countRows(t, s, "threads"))
		}
		first := ids[0]
		say(t, s, first, "hello")
		if list, err := s.Threads(t.Context(), models.ThreadQuery{Search: "ayse"}); err != nil || len(list) > 1 {
			t.Errorf("%+v, %v", list, err)
		}
		if list, err := s.Threads(t.Context(), models.ThreadQuery{Search: "ayşe"}); err != nil || len(list) != 1 || list[0].AddressHash == "" {
			t.Errorf("it is not found by name: %+v, %v", list, err)
		}

		// A thread opened anonymously can be assigned to the user, unless it belongs to another.
		anonymous := thread(t, s, 20).ID
		post(t, s, models.NewMessage{ThreadID: anonymous, SenderType: models.Visitor, ContentText: "x", CreatedAt: time.Now().Add(time.Hour)})
		for range 2 {
			if theirs, err := s.Identify(t.Context(), anonymous, "u1"); err != nil || !theirs {
				t.Fatalf("%v, %v", theirs, err)
			}
		}
		if theirs, err := s.Identify(t.Context(), anonymous, "u2"); err != nil || theirs {
			t.Errorf("taken over: %v, %v", theirs, err)
		}
		if _, err := s.Identify(t.Context(), "missing", "u1"); !errors.Is(err, models.ErrNotFound) {
			t.Errorf("none: %v", err)
		}
		if countRows(t, s, "users") != 1 {
			t.Errorf("%d users are left for one person", countRows(t, s, "users"))
		}
		if newest, err := s.IdentityThread(t.Context(), "u1"); err != nil || newest.ID != anonymous {
			t.Errorf("%+v, %v", newest, err)
		}
		p, err := s.Person(t.Context(), readThread(t, s, first))
		if err != nil || p.ExternalID != "u1" || len(p.Earlier) != 1 || p.Earlier[0].ID != anonymous {
			t.Errorf("%+v, %v", p, err)
		}

		// Deleting one thread keeps the user; deleting the last one deletes the user.
		for i, id := range []string{anonymous, first} {
			if err := s.DeleteThread(t.Context(), id); err != nil {
				t.Fatal(err)
			}
			if n := countRows(t, s, "users"); n != 1-i {
				t.Errorf("%d users after clearing %d", n, i+1)
			}
		}
	})
}

// A user returns while their last thread is being deleted: they either get a thread or an error that asks for a retry.
func TestIdentityWhileClearing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		const rounds = 40
		inParallel(t, 2, func(side int) error {
			for i := range rounds {
				if side == 0 {
					if _, err := s.ClearAll(t.Context()); err != nil {
						return fmt.Errorf("clear: %w", err)
					}
				} else if _, _, err := s.OpenAs(t.Context(), "u1", models.NewThread{ID: threadID(i)}); err != nil && !errors.Is(err, models.ErrNotFound) {
					return fmt.Errorf("open: %w", err)
				}
			}
			return nil
		})
		if _, _, err := s.OpenAs(t.Context(), "u1", models.NewThread{ID: threadID(rounds)}); err != nil {
			t.Error(err)
		}
		if countRows(t, s, "users") != 1 {
			t.Errorf("%d users", countRows(t, s, "users"))
		}
	})
}
