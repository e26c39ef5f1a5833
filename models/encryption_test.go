package models_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"sohbet/models"
	"sohbet/models/encryption"
	"sohbet/models/storetest"
)

const (
	oldKey = "an old secret of 32 characters or"
	newKey = "a new secret of 32 characters or m"
)

func TestTextsAreNotReadableInTheDatabase(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		th := thread(t, s, 1)
		said := say(t, s, th.ID, "a plain secret")
		long := say(t, s, th.ID, "long "+repeat("secret ş", 300))
		var stored, preview string
		row := storetest.Raw(t, s).QueryRow("SELECT content_text FROM messages WHERE id = " + itoa(said.Message.ID))
		if err := row.Scan(&stored); err != nil {
			t.Fatal(err)
		}
		if err := storetest.Raw(t, s).QueryRow("SELECT last_message FROM threads").Scan(&preview); err != nil {
			t.Fatal(err)
		}
		cipher, err := encryption.NewCipher([]string{storetest.Key}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := cipher.Open(stored); !ok || got != "a plain secret" || strings.Contains(stored, "secret") {
			t.Errorf("stored as %.20s, which opens as %q, %v", stored, got, ok)
		}
		want := string([]rune(long.Message.ContentText)[:models.LastMessageRunes])
		if got, ok := cipher.Open(preview); !ok || got != want || long.Thread.LastMessage != want {
			t.Errorf("the preview %.20s opens as %q, %v", preview, got, ok)
		}
		if again := say(t, s, th.ID, "a plain secret"); again.Message.ContentText != said.Message.ContentText {
			t.Error("the callback got a different text")
		}
		models.FlushCache(s)
		list, _, err := s.Messages(t.Context(), th.ID, models.MessageQuery{})
		if err != nil || len(list) != 3 || list[1].ContentText != long.Message.ContentText || list[2].ContentText != "a plain secret" {
			t.Errorf("read back: %.200v, %v", texts(list), err)
		}
		if s.Dialect() == "sqlite" {
			if found := storetest.FileWith(t, s, "plain secret"); found != "" {
				t.Errorf("%s holds the text", found)
			}
		}
	})
}

// A preview that no message of the batch replaces must be decrypted wherever a thread is returned.
func TestPreviewsComeBackReadable(t *testing.T) {
	for _, dialect := range storetest.Dialects {
		t.Run(dialect, func(t *testing.T) {
			o := storetest.Options(t, dialect)
			s := storetest.Reopen(t, o)
			th := thread(t, s, 1)
			first := post(t, s, models.NewMessage{ThreadID: th.ID, ClientID: "c", ContentText: "hello", SenderType: models.Visitor})
			check := func(what, got string) {
				t.Helper()
				if got != "hello" {
					t.Errorf("%s: %.40q", what, got)
				}
			}
			again := post(t, s, models.NewMessage{ThreadID: th.ID, ClientID: "c", ContentText: "other", SenderType: models.Visitor})
			check("a repeated message", again.Message.ContentText)
			check("its thread", again.Thread.LastMessage)
			if _, _, err := s.MarkRead(t.Context(), th.ID, models.Admin, first.Message.ID); err != nil {
				t.Fatal(err)
			}
			check("after a read mark", readThread(t, s, th.ID).LastMessage)
			name := "Ada"
			patched, err := s.UpdateThread(t.Context(), th.ID, models.ThreadPatch{DisplayName: &name})
			if err != nil {
				t.Fatal(err)
			}
			check("after a patch", patched.LastMessage)
			fresh := storetest.Reopen(t, o)
			check("another process", readThread(t, fresh, th.ID).LastMessage)
			list, err := fresh.Threads(t.Context(), models.ThreadQuery{})
			if err != nil || len(list) != 1 {
				t.Fatalf("%d threads, %v", len(list), err)
			}
			check("the list", list[0].LastMessage)
			one, err := fresh.Message(t.Context(), first.Message.ID)
			if err != nil {
				t.Fatal(err)
			}
			check("one message", one.ContentText)
			page, _, err := fresh.MessagePage(t.Context(), th.ID, 1, 10)
			if err != nil || len(page) != 1 {
				t.Fatalf("%d messages, %v", len(page), err)
			}
			check("a page", page[0].ContentText)
		})
	}
}

func TestLostKeyShowsAndIsLoggedOnce(t *testing.T) {
	for _, dialect := range storetest.Dialects {
		t.Run(dialect, func(t *testing.T) {
			o := storetest.Options(t, dialect)
			o.Keys = []string{oldKey}
			s := storetest.Reopen(t, o)
			th := thread(t, s, 1)
			lost := say(t, s, th.ID, "written with the old key").Message
			var log bytes.Buffer
			o.Keys, o.CacheTTL, o.MissingKeys = []string{newKey}, 0, models.AcceptMissingKeys
			o.Logger = slog.New(slog.NewTextHandler(&log, nil))
			s = storetest.Reopen(t, o)
			for range 3 {
				list, _, err := s.Messages(t.Context(), th.ID, models.MessageQuery{})
				if err != nil || len(list) != 1 || list[0].ContentText != encryption.Unreadable {
					t.Fatalf("%v, %v", texts(list), err)
				}
				if got := readThread(t, s, th.ID).LastMessage; got != encryption.Unreadable {
					t.Fatalf("preview %q", got)
				}
			}
			if n := strings.Count(log.String(), "cannot be decrypted"); n != 1 || !strings.Contains(log.String(), fmt.Sprintf("message_id=%d", lost.ID)) {
				t.Errorf("logged %d times: %s", n, log.String())
			}
			say(t, s, th.ID, "and on it goes")
			if got := readThread(t, s, th.ID); got.LastMessage != "and on it goes" || got.MessageCount != 2 {
				t.Errorf("%q, %d", got.LastMessage, got.MessageCount)
			}
			fill(t, s, th.ID, 299)
			o.Keys = []string{oldKey} // 301 rows that this key does not decrypt
			s = storetest.Reopen(t, o)
			log.Reset()
			if _, _, err := s.Messages(t.Context(), th.ID, models.MessageQuery{Limit: 1000}); err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(log.String(), "\n"); n != 101 {
				t.Errorf("%d lines for a lost key", n)
			}
		})
	}
}

func TestNoKeyNoStore(t *testing.T) {
	o := storetest.Options(t, "sqlite")
	o.Keys = nil
	if s, err := models.Open(t.Context(), o); err == nil {
		t.Fatalf("opened: %v", s.Close())
	}
}
