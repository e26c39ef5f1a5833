package app

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"image"
	"image/color"
	"image/png"
	"io"
	"mime/multipart"
	"net/http"
	"testing"

	"sohbet/server/telegram/telegramtest"
)

// TestMediaBothWays sends an image and audio in each direction: from Telegram through the file service to the visitor, and from the
// visitor to Telegram.
func TestMediaBothWays(t *testing.T) {
	s := openShop(t, telegramtest.Forum())
	ali := s.visit("Ali")
	ali.say("merhaba")
	topic := s.sent("merhaba").Topic

	s.bot.Say(telegramtest.In{Topic: topic, Photo: photo(t), Caption: "mavi olan"})
	shown := ali.listensTo("message", "mavi olan")
	if got, _, err := image.Decode(bytes.NewReader(s.download(shown.file))); err != nil || got.Bounds().Dx() != 64 || shown.kind != "image" || shown.sender != "telegram" {
		t.Errorf("%+v: %v", shown, err)
	}
	s.bot.Say(telegramtest.In{Topic: topic, Voice: voice(), Caption: "dinleyin"})
	heard := ali.listensTo("message", "dinleyin")
	if got := s.download(heard.file); !bytes.Equal(got, voice()) || heard.kind != "audio" {
		t.Errorf("%+v: %d bytes", heard, len(got))
	}

	ali.emit("message", map[string]string{"type": "image", "file_url": s.upload("image", "resim.png", photo(t)), "text": "bundan var mı?"})
	m := s.sent("bundan var mı?")
	if len(m.Photo) == 0 || m.Topic != topic {
		t.Fatalf("%+v", m)
	}
	if got, _, err := image.Decode(bytes.NewReader(s.bot.File(m.Photo[len(m.Photo)-1].FileID))); err != nil || got.Bounds().Dx() != 64 {
		t.Errorf("%v", err)
	}
	ali.emit("message", map[string]string{"type": "audio", "file_url": s.upload("audio", "ses.ogg", voice()), "text": "dinler misiniz?"})
	m = s.sent("dinler misiniz?")
	if m.Voice == nil || !bytes.Equal(s.bot.File(m.Voice.FileID), voice()) || m.Topic != topic {
		t.Errorf("%+v", m)
	}
}

// upload uploads a file like the pages and returns its URL.
func (s *shop) upload(kind, name string, data []byte) string {
	s.t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("file", name)
	if err == nil {
		_, err = part.Write(data)
	}
	if err == nil {
		err = form.Close()
	}
	if err != nil {
		s.t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, "http://"+s.Addr+"/api/upload/"+kind, &body)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Content-Type", form.FormDataContentType())
	r.Header.Set("Origin", "http://"+s.Addr)
	status, text := s.send(r)
	var answer struct {
		URL string `json:"url"`
	}
	if err := json.Unmarshal(text, &answer); err != nil || status != http.StatusOK || answer.URL == "" {
		s.t.Fatalf("upload: %d %s", status, text)
	}
	return answer.URL
}

// download fetches a file like the visitor's page.
func (s *shop) download(path string) []byte {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, "http://"+s.Addr+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	status, data := s.send(r)
	if status != http.StatusOK {
		s.t.Errorf("%s: %d", path, status)
	}
	return data
}

func (s *shop) send(r *http.Request) (int, []byte) {
	s.t.Helper()
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return res.StatusCode, data
}

// photo returns an image of 64 by 48 pixels.
func photo(t *testing.T) []byte {
	t.Helper()
	picture := image.NewRGBA(image.Rect(0, 0, 64, 48))
	for i := range 48 {
		picture.Set(i, i, color.RGBA{B: 255, A: 255})
	}
	var b bytes.Buffer
	if err := png.Encode(&b, picture); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// voice returns an Ogg file (RFC 3533) with one Opus packet (RFC 7845).
func voice() []byte {
	var b bytes.Buffer
	page := func(number uint32, flags byte, packet []byte) {
		b.WriteString("OggS\x00")
		b.WriteByte(flags)
		for _, field := range []any{uint64(960 * number), uint32(1), number, uint32(0)} { // granule position, serial number, page number, checksum
			_ = binary.Write(&b, binary.LittleEndian, field) // a bytes.Buffer never fails
		}
		b.Write([]byte{1, byte(len(packet))})
		b.Write(packet)
	}
	page(0, 2, []byte("OpusHead\x01\x01\x38\x01\x80\xbb\x00\x00\x00\x00\x00"))
	page(1, 0, []byte("OpusTags\x06\x00\x00\x00sohbet\x00\x00\x00\x00"))
	page(2, 4, []byte{0xfc, 0xff, 0xfe})
	return b.Bytes()
}
