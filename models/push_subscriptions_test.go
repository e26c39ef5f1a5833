package models_test

import (
	"strings"
	"testing"
	"time"

	"sohbet/models"
	"sohbet/models/storetest"
)

func TestPushSubscriptions(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		now := time.Now()
		save := func(endpoint, session string, expires time.Time) {
			t.Helper()
			err := s.SavePush(t.Context(), models.PushSubscription{Locale: "tr", SessionID: session, ExpiresAt: expires,
				PushAddress: models.PushAddress{Endpoint: "https://push.example/" + endpoint, P256DH: "p-" + endpoint, Auth: "a", Contact: "https://chat.example"}})
			if err != nil {
				t.Fatal(err)
			}
		}
		holds := func(what, want string) {
			t.Helper()
			list, err := s.PushSubscriptions(t.Context(), now)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, p := range list {
				if p.P256DH != "p-"+strings.TrimPrefix(p.Endpoint, "https://push.example/") || p.Contact != "https://chat.example" {
					t.Errorf("%+v", p)
				}
				got = append(got, p.Endpoint[len("https://push.example/"):]+"/"+p.SessionID)
			}
			if strings.Join(got, " ") != want {
				t.Errorf("%s: %v, want %s", what, got, want)
			}
		}
		save("one", "s1", now.Add(time.Hour))
		save("two", "s2", now.Add(time.Hour))
		save("three", "s2", now.Add(time.Hour))
		save("over", "s3", now.Add(-time.Hour))
		save("one", "s4", now.Add(time.Hour)) // after signing in again
		holds("saved", "one/s4 two/s2 three/s2")
		for _, secret := range []string{"push.example", "p-one"} {
			var found int
			if err := storetest.Raw(t, s).QueryRow("SELECT count(*) FROM push_subscriptions WHERE sealed LIKE '%" + secret + "%'").Scan(&found); err != nil || found != 0 {
				t.Errorf("%s is readable in %d rows, %v", secret, found, err)
			}
		}
		if err := s.TrimPush(t.Context(), now); err != nil || countRows(t, s, "push_subscriptions") != 3 {
			t.Errorf("%d after trimming, %v", countRows(t, s, "push_subscriptions"), err)
		}
		if err := s.EndSession(t.Context(), "s2", now.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		holds("after signing out", "one/s4")
		if err := s.DropPush(t.Context(), "https://push.example/one"); err != nil {
			t.Fatal(err)
		}
		if err := s.DropPush(t.Context(), "https://push.example/one"); err != nil {
			t.Errorf("one that is gone: %v", err)
		}
		holds("after unsubscribing", "")
		save("four", "s5", now.Add(time.Hour))
		if err := s.EndAllSessions(t.Context()); err != nil || countRows(t, s, "push_subscriptions") != 0 {
			t.Errorf("after all sessions ended: %d, %v", countRows(t, s, "push_subscriptions"), err)
		}
		for i := range 203 {
			save(itoa(int64(i)), "s", now.Add(time.Hour))
		}
		if n := countRows(t, s, "push_subscriptions"); n != 200 {
			t.Errorf("%d subscriptions", n)
		}
	})
}

// Browsers subscribe with this key; replacing it would invalidate all subscriptions.
func TestServerKeyStays(t *testing.T) {
	for _, dialect := range storetest.Dialects {
		t.Run(dialect, func(t *testing.T) {
			o := storetest.Options(t, dialect)
			with := func(keys ...string) *models.Store {
				o.Keys = keys
				return storetest.Reopen(t, o)
			}
			old, dir := with(oldKey), t.TempDir()
			made := 0
			generate := func() (string, string, error) { made++; return "the private half", "public " + itoa(int64(made)), nil }
			private, public, err := old.ServerKey(t.Context(), "vapid", generate)
			if err != nil || private != "the private half" || public != "public 1" {
				t.Fatalf("%q, %q, %v", private, public, err)
			}
			var sealed string
			if err := storetest.Raw(t, old).QueryRow("SELECT private_seal FROM server_keys WHERE name = 'vapid'").Scan(&sealed); err != nil || strings.Contains(sealed, "private") {
				t.Errorf("stored as %q, %v", sealed, err)
			}
			if _, err := storetest.Rekey(t, with(newKey, oldKey)); err != nil {
				t.Fatal(err)
			}
			fresh := with(newKey)
			if private, public, err := fresh.ServerKey(t.Context(), "vapid", generate); err != nil || private != "the private half" || public != "public 1" || made != 1 {
				t.Errorf("after a change of keys: %q, %q, %d made, %v", private, public, made, err)
			}
			o.MissingKeys = models.IgnoreMissingKeys
			if _, _, err := with(oldKey).ServerKey(t.Context(), "vapid", generate); err == nil || !strings.Contains(err.Error(), "SECRET_KEY") {
				t.Errorf("without the key: %v", err)
			}
			if err := fresh.Dump(t.Context(), dir, func(string) {}); err != nil {
				t.Fatal(err)
			}
			elsewhere := storetest.Options(t, dialect)
			elsewhere.Keys = []string{newKey}
			restored := storetest.Reopen(t, elsewhere)
			if err := restored.Load(t.Context(), dir, models.LoadOptions{}); err != nil {
				t.Fatal(err)
			}
			if _, public, err := restored.ServerKey(t.Context(), "vapid", generate); err != nil || public != "public 1" {
				t.Errorf("restored: %q, %v", public, err)
			}
		})
	}
}
