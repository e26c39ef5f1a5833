package chat_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"sohbet/models"
	"sohbet/models/storetest"
	"sohbet/server/apperr"
	"sohbet/server/broker"
	"sohbet/server/chat"
	"sohbet/server/chat/chattest"
)

const identitySecret = "a secret that only the site and this server know"

func signed(id string) *chat.SignedIdentity {
	h := hmac.New(sha256.New, []byte(identitySecret))
	h.Write([]byte(id))
	return &chat.SignedIdentity{ID: id, Hash: hex.EncodeToString(h.Sum(nil))}
}

// The signature must be reproducible in other languages, as with openssl dgst -sha256 -hmac.
func TestSignatureIsPlainHMAC(t *testing.T) {
	if got := signed("42").Hash; got != "e0867c0e26492112edcb590fdb2cf481f3ce6011ecf0e889a047ac2936b6b6dd" {
		t.Errorf("%s", got)
	}
}

func TestIdentity(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		h := &chattest.Recorder{}
		w := env{chat.New(chat.Options{
			Store: s, Publisher: h, Presence: &broker.Memory{}, Topics: &broker.Memory{}, Messages: &allow{left: 99}, NewThreads: &allow{left: 99}, OfflineAfter: grace, Identity: identitySecret,
		}), h, s}
		join := func(socket string, r chat.JoinRequest) (chat.Actor, chat.Joined) {
			t.Helper()
			v := visitorAt(socket)
			j, err := w.Join(t.Context(), v, r)
			if err != nil || !v.Threads.Has(j.ThreadID) || len(v.Threads.All()) != 1 {
				t.Fatalf("%+v, %v, joined %v", j, err, v.Threads.All())
			}
			return v, j
		}
		ayse := signed("user-42")
		phone, first := join("phone", chat.JoinRequest{Identity: ayse, Profile: chat.Profile{DisplayName: "Ayşe", Email: "ayse@shop.example"}})
		if first.Resumed {
			t.Error("a first visit")
		}
		w.post(t, phone, first.ThreadID, "from the phone")
		f, err := w.VisitorDetails(t.Context(), agent, first.ThreadID)
		if err != nil || f.Identity == nil || *f.Identity != (chat.Identity{ID: "user-42", Verified: true}) || f.Email != "ayse@shop.example" {
			t.Errorf("%+v, %v", f, err)
		}
		// Every device gets the same conversation, and the profile from the site is stored.
		_, again := join("desk", chat.JoinRequest{Identity: ayse, Profile: chat.Profile{DisplayName: "Ayşe Y.", PhoneNumber: "+90 555"}})
		if !again.Resumed || again.ThreadID != first.ThreadID {
			t.Errorf("%+v", again)
		}
		if f, err := w.VisitorDetails(t.Context(), agent, first.ThreadID); err != nil || f.DisplayName != "Ayşe Y." || f.PhoneNumber != "+90 555" || f.Email != "ayse@shop.example" {
			t.Errorf("%+v, %v", f, err)
		}
		// The hex may be upper case.
		upper := *ayse
		upper.Hash = strings.ToUpper(upper.Hash)
		if _, j := join("upper", chat.JoinRequest{Identity: &upper}); j.ThreadID != first.ThreadID {
			t.Errorf("%+v", j)
		}
		// So does a browser that has the id of a deleted thread.
		if _, j := join("old", chat.JoinRequest{Identity: ayse, ThreadID: "33333333-3333-4333-8333-333333333333"}); j.ThreadID != first.ThreadID {
			t.Errorf("%+v", j)
		}

		// Another identified user in the same browser does not get the thread.
		_, other := join("desk2", chat.JoinRequest{Identity: signed("user-43"), ThreadID: first.ThreadID, Profile: chat.Profile{DisplayName: "Veli"}})
		if other.Resumed || other.ThreadID == first.ThreadID {
			t.Errorf("%+v", other)
		}

		// A visitor who wrote before signing in keeps the thread.
		guest := visitorAt("guest")
		id := w.join(t, guest, "Can")
		w.post(t, guest, id, "anonymous")
		if _, j := join("guest2", chat.JoinRequest{Identity: signed("user-44"), ThreadID: id}); !j.Resumed || j.ThreadID != id {
			t.Errorf("%+v", j)
		}
		if _, j := join("guest3", chat.JoinRequest{Identity: signed("user-44")}); j.ThreadID != id {
			t.Errorf("%+v", j)
		}

		// Without a signed identity the e-mail address is ignored.
		_, plain := join("plain", chat.JoinRequest{Profile: chat.Profile{DisplayName: "Nur", Email: "ayse@shop.example"}})
		if f, err := w.VisitorDetails(t.Context(), agent, plain.ThreadID); err != nil || f.Email != "" || f.Identity != nil {
			t.Errorf("%+v, %v", f, err)
		}

		w.take(t)
		refused := func(w env, what string, i *chat.SignedIdentity) {
			t.Helper()
			v := visitorAt("x")
			_, err := w.Join(t.Context(), v, chat.JoinRequest{Identity: i, ThreadID: first.ThreadID, Profile: chat.Profile{DisplayName: "x"}})
			if code(err) != apperr.CodeValidation || chat.Public(err).Field != "identity" || len(v.Threads.All()) != 0 {
				t.Errorf("%s: %v, joined %v", what, err, v.Threads.All())
			}
		}
		for what, bad := range map[string]*chat.SignedIdentity{
			"another's hash": {ID: "user-43", Hash: ayse.Hash}, "no hash": {ID: "user-42"}, "no id": signed(""),
			"a long id": signed(strings.Repeat("x", 129)), "NUL": signed("a\x00b"), "broken": signed("a\xff"),
		} {
			refused(w, what, bad)
		}
		refused(newEnv(s, 9, 9), "no secret set", ayse)
		if h := w.take(t); len(h) != 0 {
			t.Errorf("refused calls published %+v", h)
		}

		if err := w.Block(t.Context(), agent, first.ThreadID, false); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Join(t.Context(), visitorAt("b"), chat.JoinRequest{Identity: ayse}); code(err) != apperr.CodeBlocked {
			t.Errorf("a blocked visitor on another device: %v", err)
		}
	})
}

// Profile values from the embedding site are shortened or removed if they cannot be stored: the user could not correct them.
func TestFactsOfTheSiteAreFitted(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		w := env{chat.New(chat.Options{
			Store: s, Publisher: &chattest.Recorder{}, Presence: &broker.Memory{}, Topics: &broker.Memory{}, Messages: &allow{left: 99}, NewThreads: &allow{left: 99}, OfflineAfter: grace, Identity: identitySecret,
		}), nil, s}
		long := chat.Profile{DisplayName: "A\x00 " + strings.Repeat("ş", 200), PhoneNumber: "+90 555 111 22 33 dahili 44", Email: "yok"}
		v := visitorAt("shop")
		j, err := w.Join(t.Context(), v, chat.JoinRequest{Identity: signed("7"), Profile: long})
		if err != nil {
			t.Fatal(err)
		}
		f, err := w.VisitorDetails(t.Context(), agent, j.ThreadID)
		if want := "A " + strings.Repeat("ş", 98); err != nil || f.DisplayName != want || f.PhoneNumber != "" || f.Email != "" {
			t.Errorf("%q %q %q, %v", f.DisplayName, f.PhoneNumber, f.Email, err)
		}
		// On a later join, invalid values do not overwrite stored ones.
		good := chat.Profile{DisplayName: "Ayşe", PhoneNumber: "+90 555", Email: "ayse@shop.example"}
		for _, p := range []chat.Profile{good, {DisplayName: "Ayşe", PhoneNumber: long.PhoneNumber, Email: long.Email}} {
			if _, err := w.Join(t.Context(), visitorAt("again"), chat.JoinRequest{Identity: signed("7"), Profile: p}); err != nil {
				t.Fatal(err)
			}
		}
		if f, err = w.VisitorDetails(t.Context(), agent, j.ThreadID); err != nil || f.DisplayName != "Ayşe" || f.PhoneNumber != "+90 555" || f.Email != "ayse@shop.example" {
			t.Errorf("%q %q %q, %v", f.DisplayName, f.PhoneNumber, f.Email, err)
		}
		// Values typed by the visitor are rejected with an error.
		long.Email = ""
		if _, err := w.Join(t.Context(), visitorAt("typed"), chat.JoinRequest{Profile: long}); code(err) != apperr.CodeValidation {
			t.Errorf("typed: %v", err)
		}
	})
}
