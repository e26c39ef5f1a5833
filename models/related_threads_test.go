package models_test

import (
	"fmt"
	"strings"
	"testing"

	"sohbet/models"
	"sohbet/models/storetest"
)

func TestPerson(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		open := func(n int, phone, email string) models.Thread {
			t.Helper()
			id := threadID(n)
			if _, err := s.CreateThread(t.Context(), models.NewThread{ID: id, DisplayName: "x", PhoneNumber: phone}); err != nil {
				t.Fatal(err)
			}
			if _, err := s.UpdateThread(t.Context(), id, models.ThreadPatch{Email: &email}); err != nil {
				t.Fatal(err)
			}
			say(t, s, id, fmt.Sprint("session ", n))
			return readThread(t, s, id)
		}
		same := func(th models.Thread, want string) models.Person {
			t.Helper()
			p, err := s.Person(t.Context(), th)
			if err != nil {
				t.Fatal(err)
			}
			var ids []string
			for _, e := range p.Earlier {
				ids = append(ids, e.ID+" "+e.LastMessage)
			}
			if got := strings.Join(ids, ", "); got != want {
				t.Errorf("of %s: %q, want %q", th.ID, got, want)
			}
			return p
		}
		anonymous, other := open(1, "", ""), open(2, "", "")
		same(anonymous, "")
		same(other, "")
		byPhone, byBoth, byEmail := open(3, "+90 555", ""), open(4, "+90 555", "ayse@shop.example"), open(5, "", "Ayse@Shop.example")
		same(byPhone, "thread-0004 session 4")
		same(byEmail, "thread-0004 session 4")
		p := same(byBoth, "thread-0005 session 5, thread-0003 session 3")
		if !p.FirstSeen.Equal(byPhone.CreatedAt) || p.Sessions != 3 {
			t.Errorf("%+v; the first came at %v", p, byPhone.CreatedAt)
		}
		if p := same(anonymous, ""); !p.FirstSeen.Equal(anonymous.CreatedAt) || p.Sessions != 1 {
			t.Errorf("%+v", p)
		}
		for n := 10; n < 10+models.MaxEarlier+2; n++ {
			open(n, "555", "")
		}
		if p, err := s.Person(t.Context(), readThread(t, s, threadID(10))); err != nil || len(p.Earlier) != models.MaxEarlier || p.Sessions != models.MaxEarlier+2 {
			t.Errorf("%d, %d sessions, %v", len(p.Earlier), p.Sessions, err)
		}
	})
}

// A lookup by e-mail address also works after a key change.
func TestPersonAfterRekey(t *testing.T) {
	for _, dialect := range storetest.Dialects {
		t.Run(dialect, func(t *testing.T) {
			o := storetest.Options(t, dialect)
			with := func(keys ...string) *models.Store {
				o.Keys = keys
				return storetest.Reopen(t, o)
			}
			write := func(s *models.Store, n int) {
				t.Helper()
				email := "ayse@shop.example"
				id := thread(t, s, n).ID
				if _, err := s.UpdateThread(t.Context(), id, models.ThreadPatch{Email: &email}); err != nil {
					t.Fatal(err)
				}
				say(t, s, id, "x")
			}
			write(with(oldKey), 1)
			both := with(newKey, oldKey)
			write(both, 2)
			found := func(s *models.Store) {
				t.Helper()
				if p, err := s.Person(t.Context(), readThread(t, s, threadID(2))); err != nil || len(p.Earlier) != 1 {
					t.Errorf("%+v, %v", p, err)
				}
			}
			found(both)
			if _, err := storetest.Rekey(t, both); err != nil {
				t.Fatal(err)
			}
			found(with(newKey))
		})
	}
}

func TestThreadDetails(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		id := threadID(1)
		if _, err := s.CreateThread(t.Context(), models.NewThread{ID: id, Browser: "Firefox 140", Platform: "Android"}); err != nil {
			t.Fatal(err)
		}
		opened := post(t, s, models.NewMessage{ThreadID: threadID(2), SenderType: models.Visitor, ContentText: "x",
			OpenThread: &models.NewThread{Browser: "Safari 18", Platform: "iOS"}})
		if opened.Thread.Browser != "Safari 18" || readThread(t, s, threadID(2)).Platform != "iOS" {
			t.Errorf("%+v", opened.Thread)
		}
		title, email, comment, browser, rating := "Ödeme", "a@b.example", "iyi", "Chrome 140", int64(4)
		patch := models.ThreadPatch{PageTitle: &title, Email: &email, RatingComment: &comment, Browser: &browser, Rating: &rating}
		got, err := s.UpdateThread(t.Context(), id, patch)
		models.FlushCache(s)
		for _, th := range []models.Thread{got, readThread(t, s, id)} {
			if err != nil || th.PageTitle != title || th.Email != email || th.RatingComment != comment || th.Browser != browser || th.Platform != "Android" || th.Rating != 4 {
				t.Errorf("%+v, %v", th, err)
			}
		}
		if *patch.Email != email {
			t.Error("the caller's patch was changed")
		}
		bad, long := int64(6), repeat("x", 301)
		for field, p := range map[string]models.ThreadPatch{"rating": {Rating: &bad}, "page_title": {PageTitle: &long}} {
			if _, err := s.UpdateThread(t.Context(), id, p); err == nil || !strings.Contains(err.Error(), field) {
				t.Errorf("%s: %v", field, err)
			}
		}
	})
}
