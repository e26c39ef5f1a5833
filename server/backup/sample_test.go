package backup_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"sohbet/models"
	"sohbet/models/storetest"
)

// sample is what every archive holds; TestWriteArchives writes it.
const (
	sampleUpload = "images/abcdefghijklmnopqrstuvwxyz.png"
	sampleEmail  = "ada@example.com"
	sampleFirst  = "Merhaba, sipariş nerede?\n\t\\ \"1\""
)

var sampleMessages = []struct{ thread, name, sender, text string }{
	{"waiting", "Ayşe Yılmaz", "visitor", sampleFirst},
	{"waiting", "Ayşe Yılmaz", "visitor", "Orada kimse var mı?"},
	{"answered", "Bob", "visitor", "Do you ship to Oslo?"},
	{"answered", "Bob", "admin", "Yes, we do."},
	{"again", "Çiğdem", "visitor", "hi"},
	{"again", "Çiğdem", "telegram", "hello"},
	{"again", "Çiğdem", "visitor", "one more thing 🙂"},
	{"closed", "Dora", "visitor", "thanks, bye"},
	{"nameless", "Visitor", "visitor", "who am I"}, // was invisible in versions that accepted such names
	{"picture", "Eve", "visitor", ""},
}

// sampleTime is when the i-th message was written.
func sampleTime(i int) time.Time {
	return time.Date(2026, 11, 20, 9, 31+i, 0, 123_000_000, time.UTC)
}

func writeSample(t *testing.T, p place) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	p.upload(t, sampleUpload, "picture")
	_, err := p.AddUpload(t.Context(), models.Upload{URL: "/uploads/" + sampleUpload, Kind: "image", Type: "image/png", Name: "tür.png", Size: 7,
		Width: 1, Height: 1, Place: "local", Path: sampleUpload})
	must(err)
	_, err = p.SetOwner(t.Context(), "admin", "owner's hash", func(string) bool { return false })
	must(err)
	ada, err := p.AddAgent(t.Context(), models.Agent{Name: "Ada", Email: sampleEmail, Role: models.RoleAgent, PasswordHash: "hash"})
	must(err)
	ids := make(map[string]int64)
	for i, m := range sampleMessages {
		n := models.NewMessage{ThreadID: m.thread, ContentText: m.text, SenderType: m.sender, CreatedAt: sampleTime(i),
			OpenThread: &models.NewThread{ID: m.thread, DisplayName: m.name, PhoneNumber: "0555 12", PageURL: "https://shop.example/" + m.thread, Locale: "en"}}
		if m.sender == "admin" {
			n.AgentID = models.AgentID(ada.ID)
		}
		if m.text == "" {
			n.ContentType, n.FileURL = "image", "/uploads/"+sampleUpload
		}
		r, err := p.AppendWait(t.Context(), n)
		must(err)
		ids[m.text] = r.Message.ID
	}
	closed, email := models.StatusClosed, "bob@example.com"
	_, err = p.UpdateThread(t.Context(), "closed", models.ThreadPatch{Status: &closed})
	must(err)
	_, err = p.UpdateThread(t.Context(), "answered", models.ThreadPatch{Email: &email})
	must(err)
	_, _, err = p.AddNote(t.Context(), models.Note{ThreadID: "answered", ContentText: "asks twice", Author: "Ada", AgentID: models.AgentID(ada.ID)})
	must(err)
	_, err = p.SaveCanned(t.Context(), models.CannedReply{Shortcut: "ship", ContentText: "We ship."})
	must(err)
	_, _, err = p.ServerKey(t.Context(), "vapid", func() (string, string, error) { return "private", "public", nil })
	must(err)
	must(p.SetSetting(t.Context(), "refused_origin", "{}"))
	_, err = p.UpdateAgent(t.Context(), ada.ID, models.AgentPatch{Away: new(true)})
	must(err)
	_, err = p.SetAgentPicture(t.Context(), ada.ID, "/agents/pictures/ada.jpg", []byte("picture\x00of Ada"))
	must(err)
	must(p.ChangeSettings(t.Context(), models.AgentID(ada.ID), map[string]string{"BRAND_NAME": "Çay Evi"}))
	must(p.Link(t.Context(), models.TelegramLink{ThreadID: "answered", TelegramMessageID: 77, ChatID: -100123, MessageID: ids["Do you ship to Oslo?"]}))
	for _, statement := range []string{
		"INSERT INTO telegram_threads (thread_id, short_id, chat_id, topic_id, topic_name) VALUES ('answered', 'k7', -100123, 5, 'Bob')",
		"INSERT INTO outbox (channel, thread_id, message_id, kind) VALUES ('telegram', 'waiting', 1, 'message')",
		"INSERT INTO blocks (thread_id, address_hash, address_until) VALUES ('gone', 'abc', '2026-11-20 10:00:00.5+00:00')",
		"UPDATE users SET external_id = 'u-1' WHERE id = (SELECT user_id FROM threads WHERE id = 'answered')",
	} {
		_, err := storetest.Raw(t, p.Store).Exec(statement)
		must(err)
	}
}

func checkSample(t *testing.T, s *models.Store, old oldArchive) {
	t.Helper()
	list, err := s.Threads(t.Context(), models.ThreadQuery{})
	if err != nil || len(list) != 6 {
		t.Fatalf("%d threads, %v", len(list), err)
	}
	waiting, err := s.Threads(t.Context(), models.ThreadQuery{Status: models.StatusWaiting})
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, th := range waiting {
		ids = append(ids, th.ID)
	}
	if slices.Sort(ids); !slices.Equal(ids, []string{"again", "nameless", "picture", "waiting"}) {
		t.Errorf("waiting: %v", ids)
	}
	byThread := make(map[string][]string)
	first := make(map[string]time.Time) // the first unanswered message of each thread
	var newest int64
	for i, m := range sampleMessages {
		byThread[m.thread] = append(byThread[m.thread], m.text)
		if m.sender != "visitor" {
			delete(first, m.thread)
		} else if first[m.thread].IsZero() {
			first[m.thread] = sampleTime(i)
		}
	}
	for _, th := range list {
		messages, _, err := s.Messages(t.Context(), th.ID, models.MessageQuery{})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, m := range messages {
			got = append(got, m.ContentText)
			newest = max(newest, m.ID)
		}
		if want := byThread[th.ID]; !slices.Equal(got, want) || th.MessageCount != int64(len(want)) || th.LastMessage != want[len(want)-1] {
			t.Errorf("thread %s: %d messages %q, last %q", th.ID, th.MessageCount, got, th.LastMessage)
		}
		if th.PageURL != "https://shop.example/"+th.ID || th.PhoneNumber != "0555 12" {
			t.Errorf("thread %s: %q, %q", th.ID, th.PageURL, th.PhoneNumber)
		}
		if th.ID != "closed" && th.WaitingSince != nil != !first[th.ID].IsZero() || th.WaitingSince != nil && !th.WaitingSince.Equal(first[th.ID]) {
			t.Errorf("thread %s waits since %v, want %v", th.ID, th.WaitingSince, first[th.ID])
		}
		i := slices.IndexFunc(sampleMessages, func(m struct{ thread, name, sender, text string }) bool { return m.thread == th.ID })
		if th.DisplayName != sampleMessages[i].name {
			t.Errorf("thread %s is of %q", th.ID, th.DisplayName)
		}
		if th.ID == "closed" != (th.Status == models.StatusClosed) {
			t.Errorf("thread %s is %s", th.ID, th.Status)
		}
	}
	if found, err := s.Threads(t.Context(), models.ThreadQuery{Search: "ayse yilmaz"}); err != nil || len(found) != 1 {
		t.Errorf("%d threads of a name without accents, %v", len(found), err)
	}
	if m := say(t, s, "new", "x"); m.ID <= newest {
		t.Errorf("id %d after %d", m.ID, newest)
	}

	since := func(step string, check func(there bool) error) { // what came with a later step
		t.Helper()
		if err := check(slices.Contains(old.steps, step)); err != nil {
			t.Errorf("%s: %v", step, err)
		}
	}
	rows := func(query string) func(there bool) error {
		return func(there bool) error {
			var n int
			err := storetest.Raw(t, s).QueryRow("SELECT count(*) FROM " + query).Scan(&n)
			if err == nil && n != map[bool]int{true: 1}[there] {
				err = fmt.Errorf("%d rows of %s", n, query)
			}
			return err
		}
	}
	since("0001_first_tables", rows("telegram_links WHERE thread_id = 'answered' AND telegram_message_id = 77 AND chat_id = -100123"))
	since("telegram_0001_bridge", rows("telegram_links, messages WHERE telegram_links.message_id = messages.id AND messages.thread_id = 'answered'"))
	since("telegram_0001_bridge", rows("telegram_threads WHERE thread_id = 'answered' AND short_id = 'k7' AND topic_id = 5"))
	since("telegram_0001_bridge", rows("outbox WHERE channel = 'telegram' AND thread_id = 'waiting' AND kind = 'message'"))
	// The team was away, by its switch or, since there are switches of agents, by all of them.
	since("telegram_0001_bridge", rows("(SELECT 1 FROM switches WHERE name = 'away' AND position = 'on' UNION SELECT 1 FROM agents WHERE away_since IS NOT NULL) AS away"))
	since("security_1_blocks", rows("blocks WHERE thread_id = 'gone' AND address_until > '2026-11-20 09:00:00'"))
	since("0201_uploads", rows("uploads WHERE url = '/uploads/"+sampleUpload+"' AND name = 'tür.png' AND size = 7 AND deleted_at IS NULL"))
	since("face_4_identity", rows("users, threads WHERE users.external_id = 'u-1' AND threads.user_id = users.id AND threads.id = 'answered'"))
	since("face_2_notes", func(there bool) error {
		notes, err := s.Notes(t.Context(), "answered")
		if err == nil && (len(notes) == 1) != there || there && notes[0].ContentText != "asks twice" {
			return fmt.Errorf("%+v", notes)
		}
		return err
	})
	since("face_2_notes", func(there bool) error {
		canned, err := s.CannedReplies(t.Context())
		if err == nil && (len(canned) == 1) != there || there && (canned[0].Shortcut != "ship" || canned[0].ContentText != "We ship.") {
			return fmt.Errorf("%+v", canned)
		}
		return err
	})
	since("agents_0001_accounts", func(there bool) error {
		ada, found := s.FindAgent(sampleEmail)
		owner, made := s.Agent(0)
		if found != there || made != there || there && (ada.Name != "Ada" || ada.PasswordHash != "hash" || owner.AdminPasswordHash != "owner's hash") {
			return fmt.Errorf("%+v, %+v", ada, owner)
		}
		messages, _, err := s.Messages(t.Context(), "answered", models.MessageQuery{})
		if err == nil && (messages[0].AgentID != 0 || messages[1].AgentID != models.AgentID(ada.ID)) {
			return fmt.Errorf("%+v", messages)
		}
		return err
	})
	since("agent_pictures_0001", func(there bool) error {
		data, err := s.AgentPicture(t.Context(), "/agents/pictures/ada.jpg")
		if there && string(data) != "picture\x00of Ada" || !there && !errors.Is(err, models.ErrNotFound) {
			return fmt.Errorf("%q, %w", data, err)
		}
		return nil
	})
	since("settings_0001", func(there bool) error {
		if name := s.Settings()["BRAND_NAME"]; (name == "Çay Evi") != there {
			return fmt.Errorf("named %q", name)
		}
		return nil
	})
	since("face_3_people", func(there bool) error {
		found, err := s.Threads(t.Context(), models.ThreadQuery{Search: "bob@example.com"})
		if err == nil && (len(found) == 1) != there || there && found[0].Email != "bob@example.com" {
			return fmt.Errorf("%+v", found)
		}
		return err
	})
	since("face_5_push", func(there bool) error {
		private, _, err := s.ServerKey(t.Context(), "vapid", func() (string, string, error) { return "another", "key", nil })
		if err == nil && (private == "private") != there {
			return errors.New("another key")
		}
		return err
	})
}
