package app

import (
	"bytes"
	"encoding/json"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
	"time"

	"sohbet/models"
	"sohbet/models/storetest"
	"sohbet/server/media/cloudinarytest"
	"sohbet/server/media/mediatest"
)

func TestCloudinaryThroughTheWholeServer(t *testing.T) {
	storetest.Each(t, func(t *testing.T, store *models.Store) {
		cloud := cloudinarytest.New(t, time.Now)
		s := open(t, store, "CLOUDINARY_URL", "cloudinary://"+cloudinarytest.Key+":"+cloudinarytest.Secret+"@"+cloudinarytest.Name,
			"CLOUDINARY_UPLOAD_PREFIX", cloud.URL, "RATE_LIMIT_UPLOAD", "3/1h")
		seed(t, store, threadA, "Ada")
		client := s.browser(t)

		// The pages may load files from the cloud, and upload them there.
		policy := s.do(t, client, "GET", "/", "").header.Get("Content-Security-Policy")
		for _, part := range []string{"img-src data: 'self' blob: " + cloud.URL, "media-src 'self' blob: " + cloud.URL, "connect-src 'self' " + cloud.URL} {
			if !strings.Contains(policy, part) {
				t.Errorf("the page's policy lacks %q: %s", part, policy)
			}
		}
		var health struct {
			Checks map[string]struct{ Status string }
		}
		s.do(t, client, "GET", "/health", "").into(t, &health)
		if health.Checks["cloudinary"].Status != "ok" {
			t.Errorf("health: %+v", health.Checks["cloudinary"])
		}

		// Through the server, like older clients.
		photo := mediatest.JPEG(t, mediatest.Picture(90, 60, 0))
		var file uploadAnswer
		s.upload(t, "image", "a.jpg", photo).into(t, &file)
		if !strings.Contains(file.URL, "/image/upload/f_auto,q_auto/") || file.Data.URL != file.URL || !strings.HasPrefix(file.URL, cloud.URL) {
			t.Errorf("uploaded to %s", file.URL)
		}

		// Directly, like the pages.
		var ticket struct {
			Direct bool
			ID     string
			URL    string `json:"upload_url"`
			Fields map[string]string
		}
		s.do(t, client, "POST", "/api/upload/sign", `{"kind":"image"}`).into(t, &ticket)
		if !ticket.Direct || ticket.Fields["signature"] == "" {
			t.Fatalf("ticket: %+v", ticket)
		}
		straight(t, ticket.URL, ticket.Fields, photo)
		s.do(t, client, "POST", "/api/upload/confirm", `{"id":"`+ticket.ID+`","name":"b.jpg"}`).into(t, &file)
		if !file.Success || file.Name != "b.jpg" || file.Width != 90 {
			t.Fatalf("confirmed: %+v", file)
		}
		if r := s.do(t, client, "POST", "/api/messages/send", `{"thread_id":"`+threadA+`","type":"image","file_url":"`+file.URL+`"}`,
			"Authorization", "Bearer "+threadA); r.status != http.StatusOK {
			t.Errorf("a message with it: %d %s", r.status, r.body)
		}
		// Documents are uploaded to this server and need no ticket; tickets count as uploads.
		s.do(t, client, "POST", "/api/upload/sign", `{"kind":"file"}`).into(t, &ticket)
		s.do(t, client, "POST", "/api/upload/sign", `{"kind":"image"}`)
		if r := s.do(t, client, "POST", "/api/upload/sign", `{"kind":"image"}`); r.status != http.StatusTooManyRequests || r.code() != "RATE_LIMIT_EXCEEDED" {
			t.Errorf("a fourth: %d %s", r.status, r.body)
		}
		if log := s.log.String(); strings.Contains(log, cloudinarytest.Secret) || strings.Contains(log, file.URL) {
			t.Error("the secret or a file's address is in the log")
		}
	})
}

// straight posts a form with the fields of a ticket, like a browser.
func straight(t *testing.T, url string, fields map[string]string, content []byte) {
	t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for name, value := range fields {
		if err := w.WriteField(name, value); err != nil {
			t.Fatal(err)
		}
	}
	part, err := w.CreateFormFile("file", "b.jpg")
	if err == nil {
		_, err = part.Write(content)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.Post(url, w.FormDataContentType(), &body)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var answer map[string]any
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("refused: %d %v %v", res.StatusCode, answer["error"], err)
	}
}
