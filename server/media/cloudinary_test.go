package media_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
	"time"

	"sohbet/models"
	"sohbet/models/storetest"
	"sohbet/server/apperr"
	"sohbet/server/media"
	"sohbet/server/media/cloudinarytest"
	"sohbet/server/media/mediatest"
)

func withCloud(t *testing.T, s *models.Store, change ...func(*media.Options)) (*desk, *cloudinarytest.Server) {
	t.Helper()
	cloud := cloudinarytest.New(t, time.Now)
	return newDesk(t, s, append(change, func(o *media.Options) {
		o.Cloud = media.Cloud{Name: cloudinarytest.Name, Key: cloudinarytest.Key, Secret: cloudinarytest.Secret, Prefix: cloud.URL}
	})...), cloud
}

func TestCloudKeepsPicturesAndSound(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		d, cloud := withCloud(t, s)
		photo := mediatest.WithEXIF(mediatest.JPEG(t, mediatest.Picture(900, 600, 20)), mediatest.EXIF(6))
		picture := d.save(t, media.Image, "tatil.jpg", photo)
		voice := d.save(t, media.Audio, "voice.webm", mediatest.WebM(2, 4))
		paper := d.save(t, media.Any, "a.pdf", mediatest.PDF())
		if !strings.HasPrefix(picture.URL, cloud.URL+"/shop/image/upload/f_auto,q_auto/v") || !strings.Contains(picture.URL, "/chat_images/") ||
			!strings.Contains(picture.Thumb, "w_560") || picture.Width != 600 || picture.Height != 900 || picture.Name != "tatil.jpg" {
			t.Errorf("picture: %+v", picture)
		}
		if !strings.HasPrefix(voice.URL, cloud.URL+"/shop/video/upload/q_auto/v") || !strings.Contains(voice.URL, "/chat_audio/") || voice.Type != "audio/mpeg" {
			t.Errorf("voice: %+v", voice)
		}
		if !strings.HasPrefix(paper.URL, "/uploads/files/") {
			t.Errorf("document: %+v", paper)
		}
		if list := d.files(t); len(list) != 1 {
			t.Errorf("kept here: %v", list)
		}
		if stored := d.read(t, picture.URL); bytes.Contains(stored, []byte("SECRET PLACE")) || int64(len(stored)) != picture.Size {
			t.Errorf("%d bytes that contain the location", len(stored))
		}
		if !bytes.Equal(d.read(t, voice.URL), mediatest.WebM(2, 4)) {
			t.Error("the voice is another")
		}
		if res, err := http.Get(picture.Thumb); err != nil || res.StatusCode != http.StatusOK || res.Body.Close() != nil {
			t.Errorf("thumbnail: %v, %v", res, err)
		}
		if a, err := d.Claim(t.Context(), picture.URL, "a", false); err != nil || a.Name != "tatil.jpg" {
			t.Errorf("claim: %+v, %v", a, err)
		}
		origin, _, _ := strings.Cut(picture.URL, "/image/upload/")
		old, fetched := origin+"/image/upload/v1/chat_images/old.jpg", origin+"/image/fetch/https://evil.example/x.jpg"
		known, err := d.Describe(t.Context(), []string{picture.URL, old, fetched, "https://evil.example/x.jpg"})
		if _, there := known[old]; err != nil || len(known) != 2 || !there || known[picture.URL].Name != "tatil.jpg" {
			t.Errorf("known: %+v, %v", known, err)
		}
		if _, err := d.Claim(t.Context(), fetched, "a", true); code(err) != apperr.CodeNotFound {
			t.Errorf("what the account fetches from elsewhere: %v", err)
		}
		d.Remove([]string{picture.URL, voice.URL})
		d.Sweep(t.Context())
		if left := cloud.Assets(); len(left) > 0 {
			t.Errorf("%d deleted, and still at Cloudinary", len(left))
		}
	})
}

func TestOutageOfTheCloudIsNoOutageHere(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		var log bytes.Buffer
		d, cloud := withCloud(t, s, func(o *media.Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) })
		photo := mediatest.JPEG(t, mediatest.Picture(90, 60, 20))
		remote := d.save(t, media.Image, "a.jpg", photo)
		cloud.Down(true)
		for range 5 {
			if f := d.save(t, media.Image, "a.jpg", photo); !strings.HasPrefix(f.URL, "/uploads/images/") {
				t.Fatalf("kept at %s", f.URL)
			}
		}
		if n := cloud.Requests(); n != 3 { // one before, and two until the breaker opened
			t.Errorf("%d requests for five uploads", n)
		}
		if n := strings.Count(log.String(), "kept on this machine"); n != 3 {
			t.Errorf("the log has %d lines:\n%s", n, log.String())
		}
		if strings.Contains(log.String(), cloudinarytest.Secret) {
			t.Error("the secret is in the log")
		}
		if _, ok, err := d.Sign(t.Context(), media.Image); ok || err != nil {
			t.Errorf("a ticket meanwhile: %v, %v", ok, err)
		}
		// Files to be deleted at Cloudinary stay marked, also across a restart.
		d.Remove([]string{remote.URL})
		d.Sweep(t.Context())
		if len(cloud.Assets()) != 1 {
			t.Fatal("the file went while Cloudinary was down")
		}
		cloud.Down(false)
		again := newDesk(t, s, func(o *media.Options) {
			o.Cloud = media.Cloud{Name: cloudinarytest.Name, Key: cloudinarytest.Key, Secret: cloudinarytest.Secret, Prefix: cloud.URL}
		})
		again.clock.add(time.Minute)
		again.Sweep(t.Context())
		if left := cloud.Assets(); len(left) > 0 {
			t.Errorf("%d left after the outage", len(left))
		}
		if waiting, err := s.UploadsToDelete(t.Context(), 10); err != nil || len(waiting) > 0 {
			t.Errorf("still to be deleted: %v, %v", waiting, err)
		}
	})
}

func TestCloudIsChecked(t *testing.T) {
	d, cloud := withCloud(t, storetest.Open(t, "sqlite"))
	if on, err := d.CheckCloud(t.Context()); !on || err != nil {
		t.Errorf("well: %v, %v", on, err)
	}
	cloud.Down(true)
	if _, err := d.CheckCloud(t.Context()); err != nil || cloud.Requests() != 1 {
		t.Errorf("asked again at once: %v, %d requests", err, cloud.Requests())
	}
	d.clock.add(61 * time.Second)
	if on, err := d.CheckCloud(t.Context()); !on || err == nil {
		t.Errorf("down: %v, %v", on, err)
	}
	cloud.Down(false)
	d.clock.add(61 * time.Second)
	if on, err := d.CheckCloud(t.Context()); !on || err != nil {
		t.Errorf("back: %v, %v", on, err)
	}
	wrong := newDesk(t, d.store, func(o *media.Options) {
		o.Cloud = media.Cloud{Name: cloudinarytest.Name, Key: cloudinarytest.Key, Secret: "another", Prefix: cloud.URL}
	})
	if _, err := wrong.CheckCloud(t.Context()); err == nil {
		t.Error("a wrong secret is well")
	}
	if f := wrong.save(t, media.Image, "a.png", mediatest.PNG(t, mediatest.Picture(9, 9, 0))); !strings.HasPrefix(f.URL, "/uploads/") {
		t.Errorf("with a wrong secret: %s", f.URL)
	}
}

// sendStraight uploads a file with a ticket, like a browser.
func sendStraight(t *testing.T, ticket media.Ticket, content []byte) (message string) {
	t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for name, value := range ticket.Fields {
		if err := w.WriteField(name, value); err != nil {
			t.Fatal(err)
		}
	}
	part, err := w.CreateFormFile("file", "blob")
	if err == nil {
		_, err = part.Write(content)
	}
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	res, err := http.Post(ticket.URL, w.FormDataContentType(), &body)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var answer struct{ Error struct{ Message string } }
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	return answer.Error.Message
}

func TestBrowsersSendStraightToTheCloud(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		d, cloud := withCloud(t, s)
		sign := func(kind media.Kind) media.Ticket {
			t.Helper()
			ticket, ok, err := d.Sign(t.Context(), kind)
			if err != nil || !ok {
				t.Fatalf("no ticket: %v", err)
			}
			for _, value := range ticket.Fields {
				if strings.Contains(value, cloudinarytest.Secret) {
					t.Fatal("the secret is in the ticket")
				}
			}
			return ticket
		}
		photo := mediatest.JPEG(t, mediatest.Picture(900, 600, 20))
		ticket := sign(media.Image)
		if message := sendStraight(t, ticket, photo); message != "" {
			t.Fatalf("refused: %s", message)
		}
		if a := cloud.Assets()[ticket.ID]; a.Transformation != "c_limit,h_4096,w_4096" {
			t.Errorf("stored as it came, with what the camera wrote into it: %q", a.Transformation)
		}
		f, err := d.Confirm(t.Context(), ticket.ID, "../tatil")
		if err != nil || f.Name != "tatil.jpg" || f.Width != 900 || f.Size != int64(len(photo)) || f.Type != "image/jpeg" ||
			!strings.Contains(f.URL, "/image/upload/f_auto,q_auto/") {
			t.Fatalf("confirmed: %+v, %v", f, err)
		}
		if a, err := d.Claim(t.Context(), f.URL, "a", false); err != nil || a.Name != "tatil.jpg" {
			t.Errorf("claim: %+v, %v", a, err)
		}
		ticket = sign(media.Audio)
		if message := sendStraight(t, ticket, mediatest.WebM(2, 3)); message != "" {
			t.Fatalf("sound refused: %s", message)
		}
		if f, err := d.Confirm(t.Context(), ticket.ID, "voice.webm"); err != nil || f.Kind != media.Audio || !strings.HasSuffix(f.URL, ".mp3") {
			t.Errorf("sound: %+v, %v", f, err)
		}
		if _, ok, err := d.Sign(t.Context(), media.Any); ok || err != nil {
			t.Errorf("a document: %v, %v", ok, err)
		}

		for name, change := range map[string]func(media.Ticket){
			"another name": func(t media.Ticket) { t.Fields["public_id"] = "mine" },
			"other types":  func(t media.Ticket) { t.Fields["allowed_formats"] = "svg" },
			"as it came":   func(t media.Ticket) { delete(t.Fields, "transformation") },
		} {
			ticket := sign(media.Image)
			change(ticket)
			if message := sendStraight(t, ticket, photo); !strings.Contains(message, "invalid signature") {
				t.Errorf("%s: %q", name, message)
			}
		}
		// Cloudinary accepts a video as audio; this server does not, and deletes it there.
		ticket = sign(media.Audio)
		sendStraight(t, ticket, mediatest.WebM(1, 3))
		if _, err := d.Confirm(t.Context(), ticket.ID, "x"); code(err) != apperr.CodeFileType {
			t.Errorf("a film: %v", err)
		}
		ticket = sign(media.Image)
		sendStraight(t, ticket, append(bytes.Clone(photo), make([]byte, 5<<20)...))
		if _, err := d.Confirm(t.Context(), ticket.ID, "x"); code(err) != apperr.CodeTooLarge {
			t.Errorf("5 MB and more: %v", err)
		}
		for _, id := range []string{sign(media.Image).ID, "chat_images/aaaaaaaaaaaaaaaaaaaaaaaaaa", "../x", ""} {
			if _, err := d.Confirm(t.Context(), id, "x"); code(err) != apperr.CodeUploadFailed && code(err) != apperr.CodeNotFound {
				t.Errorf("%q, where nothing was sent: %v", id, err)
			}
		}
		unconfirmed := sign(media.Image)
		sendStraight(t, unconfirmed, photo)
		d.Sweep(t.Context())
		if n := len(cloud.Assets()); n != 3 {
			t.Errorf("%d files at Cloudinary, want the two and the unconfirmed one", n)
		}
		d.clock.add(61 * time.Minute)
		d.Sweep(t.Context())
		if n := len(cloud.Assets()); n != 0 {
			t.Errorf("%d files at Cloudinary after an hour in which no message named them", n)
		}
	})
}

func TestTicketsAreShortLived(t *testing.T) {
	s := storetest.Open(t, "sqlite")
	at := &clock{at: time.Now()}
	cloud := cloudinarytest.New(t, at.now)
	d := newDesk(t, s, func(o *media.Options) {
		o.Cloud = media.Cloud{Name: cloudinarytest.Name, Key: cloudinarytest.Key, Secret: cloudinarytest.Secret, Prefix: cloud.URL}
		o.Now = at.now
	})
	photo := mediatest.JPEG(t, mediatest.Picture(9, 6, 20))
	early, _, _ := d.Sign(t.Context(), media.Image)
	late, _, _ := d.Sign(t.Context(), media.Image)
	at.add(4 * time.Minute)
	if message := sendStraight(t, early, photo); message != "" {
		t.Errorf("after four minutes: %s", message)
	}
	at.add(2 * time.Minute)
	if message := sendStraight(t, late, photo); !strings.Contains(message, "stale request") {
		t.Errorf("after six minutes: %q", message)
	}
}
