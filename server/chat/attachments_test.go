package chat_test

import (
	"context"
	"errors"
	"testing"

	"sohbet/models"
	"sohbet/models/storetest"
	"sohbet/server/apperr"
	"sohbet/server/broker"
	"sohbet/server/chat"
	"sohbet/server/chat/chattest"
)

// fileStore is a file service with one file.
type fileStore struct {
	broken bool
	thread string // the thread that the file belongs to
	kind   string // the file's kind
}

const storedFile = "/uploads/files/report.pdf"

var report = chat.Attachment{Name: "report.pdf", Type: "application/pdf", Size: 12}

func (s *fileStore) Claim(_ context.Context, url, thread string, shared bool) (chat.Attachment, error) {
	switch {
	case s.broken:
		return chat.Attachment{}, errors.New("broken")
	case url == storedFile && (shared || s.thread == "" || s.thread == thread):
		s.thread = thread
		file := report
		file.Kind = s.kind
		return file, nil
	}
	return chat.Attachment{}, &apperr.Error{Code: apperr.CodeNotFound}
}

func (s *fileStore) Describe(_ context.Context, urls []string) (map[string]chat.Attachment, error) {
	if s.broken {
		return nil, errors.New("broken")
	}
	return map[string]chat.Attachment{storedFile: report}, nil
}

func TestMessagesNameStoredFilesOnly(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		files, h := &fileStore{}, &chattest.Recorder{}
		c := chat.New(chat.Options{Store: s, Files: files, Publisher: h, Presence: &broker.Memory{}, Topics: &broker.Memory{}, Messages: &allow{left: 9}, NewThreads: &allow{left: 9}})
		w := env{c, h, s}
		thread := w.join(t, visitorAt("v"), "Ada")
		send := func(url, id string) (chat.Message, error) {
			return c.Post(t.Context(), agent, chat.Post{ThreadID: thread, Type: "file", FileURL: url, ClientID: id})
		}
		h.Take()
		m, err := send(storedFile, "one")
		if err != nil || m.Attachment != report {
			t.Fatalf("a stored file: %+v, %v", m.Attachment, err)
		}
		if got := h.Take()[0].Thread[0].Payload.(chat.Message); got.Attachment != report {
			t.Errorf("others received %+v", got.Attachment)
		}
		if m, err = send(storedFile, "one"); err != nil || m.Attachment != report {
			t.Errorf("sent again: %+v, %v", m.Attachment, err)
		}
		if m, err = send("https://elsewhere.example/x.pdf", ""); err != nil || m.Type != "text" || m.FileURL != "" || m.ContentText != "https://elsewhere.example/x.pdf" {
			t.Errorf("a file of elsewhere: %+v, %v", m, err)
		}
		_, err = send("/uploads/files/none.pdf", "")
		var refused *apperr.Error
		if !errors.As(err, &refused) || refused.Code != apperr.CodeValidation || refused.Field != "file_url" {
			t.Errorf("a file that is not stored: %v", err)
		}
		list, _, err := c.History(t.Context(), agent, thread, models.MessageQuery{})
		if err != nil || len(list) != 2 || list[0].Attachment != report || list[1].Type != "text" {
			t.Errorf("history: %+v, %v", list, err)
		}
		files.broken = true
		if _, err = send(storedFile, "two"); code(err) != apperr.CodeSaveFailed {
			t.Errorf("while files cannot be looked up: %v", err)
		}
		if list, _, err = c.History(t.Context(), agent, thread, models.MessageQuery{}); err != nil || len(list) != 2 {
			t.Errorf("history meanwhile: %+v, %v", list, err)
		}
	})
}

func TestVisitorsNameTheirOwnFilesOnly(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		files, h := &fileStore{}, &chattest.Recorder{}
		c := chat.New(chat.Options{Store: s, Files: files, Publisher: h, Presence: &broker.Memory{}, Topics: &broker.Memory{}, Messages: &allow{left: 99}, NewThreads: &allow{left: 9}})
		w := env{c, h, s}
		ada, eve := visitorAt("ada"), visitorAt("eve")
		adas, eves := w.join(t, ada, "Ada"), w.join(t, eve, "Eve")
		send := func(a chat.Actor, thread, url string) error {
			_, err := c.Post(t.Context(), a, chat.Post{ThreadID: thread, Type: "image", FileURL: url})
			return err
		}
		for _, url := range []string{"https://evil.example/x.png", "http://evil.example/x.png", "/uploads/files/none.pdf", "https://chat.example" + storedFile} {
			var refused *apperr.Error
			if err := send(ada, adas, url); !errors.As(err, &refused) || refused.Code != apperr.CodeValidation || refused.Field != "file_url" {
				t.Errorf("a visitor names %s: %v", url, err)
			}
		}
		if err := send(ada, adas, storedFile); err != nil {
			t.Errorf("a visitor's own file: %v", err)
		}
		if err := send(eve, eves, storedFile); code(err) != apperr.CodeValidation {
			t.Errorf("another visitor's file: %v", err)
		}
		if err := send(agent, eves, storedFile); err != nil {
			t.Errorf("an agent passes a file on: %v", err)
		}
	})
}

// TestStoredFileDecidesTheType: a client guesses the type from the file name, and may be wrong.
func TestStoredFileDecidesTheType(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		h := &chattest.Recorder{}
		c := chat.New(chat.Options{Store: s, Files: &fileStore{kind: "audio"}, Publisher: h, Presence: &broker.Memory{}, Topics: &broker.Memory{}, Messages: &allow{left: 9}, NewThreads: &allow{left: 9}})
		w := env{c, h, s}
		ada := visitorAt("ada")
		thread := w.join(t, ada, "Ada")
		m, err := c.Post(t.Context(), ada, chat.Post{ThreadID: thread, Type: "image", FileURL: storedFile})
		if err != nil || m.Type != "audio" || m.ContentType != "audio" {
			t.Errorf("%+v, %v", m, err)
		}
		list, _, err := c.History(t.Context(), agent, thread, models.MessageQuery{})
		if err != nil || len(list) != 1 || list[0].ContentType != "audio" {
			t.Errorf("history: %+v, %v", list, err)
		}
	})
}

// Databases of earlier versions have visitor messages with arbitrary URLs.
func TestStoredForeignFilesAreTexts(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		c := chat.New(chat.Options{Store: s, Files: &fileStore{}, Publisher: &chattest.Recorder{}, Presence: &broker.Memory{}, Topics: &broker.Memory{}, Messages: &allow{left: 9}, NewThreads: &allow{left: 9}})
		w := env{c, nil, s}
		thread := w.join(t, visitorAt("v"), "Ada")
		for _, m := range []models.NewMessage{
			{ContentType: "image", FileURL: "https://evil.example/x.png", FilePath: "https://evil.example/x.png"},
			{ContentType: "file", ContentText: "look", FileURL: "https://evil.example/x.pdf"},
			{ContentType: "file", ContentText: "gone", FileURL: "/uploads/files/gone.pdf"},
		} {
			m.ThreadID, m.SenderType = thread, models.Visitor
			if _, err := s.AppendWait(t.Context(), m); err != nil {
				t.Fatal(err)
			}
		}
		list, _, err := c.History(t.Context(), agent, thread, models.MessageQuery{})
		if err != nil || len(list) != 3 {
			t.Fatalf("%+v, %v", list, err)
		}
		for i, want := range []string{"https://evil.example/x.png", "look\nhttps://evil.example/x.pdf"} {
			if m := list[i]; m.Type != "text" || m.ContentType != "text" || m.FileURL != "" || m.FilePath != "" || m.ContentText != want {
				t.Errorf("%+v, want the text %q", m, want)
			}
		}
		if m := list[2]; m.Type != "file" || m.FileURL == "" {
			t.Errorf("a file of ours that is gone: %+v", m)
		}
	})
}
