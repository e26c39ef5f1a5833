package models_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/fernet/fernet-go"

	"sohbet/models"
	"sohbet/models/storetest"
)

const (
	oldKey = "an old secret of 32 characters or"
	newKey = "a new secret of 32 characters or m"
)

// The example of the Fernet specification, generate.json of github.com/fernet/spec.
func TestTokensAreFernet(t *testing.T) {
	key, err := fernet.DecodeKey("cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=")
	if err != nil {
		t.Fatal(err)
	}
	const token = "gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64jVmpU4IwqDA=="
	if got, ok := models.OpenWith(key, token); !ok || got != "hello" {
		t.Fatalf("%q, %v", got, ok)
	}
	if got, ok := models.OpenWith(key, token[:len(token)-8]+"AAAAAA=="); ok {
		t.Fatalf("a forged token gave %q", got)
	}
}

// Generated with Python: HKDF(SHA256, 32, salt=None, info=b"sohbet message text") of the secret as the key of
// cryptography.fernet.Fernet. If this test fails, existing installations can no longer decrypt their data.
func TestDerivationIsFixed(t *testing.T) {
	const secret, token, text = "0123456789abcdef0123456789abcdef", "gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0OD2fqfirU3D2PXlAIpHAefrWzIEx_uzateVP_9UGbMFbKv91pkW4rIVCXu5tdu8tQW8GW6LOsai3YwYA3i1ptK4U=", "Merhaba, sipariş nerede?"
	key := models.TextKey(t, secret)
	if got := key.Encode(); got != "9izlzGUVUtSUJJKq8HCeNlcvyT2VCRtT02GvJTpqLsk=" {
		t.Errorf("key %s", got)
	}
	if got, ok := models.OpenWith(key, token); !ok || got != text {
		t.Errorf("%q, %v", got, ok)
	}
}

func TestTextsAreNotReadableInTheDatabase(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		th := thread(t, s, 1)
		said := say(t, s, th.ID, "a plain secret")
		long := say(t, s, th.ID, "long "+repeat("secret ş", 300))
		var stored, preview string
		row := models.Raw(t, s).QueryRow("SELECT content_text FROM messages WHERE id = " + itoa(said.Message.ID))
		if err := row.Scan(&stored); err != nil {
			t.Fatal(err)
		}
		if err := models.Raw(t, s).QueryRow("SELECT last_message FROM threads").Scan(&preview); err != nil {
			t.Fatal(err)
		}
		key := models.TextKey(t, storetest.Key)
		if got, ok := models.OpenWith(key, stored); !ok || got != "a plain secret" || strings.Contains(stored, "secret") {
			t.Errorf("stored as %.20s, which opens as %q, %v", stored, got, ok)
		}
		want := string([]rune(long.Message.ContentText)[:models.LastMessageRunes])
		if got, ok := models.OpenWith(key, preview); !ok || got != want || long.Thread.LastMessage != want {
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
			if found := grepFolder(t, s, "plain secret"); found != "" {
				t.Errorf("%s holds the text", found)
			}
		}
	})
}

// grepFolder returns the first file in the database's folder that contains a text.
func grepFolder(t *testing.T, s *models.Store, text string) string {
	t.Helper()
	var path string
	if err := models.Raw(t, s).QueryRow("SELECT file FROM pragma_database_list WHERE name = 'main'").Scan(&path); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil { // also checkpoints the write-ahead log
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Dir(path) + "/*")
	if err != nil || len(files) == 0 {
		t.Fatalf("files %v, %v", files, err)
	}
	for _, f := range files {
		all, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(all, []byte(text)) {
			return f
		}
	}
	return ""
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
			if _, err := s.MarkRead(t.Context(), th.ID, models.Admin, first.Message.ID); err != nil {
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
			o.Keys, o.CacheTTL = []string{newKey}, 0
			o.Logger = slog.New(slog.NewTextHandler(&log, nil))
			s = storetest.Reopen(t, o)
			for range 3 {
				list, _, err := s.Messages(t.Context(), th.ID, models.MessageQuery{})
				if err != nil || len(list) != 1 || list[0].ContentText != models.Unreadable {
					t.Fatalf("%v, %v", texts(list), err)
				}
				if got := readThread(t, s, th.ID).LastMessage; got != models.Unreadable {
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
			for range 300 {
				say(t, s, th.ID, "x")
			}
			log.Reset()
			o.Keys = []string{oldKey} // 301 rows that this key does not decrypt
			s = storetest.Reopen(t, o)
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

// A key rotation as an operator performs it: the server restarts with both keys, rekey runs while messages are written, the old key is
// removed.
func TestRekeyWhileWriting(t *testing.T) {
	for _, dialect := range storetest.Dialects {
		t.Run(dialect, func(t *testing.T) {
			o := storetest.Options(t, dialect)
			with := func(keys ...string) *models.Store {
				o.Keys = keys
				return storetest.Reopen(t, o)
			}
			old := with(oldKey)
			for i := range 4 {
				thread(t, old, i)
			}
			fill(t, old, threadID(0), 700)
			say(t, old, threadID(1), repeat("ş", 300))
			say(t, old, threadID(3), "nobody answers")
			lost := say(t, with("a key that was lost, of 32+ characters"), threadID(2), "lost")

			both := with(newKey, oldKey)
			if got := readThread(t, both, threadID(3)).LastMessage; got != "nobody answers" {
				t.Fatalf("with both keys: %q", got)
			}
			var stop atomic.Bool
			wrote := make(chan int)
			go func() {
				n := 0
				for ; !stop.Load(); n++ {
					_, err := both.AppendWait(t.Context(), models.NewMessage{ThreadID: threadID(n % 2), ContentText: "meanwhile", SenderType: models.Visitor})
					if err != nil {
						t.Error(err)
						break
					}
				}
				wrote <- n
			}()
			sum, err := with(newKey, oldKey).Rekey(t.Context())
			stop.Store(true)
			n := <-wrote
			// Previews that the writer replaced earlier needed no re-encryption.
			if err != nil || sum.Rewritten < 703 || sum.Rewritten > 705 || sum.Unreadable != 2 || n == 0 {
				t.Fatalf("%+v with %d messages meanwhile, %v", sum, n, err)
			}
			fresh := with(newKey)
			for i := range 4 {
				list, _, err := fresh.Messages(t.Context(), threadID(i), models.MessageQuery{Limit: 1000})
				if err != nil || len(list) == 0 {
					t.Fatalf("%d messages, %v", len(list), err)
				}
				for _, m := range list {
					if (m.ContentText == models.Unreadable) != (m.ID == lost.Message.ID) {
						t.Fatalf("thread %d, message %d of %d reads %q", i, m.ID, len(list), m.ContentText)
					}
				}
				if got := readThread(t, fresh, threadID(i)).LastMessage; (got == models.Unreadable) != (i == 2) {
					t.Errorf("preview %d reads %q", i, got)
				}
			}
			if sum, err = fresh.Rekey(t.Context()); err != nil || sum.Rewritten != 0 || sum.Checked < 700 || sum.Unreadable != 2 {
				t.Errorf("a second time: %+v, %v", sum, err)
			}
		})
	}
}
