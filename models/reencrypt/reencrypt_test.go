package reencrypt_test

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sohbet/models"
	"sohbet/models/encryption"
	"sohbet/models/storetest"
)

const (
	oldKey = "an old secret of 32 characters or"
	newKey = "a new secret of 32 characters or m"
)

func threadID(n int) string { return fmt.Sprintf("thread-%04d", n) }

func readThread(t *testing.T, s *models.Store, id string) models.Thread {
	t.Helper()
	th, err := s.Thread(t.Context(), id)
	if err != nil {
		t.Fatalf("read a thread: %v", err)
	}
	return th
}

// say appends a visitor's message, opening the thread if needed.
func say(t *testing.T, s *models.Store, threadID, text string) models.Appended {
	t.Helper()
	res, err := s.AppendWait(t.Context(), models.NewMessage{ThreadID: threadID, ContentText: text, SenderType: models.Visitor, OpenThread: &models.NewThread{}})
	if err != nil {
		t.Fatalf("append: %v", err)
	}
	return res
}

// appendAll appends messages without waiting for each.
func appendAll(t *testing.T, s *models.Store, messages []models.NewMessage) {
	t.Helper()
	for _, m := range messages {
		if err := s.Append(t.Context(), m, func(_ models.Appended, err error) {
			if err != nil {
				t.Error(err)
			}
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// Agents are found and sign in after the key that they were stored with was removed.
func TestRekeyOfAgents(t *testing.T) {
	for _, dialect := range storetest.Dialects {
		t.Run(dialect, func(t *testing.T) {
			o := storetest.Options(t, dialect)
			o.Keys = []string{oldKey}
			s := storetest.Reopen(t, o)
			say(t, s, threadID(0), "hi") // a database with texts refuses other keys
			if _, err := s.SetOwner(t.Context(), "admin", "first hash", func(string) bool { return false }); err != nil {
				t.Fatal(err)
			}
			ada, err := s.AddAgent(t.Context(), models.Agent{Name: "Ada", Email: "ada@example.com", Role: models.RoleAgent, PasswordHash: "second hash"})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.AddPasskey(t.Context(), models.Passkey{AgentID: ada.ID, Handle: "handle", Name: "phone", Credential: "public key"}); err != nil {
				t.Fatal(err)
			}
			at := s.Now()
			session := models.Session{ID: "s", AgentID: models.AgentID(ada.ID), StartedAt: &at, SeenAt: at, ExpiresAt: at.Add(time.Hour), SessionClient: models.SessionClient{Browser: "Firefox"}}
			if err := s.StartSession(t.Context(), session); err != nil {
				t.Fatal(err)
			}
			code, _, err := s.TelegramCode(t.Context(), 1)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.LinkTelegram(t.Context(), code, 5550001); err != nil {
				t.Fatal(err)
			}
			if err := s.AddAudit(t.Context(), []models.AuditEntry{{Event: "sign_in", Outcome: "ok", Actor: "Ada", Address: "192.0.2.1"}}); err != nil {
				t.Fatal(err)
			}
			want := s.Agents()
			o.Keys = []string{newKey, oldKey}
			s = storetest.Reopen(t, o)
			if got := s.Agents(); !slices.Equal(got, want) {
				t.Errorf("with both keys %+v, want %+v", got, want)
			}
			if _, err := storetest.Rekey(t, s); err != nil {
				t.Fatal(err)
			}
			o.Keys = []string{newKey}
			s = storetest.Reopen(t, o)
			if got := s.Agents(); !slices.Equal(got, want) {
				t.Errorf("after rekey %+v, want %+v", got, want)
			}
			if got, err := s.PasskeysOf(t.Context(), ada.ID); err != nil || len(got) != 1 || got[0].Name != "phone" || got[0].Credential != "public key" {
				t.Errorf("passkeys after rekey: %+v, %v", got, err)
			}
			if got, err := s.Sessions(t.Context(), ada); err != nil || len(got) != 1 || got[0].Browser != "Firefox" {
				t.Errorf("sessions after rekey: %+v, %v", got, err)
			}
			if log, err := s.AuditEntries(t.Context(), models.AuditQuery{Limit: 1}); err != nil || len(log) != 1 || log[0].Actor != "Ada" || log[0].Address != "192.0.2.1" {
				t.Errorf("after rekey %+v, %v", log, err)
			}
		})
	}
}

// A key rotation as an operator performs it: the server restarts with both keys, rekey runs while messages are written, the old key is
// removed.
func TestRekeyWhileWriting(t *testing.T) {
	const rows = 310 // more than one transaction
	for _, dialect := range storetest.Dialects {
		t.Run(dialect, func(t *testing.T) {
			o := storetest.Options(t, dialect)
			o.MissingKeys = models.AcceptMissingKeys
			open := func(keys ...string) *models.Store {
				o.Keys = keys
				return storetest.Reopen(t, o)
			}
			old := open(oldKey)
			messages := make([]models.NewMessage, rows)
			for i := range messages {
				messages[i] = models.NewMessage{ThreadID: threadID(0), ContentText: fmt.Sprint(i), SenderType: models.Visitor, OpenThread: &models.NewThread{}}
			}
			appendAll(t, old, messages)
			say(t, old, threadID(1), strings.Repeat("ş", 300))
			say(t, old, threadID(3), "still waiting")
			lost := say(t, open("a key that was lost, of 32+ characters"), threadID(2), "lost")

			both := open(newKey, oldKey)
			if got := readThread(t, both, threadID(3)).LastMessage; got != "still waiting" {
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
			sum, err := storetest.Rekey(t, open(newKey, oldKey))
			stop.Store(true)
			n := <-wrote
			// Previews that the writer replaced earlier needed no re-encryption.
			if err != nil || sum.Rewritten < rows+3 || sum.Rewritten > rows+5 || sum.Unreadable != 2 || n == 0 {
				t.Fatalf("%+v with %d messages meanwhile, %v", sum, n, err)
			}
			fresh := open(newKey)
			for i := range 4 {
				list, _, err := fresh.Messages(t.Context(), threadID(i), models.MessageQuery{Limit: 1000})
				if err != nil || len(list) == 0 {
					t.Fatalf("%d messages, %v", len(list), err)
				}
				for _, m := range list {
					if (m.ContentText == encryption.Unreadable) != (m.ID == lost.Message.ID) {
						t.Fatalf("thread %d, message %d of %d reads %q", i, m.ID, len(list), m.ContentText)
					}
				}
				if got := readThread(t, fresh, threadID(i)).LastMessage; (got == encryption.Unreadable) != (i == 2) {
					t.Errorf("preview %d reads %q", i, got)
				}
			}
			if sum, err = storetest.Rekey(t, fresh); err != nil || sum.Rewritten != 0 || sum.Checked < rows || sum.Unreadable != 2 {
				t.Errorf("a second time: %+v, %v", sum, err)
			}
		})
	}
}
