package app

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"net/textproto"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"sohbet/models"
	"sohbet/models/storetest"
	"sohbet/server/media/mediatest"
)

// uploads lists the files in the uploads folder.
func (s *site) uploads(t *testing.T) []string {
	t.Helper()
	var list []string
	err := filepath.WalkDir(filepath.Join(s.dir, "uploads"), func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			list = append(list, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// form returns a multipart body with one file, and its Content-Type.
func form(t testing.TB, field, name string, content []byte) (body []byte, kind string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	part, err := w.CreatePart(textproto.MIMEHeader{
		"Content-Disposition": {fmt.Sprintf(`form-data; name="%s"; filename="%s"`, field, name)},
		"Content-Type":        {"image/png"}, // deliberately wrong for most files
	})
	if err == nil {
		_, err = part.Write(content)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), w.FormDataContentType()
}

func (s *site) upload(t *testing.T, route, name string, content []byte) reply {
	t.Helper()
	body, kind := form(t, "file", name, content)
	return s.do(t, s.browser(t), "POST", "/api/upload/"+route, string(body), "Content-Type", kind)
}

type uploadAnswer struct {
	Success   bool
	URL       string `json:"url"`
	FileURL   string `json:"file_url"`
	FilePath  string `json:"file_path"`
	Thumb     string `json:"thumb_url"`
	Name      string
	Size      int64
	Width     int
	Height    int
	Data      struct{ URL string }
	ErrorCode string `json:"code"`
}

func TestUploadAsClientsInTheFieldDoIt(t *testing.T) {
	storetest.Each(t, func(t *testing.T, store *models.Store) {
		s := open(t, store)
		for route, content := range map[string][]byte{
			"image": mediatest.JPEG(t, mediatest.Picture(900, 700, 30)), "audio": mediatest.WebM(2, 4), "file": mediatest.PDF(),
		} {
			// FormData with one field and no headers set by the client.
			r := s.upload(t, route, "Tatil fotoğrafı (1).bin", content)
			var got uploadAnswer
			r.into(t, &got)
			if r.status != 200 || !got.Success || got.URL == "" || got.Data.URL != got.URL || got.FileURL != got.URL || got.FilePath != got.URL {
				t.Fatalf("%s: %d %s", route, r.status, r.body)
			}
			file := s.do(t, s.browser(t), "GET", got.URL, "")
			if file.status != 200 || int64(len(file.body)) != got.Size || got.Size == 0 {
				t.Errorf("%s: %d, %d bytes of %d", route, file.status, len(file.body), got.Size)
			}
			h := file.header
			if h.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(h.Get("Content-Security-Policy"), "sandbox") ||
				!strings.Contains(h.Get("Content-Security-Policy"), "default-src 'none'") || !strings.Contains(h.Get("Cache-Control"), "immutable") {
				t.Errorf("%s: headers %v", route, h)
			}
			how, params, err := mime.ParseMediaType(h.Get("Content-Disposition"))
			want := map[string]string{"image": "inline", "audio": "inline", "file": "attachment"}[route]
			if err != nil || how != want || params["filename"] != got.Name || !strings.HasPrefix(got.Name, "Tatil fotoğrafı (1).bin.") {
				t.Errorf("%s: %s (%v), %v", route, h.Get("Content-Disposition"), err, got.Name)
			}
			part := s.do(t, s.browser(t), "GET", got.URL, "", "Range", "bytes=5-9")
			if part.status != 206 || part.body != file.body[5:10] {
				t.Errorf("%s: a part: %d %q", route, part.status, part.body)
			}
			if again := s.do(t, s.browser(t), "GET", got.URL, "", "If-None-Match", h.Get("ETag")); again.status != 304 {
				t.Errorf("%s: asked again: %d", route, again.status)
			}
			if head := s.do(t, s.browser(t), "HEAD", got.URL, ""); head.status != 200 || head.body != "" || head.header.Get("Content-Length") != fmt.Sprint(got.Size) {
				t.Errorf("%s: HEAD: %d %v", route, head.status, head.header)
			}
			if route == "image" {
				if got.Width != 900 || got.Height != 700 {
					t.Errorf("got %d × %d", got.Width, got.Height)
				}
				if thumb := s.do(t, s.browser(t), "GET", got.Thumb, ""); thumb.status != 200 || thumb.header.Get("Content-Type") != "image/jpeg" || len(thumb.body) >= len(file.body) {
					t.Errorf("thumbnail: %d, %d bytes", thumb.status, len(thumb.body))
				}
			}
		}
		for _, path := range []string{"/uploads/images/aaaaaaaaaaaaaaaaaaaaaaaaaa.jpg", "/uploads/incoming/x", "/uploads/images/..%2f..%2fchat.db",
			"/uploads/..%2f/chat.db", "/uploads/thumbs/aaaaaaaaaaaaaaaaaaaaaaaaaa.jpg", "/uploads/images/", "/uploads/images"} {
			if r := s.do(t, s.browser(t), "GET", path, ""); r.status != 404 {
				t.Errorf("%s: %d", path, r.status)
			}
		}
	})
}

func TestUploadLimitAndOrigins(t *testing.T) {
	s := open(t, storetest.Open(t, "sqlite"), "RATE_LIMIT_UPLOAD", "2/1m", "CORS_ORIGINS", "https://shop.example")
	body, kind := form(t, "file", "a.png", mediatest.PNG(t, mediatest.Picture(8, 8, 0)))
	send := func(headers ...string) reply {
		t.Helper()
		return s.do(t, s.browser(t), "POST", "/api/upload/image", string(body), append(headers, "Content-Type", kind)...)
	}
	if r := send("Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"); r.status != 403 || r.code() != "FORBIDDEN" {
		t.Errorf("from another site: %d %s", r.status, r.body)
	}
	if r := send("Origin", "https://shop.example", "Sec-Fetch-Site", "cross-site"); r.status != 200 || r.header.Get("Access-Control-Allow-Origin") != "https://shop.example" {
		t.Errorf("from a listed site: %d %s", r.status, r.body)
	}
	if r := send("Origin", s.URL, "Sec-Fetch-Site", "same-origin"); r.status != 200 {
		t.Errorf("from its own page: %d %s", r.status, r.body)
	}
	if r := send(); r.status != 429 || r.code() != "RATE_LIMIT_EXCEEDED" || r.header.Get("Retry-After") == "" {
		t.Errorf("a third: %d %s", r.status, r.body)
	}
}

func TestMessagesNameStoredUploadsOnly(t *testing.T) {
	storetest.Each(t, func(t *testing.T, store *models.Store) {
		s := open(t, store)
		seed(t, store, threadA, "Ada")
		var file uploadAnswer
		s.upload(t, "file", "fatura.pdf", mediatest.PDF()).into(t, &file)
		send := func(url string) reply {
			t.Helper()
			return s.do(t, s.browser(t), "POST", "/api/messages/send", `{"thread_id":"`+threadA+`","type":"file","file_url":"`+url+`"}`,
				"Authorization", "Bearer "+threadA)
		}
		if r := send(file.URL); r.status != 200 {
			t.Errorf("a stored file: %d %s", r.status, r.body)
		}
		if r := send("/uploads/files/aaaaaaaaaaaaaaaaaaaaaaaaaa.pdf"); r.status != 400 || r.code() != "VALIDATION_FAILED" {
			t.Errorf("a file that is not stored: %d %s", r.status, r.body)
		}
		if r := send("https://elsewhere.example/a.pdf"); r.status != 400 || r.code() != "VALIDATION_FAILED" {
			t.Errorf("a file of elsewhere: %d %s", r.status, r.body)
		}
		seed(t, store, threadB, "Eve")
		r := s.do(t, s.browser(t), "POST", "/api/messages/send", `{"thread_id":"`+threadB+`","type":"file","file_url":"`+file.URL+`"}`, "Authorization", "Bearer "+threadB)
		if r.status != 400 || r.code() != "VALIDATION_FAILED" {
			t.Errorf("another visitor's file: %d %s", r.status, r.body)
		}
	})
}

// raw sends a raw HTTP request and returns everything received before the connection ended.
func (s *site) raw(t *testing.T, request []byte) string {
	t.Helper()
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.Write(request); err != nil {
		t.Fatal(err)
	}
	_ = conn.(*net.TCPConn).CloseWrite() // the server may have closed it already
	// Closing a connection with unread data resets it.
	answer, err := io.ReadAll(conn)
	if err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Fatal(err)
	}
	return string(answer)
}

func TestUploadsThatBreakOff(t *testing.T) {
	s := open(t, storetest.Open(t, "sqlite"))
	body, kind := form(t, "file", "a.jpg", mediatest.JPEG(t, mediatest.Picture(900, 700, 60)))
	head := func(length int) []byte {
		return fmt.Appendf(nil, "POST /api/upload/image HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n", kind, length)
	}
	for name, request := range map[string][]byte{
		"stops half way":              append(head(len(body)), body[:len(body)/2]...),
		"stops before its last line":  append(head(len(body)), body[:len(body)-4]...),
		"stops after its headers":     append(head(len(body)), body[:100]...),
		"promises more than it has":   append(head(len(body)+100_000), body[:len(body)-60]...),
		"promises less than it has":   append(head(len(body)/3), body...),
		"promises nothing":            append(head(0), body...),
		"promises a negative length":  append(head(-5), body...),
		"chunks that are none":        []byte("POST /api/upload/image HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: " + kind + "\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" + string(body)),
		"two lengths that contradict": []byte("POST /api/upload/image HTTP/1.1\r\nHost: x\r\nContent-Type: " + kind + "\r\nContent-Length: 9\r\nContent-Length: 12\r\n\r\n" + string(body)),
	} {
		answer := s.raw(t, request)
		if answer != "" && !strings.HasPrefix(answer, "HTTP/1.1 400") {
			t.Errorf("%s: %.200s", name, answer)
		}
		if list := s.uploads(t); len(list) > 0 {
			t.Errorf("%s leaves %v", name, list)
		}
	}
	if r := s.upload(t, "image", "a.jpg", mediatest.JPEG(t, mediatest.Picture(90, 70, 0))); r.status != http.StatusOK {
		t.Errorf("afterwards: %d %s", r.status, r.body)
	}
}
