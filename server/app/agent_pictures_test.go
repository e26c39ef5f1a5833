package app

import (
	"bytes"
	"image/jpeg"
	"net/http"
	"strings"
	"testing"

	"sohbet/models"
	"sohbet/models/storetest"
	"sohbet/server/media/mediatest"
)

func (s *site) setPicture(t *testing.T, c *http.Client, content []byte) reply {
	t.Helper()
	body, kind := form(t, "file", "me.png", content)
	return s.do(t, c, "POST", "/api/me/picture", string(body), "Content-Type", kind)
}

func TestPictureOfAnAgent(t *testing.T) {
	storetest.Each(t, func(t *testing.T, store *models.Store) {
		seed(t, store, threadA, "Vera")
		s := open(t, store, "PUBLIC_URL", "https://shop.example/chat/")
		s.URL += "/chat"
		ada, stranger := s.member(t, "Ada"), s.browser(t)
		var me profile
		s.setPicture(t, ada, mediatest.PNG(t, mediatest.Picture(800, 600, 1))).into(t, &me)
		if !strings.HasPrefix(me.AvatarURL, "/chat/agents/pictures/") {
			t.Fatalf("%+v", me)
		}
		served := s.do(t, stranger, "GET", strings.TrimPrefix(me.AvatarURL, "/chat"), "")
		m, err := jpeg.Decode(bytes.NewReader([]byte(served.body)))
		if err != nil || m.Bounds().Dx() != 192 || served.header.Get("Content-Type") != "image/jpeg" || !strings.Contains(served.header.Get("Cache-Control"), "immutable") {
			t.Errorf("%v, %v", err, served.header)
		}
		s.do(t, ada, "POST", "/api/messages/send", `{"thread_id":"`+threadA+`","content_text":"hello"}`)
		var list []struct {
			Agent struct {
				AvatarURL string `json:"avatar_url"`
			}
		}
		s.do(t, ada, "GET", "/api/messages?thread_id="+threadA, "").into(t, &list)
		if len(list) != 1 || list[0].Agent.AvatarURL != me.AvatarURL {
			t.Errorf("%+v", list)
		}
		if files := s.uploads(t); len(files) != 0 {
			t.Errorf("files: %v", files)
		}
		if r := s.setPicture(t, ada, mediatest.PDF()); r.status != http.StatusUnsupportedMediaType {
			t.Errorf("a PDF: %d %s", r.status, r.body)
		}
		if r := s.setPicture(t, stranger, mediatest.PNG(t, mediatest.Picture(20, 20, 1))); r.status != http.StatusUnauthorized {
			t.Errorf("a stranger: %d", r.status)
		}
		if a, status := s.answer(t, ada, "POST", "/api/me/picture/remove", ""); status != 200 || a.AvatarURL != "" {
			t.Errorf("%d %+v", status, a)
		}
		if r := s.do(t, stranger, "GET", strings.TrimPrefix(me.AvatarURL, "/chat"), ""); r.status != 404 {
			t.Errorf("removed: %d", r.status)
		}
	})
}
