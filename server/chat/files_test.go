package chat_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"sohbet/models"
	"sohbet/models/storetest"
	"sohbet/server/chat"
	"sohbet/server/chat/chattest"
)

// shelf is a keeper of files that has one.
type shelf struct{ broken bool }

const onShelf = "/uploads/files/report.pdf"

var report = chat.Attachment{Name: "report.pdf", Type: "application/pdf", Size: 12}

func (s *shelf) Claim(_ context.Context, url string) (chat.Attachment, error) {
	switch {
	case s.broken:
		return chat.Attachment{}, errors.New("broken")
	case url == onShelf:
		return report, nil
	case strings.HasPrefix(url, "/uploads/"):
		return chat.Attachment{}, &chat.Error{Code: chat.CodeNotFound}
	}
	return chat.Attachment{}, nil
}

func (s *shelf) Describe(_ context.Context, urls []string) (map[string]chat.Attachment, error) {
	if s.broken {
		return nil, errors.New("broken")
	}
	return map[string]chat.Attachment{onShelf: report}, nil
}

func TestMessagesNameStoredFilesOnly(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		files, h := &shelf{}, &chattest.Hall{}
		c := chat.New(chat.Options{Store: s, Files: files, Publisher: h, Messages: &allow{left: 9}, NewThreads: &allow{left: 9}})
		w := world{c, h, s}
		thread := w.join(t, visitorAt("v"), "Ada")
		send := func(url, id string) (chat.Message, error) {
			return c.Post(t.Context(), agent, chat.Post{ThreadID: thread, Type: "file", FileURL: url, ClientID: id})
		}
		h.Take()
		m, err := send(onShelf, "one")
		if err != nil || m.Attachment != report {
			t.Fatalf("a stored file: %+v, %v", m.Attachment, err)
		}
		if got := h.Take()[0].Thread[0].Payload.(chat.Message); got.Attachment != report {
			t.Errorf("others hear of %+v", got.Attachment)
		}
		if m, err = send(onShelf, "one"); err != nil || m.Attachment != report {
			t.Errorf("sent again: %+v, %v", m.Attachment, err)
		}
		if m, err = send("https://elsewhere.example/x.pdf", ""); err != nil || m.Attachment != (chat.Attachment{}) {
			t.Errorf("a file of elsewhere: %+v, %v", m.Attachment, err)
		}
		_, err = send("/uploads/files/none.pdf", "")
		var refused *chat.Error
		if !errors.As(err, &refused) || refused.Code != chat.CodeValidation || refused.Field != "file_url" {
			t.Errorf("a file that is not stored: %v", err)
		}
		list, _, err := c.History(t.Context(), agent, thread, models.MessageQuery{})
		if err != nil || len(list) != 2 || list[0].Attachment != report || list[1].Attachment != (chat.Attachment{}) {
			t.Errorf("history: %+v, %v", list, err)
		}
		files.broken = true
		if _, err = send(onShelf, "two"); code(err) != chat.CodeSaveFailed {
			t.Errorf("while files cannot be looked up: %v", err)
		}
		if list, _, err = c.History(t.Context(), agent, thread, models.MessageQuery{}); err != nil || len(list) != 2 {
			t.Errorf("history meanwhile: %+v, %v", list, err)
		}
	})
}
