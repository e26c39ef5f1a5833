package telegram_test

import (
	"bytes"
	"image"
	"io"
	"net/http"
	"strings"
	"testing"

	"sohbet/models"
	"sohbet/server/chat"
	"sohbet/server/media"
	"sohbet/server/media/mediatest"
	"sohbet/server/telegram/telegramtest"
)

func jpeg(t *testing.T) []byte { return mediatest.JPEG(t, mediatest.Picture(64, 48, 0)) }

// upload stores a file like the upload routes.
func (h *bridgeEnv) upload(kind media.Kind, data []byte) media.File {
	h.t.Helper()
	f, err := h.files.Save(h.t.Context(), kind, "name of it", bytes.NewReader(data))
	if err != nil {
		h.t.Fatal(err)
	}
	return f
}

// last returns the newest message of a thread, with the content of its file.
func (h *bridgeEnv) last(threadID string) (chat.Message, []byte) {
	h.t.Helper()
	var list []chat.Message
	h.until("the newest message", func() (current bool) { // shortly after a commit the cache may still have the messages before it
		var err error
		list, _, err = h.chatService.History(h.t.Context(), agent, threadID, models.MessageQuery{Limit: 100})
		if err != nil {
			h.t.Fatal(err)
		}
		return len(list) == len(h.history(threadID))
	})
	m := list[len(list)-1]
	if m.FileURL == "" {
		return m, nil
	}
	r, _, err := h.files.Open(h.t.Context(), m.FileURL)
	if err != nil {
		h.t.Fatal(err)
	}
	data, err := io.ReadAll(r)
	if err != nil {
		h.t.Fatal(err)
	}
	_ = r.Close()
	return m, data
}

func TestFilesOfVisitors(t *testing.T) {
	h := newEnv(t, telegramtest.Forum())
	ayse, a := h.visitor("Ayşe")
	send := func(kind media.Kind, data []byte, text string) telegramtest.Message {
		t.Helper()
		before := len(h.bot.Sent())
		h.post(ayse, chat.Post{ThreadID: a, Text: text, Type: string(kind), FileURL: h.upload(kind, data).URL})
		return h.sent(before + 1)[before]
	}
	if m := send(media.Image, jpeg(t), "my <shoe>"); len(m.Photo) == 0 || !strings.HasPrefix(m.Caption, "💬 Ayşe\nmy <shoe>\n#thread:") {
		t.Errorf("a picture came as %+v", m)
	} else if _, _, err := image.Decode(bytes.NewReader(h.bot.File(m.Photo[1].FileID))); err != nil {
		t.Errorf("the picture is invalid: %v", err)
	}
	ogg := mediatest.Ogg(3)
	if m := send(media.Audio, ogg, ""); m.Voice == nil || !bytes.Equal(h.bot.File(m.Voice.FileID), ogg) {
		t.Errorf("a voice came as %+v", m)
	}
	if m := send(media.Audio, mediatest.WebM(2, 3), ""); m.Document == nil || m.Document.Name == "" {
		t.Errorf("a recording that Telegram cannot play came as %+v", m)
	}
	packets := mediatest.OpusPackets(120)
	if m := send(media.Audio, mediatest.WebMOpus(packets), "by Chrome"); m.Voice == nil || !strings.Contains(m.Caption, "by Chrome") {
		t.Errorf("a recording of Chrome's came as %+v", m)
	} else if sent := h.bot.File(m.Voice.FileID); !bytes.HasPrefix(sent, []byte("OggS")) || !bytes.Contains(sent, packets[119]) || m.Voice.Type != "audio/ogg" {
		t.Errorf("its voice message is %d bytes of %s", len(sent), m.Voice.Type)
	}
	if m := send(media.Any, mediatest.PDF(), "the bill"); m.Document == nil || !strings.Contains(m.Caption, "the bill") || m.Document.Name == "" {
		t.Errorf("a document came as %+v", m)
	}
	h.bot.Allow("PHOTO_INVALID_DIMENSIONS")
	if m := send(media.Image, mediatest.JPEG(t, mediatest.Picture(2100, 100, 0)), "a panorama"); m.Document == nil || !strings.Contains(m.Caption, "a panorama") {
		t.Errorf("a picture that Telegram refuses was sent as %+v", m)
	}
	before := len(h.bot.Sent())
	if m := send(media.Image, jpeg(t), strings.Repeat("long ", 1000)); len(m.Photo) == 0 {
		t.Errorf("a picture with a long text came as %+v", m)
	}
	h.settled()
	words := 0
	for _, m := range h.bot.Sent()[before:] {
		words += strings.Count(m.Caption+m.Text, "long")
	}
	if n := len(h.bot.Sent()) - before; n != 2 || words != 1000 {
		t.Errorf("%d words of 1000 in %d messages", words, n)
	}
	// An external file is mentioned, not fetched.
	before = len(h.bot.Sent())
	old := models.NewMessage{ThreadID: a, SenderType: models.Visitor, ContentType: "image", FileURL: "https://files.example/cat.jpg"}
	if _, err := h.store.AppendWait(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	if m := h.sent(before + 1)[before]; !strings.Contains(m.Text, "[resim] https://files.example/cat.jpg") {
		t.Errorf("a file of elsewhere came as %+v", m)
	}
}

func TestFilesOfTheOperator(t *testing.T) {
	h := newEnv(t, telegramtest.Forum())
	ayse, a := h.visitor("Ayşe")
	h.write(ayse, a, "one")
	topic := h.sent(1)[0].Topic
	ogg, pdf := mediatest.Ogg(3), mediatest.PDF()
	for i, c := range []struct {
		in       telegramtest.In
		kind     string
		text     string
		verbatim []byte
	}{
		{telegramtest.In{Photo: jpeg(t), Caption: "look"}, "image", "look", nil},
		{telegramtest.In{Voice: ogg}, "audio", "", ogg},
		{telegramtest.In{Document: pdf, Name: "bill.pdf", Type: "application/pdf", Caption: "the bill"}, "file", "the bill", pdf},
		{telegramtest.In{Document: mediatest.PNG(t, mediatest.Picture(9, 9, 0)), Name: "x.png", Type: "image/png"}, "image", "", nil},
	} {
		c.in.Topic = topic
		h.bot.Say(c.in)
		h.received(a, i+2)
		m, data := h.last(a)
		if m.ContentType != c.kind || m.ContentText != c.text || m.SenderType != "telegram" || len(data) == 0 || c.verbatim != nil && !bytes.Equal(data, c.verbatim) {
			t.Errorf("file %d is %+v with %d bytes", i, m, len(data))
		}
		if strings.Contains(m.FileURL, "bot") || strings.Contains(m.FileURL, h.bot.URL) {
			t.Errorf("its address is %s", m.FileURL)
		}
	}
	// The operator is notified of files that are refused.
	stored := len(h.history(a))
	h.bot.Say(telegramtest.In{Topic: topic, Document: []byte("x"), Name: "film.mkv", Size: 60 << 20})
	if m := h.sent(2)[1]; !strings.Contains(m.Text, "20 MB") {
		t.Errorf("60 MB: %q", m.Text)
	}
	h.bot.Say(telegramtest.In{Topic: topic, Document: []byte("MZ\x90\x00 a program"), Name: "run.exe"})
	if m := h.sent(3)[2]; !strings.Contains(m.Text, "gönderilmedi") {
		t.Errorf("a program: %q", m.Text)
	}
	h.bot.Script(telegramtest.Fault{Method: "download", Status: http.StatusBadGateway}, telegramtest.Fault{Method: "getFile", Cut: true})
	h.bot.Say(telegramtest.In{Topic: topic, Photo: jpeg(t), Caption: "at the third try"})
	h.received(a, stored+1)
	if n := len(h.history(a)); n != stored+1 {
		t.Errorf("%d messages, want %d", n, stored+1)
	}
}
