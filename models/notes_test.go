package models_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"sohbet/models"
	"sohbet/models/encryption"
	"sohbet/models/storetest"
)

func TestNotes(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		id, other := thread(t, s, 1).ID, thread(t, s, 2).ID
		add := func(id, text, client string) (models.Note, bool) {
			t.Helper()
			n, added, err := s.AddNote(t.Context(), models.Note{ThreadID: id, ContentText: text, ClientID: client, Author: "admin"})
			if err != nil {
				t.Fatal(err)
			}
			return n, added
		}
		before, _ := add(id, "before anything", "")
		m := say(t, s, id, "hello").Message
		first, added := add(id, "çok önemli", "c1")
		if !added || before.AfterID != 0 || first.AfterID != m.ID || first.Author != "admin" || first.ContentText != "çok önemli" || first.CreatedAt.IsZero() {
			t.Errorf("%+v, %v after %+v", first, added, before)
		}
		if again, added := add(id, "something else", "c1"); added || !reflect.DeepEqual(again, first) {
			t.Errorf("a retry gave %+v, %v", again, added)
		}
		if elsewhere, added := add(other, "of another thread", "c1"); !added || elsewhere.ID == first.ID {
			t.Errorf("the same client_id elsewhere: %+v", elsewhere)
		}
		list, err := s.Notes(t.Context(), id)
		if err != nil || len(list) != 2 || !reflect.DeepEqual(list, []models.Note{before, first}) {
			t.Errorf("%+v, %v", list, err)
		}
		if _, _, err := s.AddNote(t.Context(), models.Note{ThreadID: "missing", ContentText: "x"}); !errors.Is(err, models.ErrNotFound) {
			t.Errorf("a note on nothing: %v", err)
		}
		if _, _, err := s.AddNote(t.Context(), models.Note{ThreadID: id, ContentText: strings.Repeat("x", models.MaxContentText+1)}); !errors.Is(err, models.ErrInvalid) {
			t.Errorf("a long note: %v", err)
		}
		if got := readThread(t, s, id); got.MessageCount != 1 || got.LastMessage != "hello" {
			t.Errorf("notes show in the thread: %+v", got)
		}

		if err := s.DeleteNote(t.Context(), other, first.ID); !errors.Is(err, models.ErrNotFound) {
			t.Errorf("deleted through another thread: %v", err)
		}
		if err := s.DeleteNote(t.Context(), id, first.ID); err != nil {
			t.Error(err)
		}
		if err := s.DeleteNote(t.Context(), id, first.ID); !errors.Is(err, models.ErrNotFound) {
			t.Errorf("deleted twice: %v", err)
		}
		if err := s.DeleteThread(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		if list, err := s.Notes(t.Context(), id); err != nil || len(list) != 0 || countRows(t, s, "notes") != 1 {
			t.Errorf("of a cleared thread: %+v, %v", list, err)
		}
	})
}

func TestExpireNotes(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		id := thread(t, s, 1).ID
		cutoff := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
		var old models.Note
		for _, at := range []time.Time{cutoff.Add(-time.Second), cutoff} {
			n, _, err := s.AddNote(t.Context(), models.Note{ThreadID: id, ContentText: "x", CreatedAt: at})
			if err != nil {
				t.Fatal(err)
			}
			if at.Before(cutoff) {
				old = n
			}
		}
		gone, more, err := s.ExpireNotes(t.Context(), cutoff)
		if err != nil || more || len(gone) != 1 || gone[0].ID != old.ID || gone[0].ThreadID != id {
			t.Errorf("%+v, %v, %v", gone, more, err)
		}
		if list, err := s.Notes(t.Context(), id); err != nil || len(list) != 1 || !list[0].CreatedAt.Equal(cutoff) {
			t.Errorf("%+v, %v", list, err)
		}
	})
}

func TestCannedReplies(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		save := func(id int64, shortcut, text string) (models.CannedReply, error) {
			return s.SaveCanned(t.Context(), models.CannedReply{ID: id, Shortcut: shortcut, ContentText: text})
		}
		kargo, err := save(0, "Kargo", "Kargonuz yolda, {name}.")
		if err != nil || kargo.ID == 0 || kargo.ContentText != "Kargonuz yolda, {name}." {
			t.Fatalf("%+v, %v", kargo, err)
		}
		iade, err := save(0, "iade", "İade için…")
		if err != nil {
			t.Fatal(err)
		}
		for _, taken := range []string{"kargo", "KARGO"} {
			if _, err := save(0, taken, "x"); !errors.Is(err, models.ErrExists) {
				t.Errorf("%s again: %v", taken, err)
			}
		}
		if _, err := save(iade.ID, "kargo", "x"); !errors.Is(err, models.ErrExists) {
			t.Errorf("renamed into another: %v", err)
		}
		if _, err := save(999, "yeni", "x"); !errors.Is(err, models.ErrNotFound) {
			t.Errorf("in place of none: %v", err)
		}
		if got, err := save(iade.ID, "İADE", "Yeni metin"); err != nil || got.ID != iade.ID { // its own shortcut in different case
			t.Errorf("%+v, %v", got, err)
		}
		list, err := s.CannedReplies(t.Context())
		if err != nil || len(list) != 2 || list[0].Shortcut != "İADE" || list[0].ContentText != "Yeni metin" || list[1] != kargo {
			t.Errorf("%+v, %v", list, err)
		}
		if err := s.DeleteCanned(t.Context(), kargo.ID); err != nil {
			t.Error(err)
		}
		if err := s.DeleteCanned(t.Context(), kargo.ID); !errors.Is(err, models.ErrNotFound) {
			t.Errorf("deleted twice: %v", err)
		}
		// Concurrent saves of one shortcut: exactly one succeeds.
		won := make([]error, 8)
		inParallel(t, len(won), func(i int) error { _, won[i] = save(0, "same", "x"); return nil })
		count := 0
		for _, err := range won {
			if err == nil {
				count++
			} else if !errors.Is(err, models.ErrExists) {
				t.Error(err)
			}
		}
		if count != 1 {
			t.Errorf("%d of them have the shortcut", count)
		}
		exec(t, s, "INSERT INTO canned_replies (shortcut, folded) "+numbers(models.MaxCanned-2)+"SELECT '', 'n' || i FROM n")
		if _, err := save(0, "onemore", "x"); !errors.Is(err, models.ErrInvalid) {
			t.Errorf("one too many: %v", err)
		}
	})
}

// Texts other than messages are encrypted too, and are re-encrypted on a key change.
func TestOtherTextsAreSealed(t *testing.T) {
	const secret = "kırmızıbalık"
	for _, dialect := range storetest.Dialects {
		t.Run(dialect, func(t *testing.T) {
			o := storetest.Options(t, dialect)
			o.MissingKeys = models.AcceptMissingKeys
			with := func(keys ...string) *models.Store {
				o.Keys = keys
				return storetest.Reopen(t, o)
			}
			old := with(oldKey)
			id := thread(t, old, 1).ID
			email, comment := secret+"@shop.example", "teşekkürler "+secret
			page, title := "https://shop.example/"+secret, secret+" 12 cm"
			if _, err := old.UpdateThread(t.Context(), id, models.ThreadPatch{Email: &email, RatingComment: &comment, PageURL: &page, PageTitle: &title}); err != nil {
				t.Fatal(err)
			}
			if _, _, err := old.AddNote(t.Context(), models.Note{ThreadID: id, ContentText: secret}); err != nil {
				t.Fatal(err)
			}
			if _, err := old.SaveCanned(t.Context(), models.CannedReply{Shortcut: secret, ContentText: secret}); err != nil {
				t.Fatal(err)
			}
			holds := func(s *models.Store) {
				t.Helper()
				th := readThread(t, s, id)
				notes, err := s.Notes(t.Context(), id)
				canned, err2 := s.CannedReplies(t.Context())
				if err != nil || err2 != nil || th.Email != email || th.RatingComment != comment || th.PageURL != page || th.PageTitle != title || canned[0].Shortcut != secret || notes[0].ContentText != secret || canned[0].ContentText != secret {
					t.Errorf("%+v, %+v, %+v, %v, %v", th, notes, canned, err, err2)
				}
			}
			holds(old)
			if res := say(t, old, id, "hello"); res.Thread.Email != email || res.Thread.PageURL != page || res.Thread.PageTitle != title { // the thread as returned by the writer
				t.Errorf("after a message: %+v", res.Thread)
			}
			opened, err := old.CreateThread(t.Context(), models.NewThread{ID: threadID(2), PageURL: page, PageTitle: title})
			if err != nil || opened.PageURL != page || readThread(t, old, threadID(2)).PageTitle != title {
				t.Errorf("opened: %+v, %v", opened, err)
			}
			known, _, err := old.OpenAs(t.Context(), "customer-1", models.NewThread{ID: threadID(3), PageURL: page, PageTitle: title})
			if err != nil || known.PageURL != page || readThread(t, old, threadID(3)).PageTitle != title {
				t.Errorf("opened with an external id: %+v, %v", known, err)
			}
			for _, n := range []int{2, 3} {
				if err := old.DeleteThread(t.Context(), threadID(n)); err != nil {
					t.Fatal(err)
				}
			}
			holds(old)
			for table, columns := range map[string]string{"threads": "email || rating_comment || page_url || page_title", "notes": "content_text", "canned_replies": "content_text || shortcut || folded"} {
				var stored string
				if err := storetest.Raw(t, old).QueryRow("SELECT " + columns + " FROM " + table).Scan(&stored); err != nil || stored == "" || strings.Contains(stored, secret) {
					t.Errorf("%s holds %q, %v", table, stored, err)
				}
			}
			sum, err := storetest.Rekey(t, with(newKey, oldKey))
			if err != nil || sum.Rewritten != 9 || sum.Unreadable != 0 {
				t.Errorf("%+v, %v", sum, err)
			}
			holds(with(newKey))
			if sum, err := storetest.Rekey(t, with(oldKey)); err != nil || sum.Unreadable != 9 {
				t.Errorf("without its key: %+v, %v", sum, err)
			}
			if notes, err := with(oldKey).Notes(t.Context(), id); err != nil || notes[0].ContentText != encryption.Unreadable {
				t.Errorf("%+v, %v", notes, err)
			}
		})
	}
}
