package models_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"sohbet/models"
	"sohbet/models/storetest"
)

var noon = time.Date(2031, 5, 6, 12, 0, 0, 0, time.UTC)

func upload(t *testing.T, s *models.Store, url string, at time.Time) models.Upload {
	t.Helper()
	u, err := s.AddUpload(t.Context(), models.Upload{URL: url, Kind: "image", Type: "image/jpeg", Name: "tatil fotoğrafı.jpg",
		Size: 1000, Width: 40, Height: 30, ThumbURL: url + ".thumb", Place: "local", Path: strings.TrimPrefix(url, "/uploads/"), CreatedAt: at})
	if err != nil {
		t.Fatalf("record %s: %v", url, err)
	}
	return u
}

func urlsOf(list []models.Upload) string {
	var out []string
	for _, u := range list {
		out = append(out, u.URL)
	}
	return strings.Join(out, " ")
}

func TestUploadIsRecordedOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		u := upload(t, s, "/uploads/images/a.jpg", noon)
		list, err := s.Uploads(t.Context(), []string{"/uploads/images/a.jpg", "/uploads/images/none.jpg"})
		if err != nil || len(list) != 1 {
			t.Fatalf("%d rows, %v", len(list), err)
		}
		got := list[0]
		if got.ID != u.ID || got.Name != "tatil fotoğrafı.jpg" || got.Size != 1000 || got.Width != 40 || got.Height != 30 ||
			got.ThumbURL != "/uploads/images/a.jpg.thumb" || !got.CreatedAt.Equal(noon) || !got.UsedAt.Equal(noon) || got.DeletedAt != nil {
			t.Errorf("read back: %+v", got)
		}
		if _, err := s.AddUpload(t.Context(), models.Upload{URL: u.URL, Kind: "file", Type: "x", Place: "local", Path: "p"}); !errors.Is(err, models.ErrExists) {
			t.Errorf("the same URL again: %v", err)
		}
		for _, bad := range []models.Upload{
			{Kind: "image"},
			{URL: "/uploads/b", Name: "a\x00b"},
			{URL: "/uploads/b", Name: strings.Repeat("ü", models.MaxFileName+1)},
			{URL: "/uploads/" + strings.Repeat("u", models.MaxFileURL)},
			{URL: "/uploads/b", Type: "\xff"},
		} {
			if _, err := s.AddUpload(t.Context(), bad); !errors.Is(err, models.ErrInvalid) {
				t.Errorf("%.40q: %v", bad.URL+bad.Name, err)
			}
		}
	})
}

func TestUploadIsRenamed(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		u := upload(t, s, "cloudinary:chat_images/x", noon)
		u.URL, u.Width, u.Name = "https://res.example/x.jpg", 77, "b.jpg"
		if _, err := s.RenameUpload(t.Context(), u); err != nil {
			t.Fatal(err)
		}
		list, err := s.Uploads(t.Context(), []string{"cloudinary:chat_images/x", u.URL})
		if err != nil || len(list) != 1 || list[0].ID != u.ID || list[0].Width != 77 || list[0].Name != "b.jpg" || !list[0].UsedAt.Equal(noon) {
			t.Errorf("%+v, %v", list, err)
		}
		if _, err := s.MarkUnusedUploads(t.Context(), []string{u.URL}, noon); err != nil {
			t.Fatal(err)
		}
		if _, err := s.RenameUpload(t.Context(), u); !errors.Is(err, models.ErrNotFound) {
			t.Errorf("one that is to go: %v", err)
		}
	})
}

func TestUnusedUploadsAreMarked(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		th := thread(t, s, 1)
		for _, name := range []string{"named", "unnamed", "claimed", "fresh"} {
			at := noon
			if name == "fresh" {
				at = noon.Add(50 * time.Minute)
			}
			upload(t, s, "/uploads/images/"+name, at)
		}
		post(t, s, models.NewMessage{ThreadID: th.ID, SenderType: models.Visitor, ContentType: "image", FileURL: "/uploads/images/named"})
		if u, err := s.ClaimUpload(t.Context(), "/uploads/images/claimed", th.ID, false, noon.Add(50*time.Minute)); err != nil || u.Name != "tatil fotoğrafı.jpg" {
			t.Fatalf("claim: %+v, %v", u, err)
		}
		later := noon.Add(61 * time.Minute)
		gone, more, err := s.MarkOldUnusedUploads(t.Context(), later.Add(-time.Hour), later)
		if err != nil || more || urlsOf(gone) != "/uploads/images/unnamed" {
			t.Fatalf("condemned %q, more %v, %v", urlsOf(gone), more, err)
		}
		if _, err := s.ClaimUpload(t.Context(), "/uploads/images/unnamed", th.ID, true, later); !errors.Is(err, models.ErrNotFound) {
			t.Errorf("a condemned file was claimed: %v", err)
		}
		if list, err := s.Uploads(t.Context(), []string{"/uploads/images/unnamed"}); err != nil || len(list) != 0 {
			t.Errorf("a condemned file is shown: %v, %v", list, err)
		}
		waiting, err := s.UploadsToDelete(t.Context(), 10)
		if err != nil || urlsOf(waiting) != "/uploads/images/unnamed" {
			t.Fatalf("waiting: %q, %v", urlsOf(waiting), err)
		}
		if err := s.DropUploads(t.Context(), []int64{waiting[0].ID}); err != nil {
			t.Fatal(err)
		}
		if waiting, err = s.UploadsToDelete(t.Context(), 10); err != nil || len(waiting) != 0 {
			t.Errorf("still waiting: %v, %v", waiting, err)
		}
	})
}

func TestFileOfTwoMessagesGoesWithTheLast(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		const url = "/uploads/images/shared"
		upload(t, s, url, noon)
		for n := range 2 {
			th := thread(t, s, n)
			post(t, s, models.NewMessage{ThreadID: th.ID, SenderType: models.Visitor, ContentType: "image", FileURL: url})
		}
		for n, want := range []string{"", url} {
			if err := s.DeleteThread(t.Context(), threadID(n)); err != nil {
				t.Fatal(err)
			}
			gone, err := s.MarkUnusedUploads(t.Context(), []string{url, "https://elsewhere.example/x.png"}, noon)
			if err != nil || urlsOf(gone) != want {
				t.Fatalf("after %d cleared: %q, %v", n+1, urlsOf(gone), err)
			}
		}
	})
}

func TestPostponedUploadsWaitBehindTheOthers(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		a, b := upload(t, s, "/a", noon), upload(t, s, "/b", noon)
		if _, err := s.MarkUnusedUploads(t.Context(), []string{a.URL, b.URL}, noon); err != nil {
			t.Fatal(err)
		}
		if err := s.PostponeUpload(t.Context(), a.ID, noon.Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if list, err := s.UploadsToDelete(t.Context(), 10); err != nil || urlsOf(list) != "/b /a" {
			t.Fatalf("%q, %v", urlsOf(list), err)
		}
	})
}

func TestManyUnusedUploadsAreMarkedInBatches(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		const n = 620
		upload(t, s, "/uploads/images/0", noon)
		exec(t, s, "INSERT INTO uploads (url, kind, type, place, path, created_at, used_at) "+numbers(n-1)+
			"SELECT '/uploads/images/' || i, u.kind, u.type, u.place, 'images/' || i, u.created_at, u.used_at FROM n, uploads u")
		total, rounds := 0, 0
		for more := true; more; rounds++ {
			var gone []models.Upload
			var err error
			if gone, more, err = s.MarkOldUnusedUploads(t.Context(), noon.Add(time.Hour), noon.Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
			total += len(gone)
		}
		if total != n || rounds != 2 {
			t.Errorf("%d of %d in %d rounds", total, n, rounds)
		}
	})
}

func TestFileBelongsToTheFirstThreadThatNamesIt(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		claim := func(url, thread string, shared, want bool) {
			t.Helper()
			if _, err := s.ClaimUpload(t.Context(), url, thread, shared, noon); (err == nil) != want || err != nil && !errors.Is(err, models.ErrNotFound) {
				t.Errorf("%s of %s, shared %v: %v", url, thread, shared, err)
			}
		}
		upload(t, s, "/fresh", noon)
		claim("/fresh", threadID(1), false, true)
		claim("/fresh", threadID(1), false, true) // a message that is sent again
		claim("/fresh", threadID(2), false, false)
		claim("/fresh", threadID(2), true, true) // an agent forwards it
		claim("/fresh", threadID(2), false, false)
		claim("/fresh", threadID(1), false, true)
		claim("/none", threadID(1), true, false)

		// A message from before files were assigned to threads.
		upload(t, s, "/old", noon)
		thread(t, s, 1)
		post(t, s, models.NewMessage{ThreadID: threadID(1), SenderType: models.Visitor, ContentType: "image", FileURL: "/old"})
		claim("/old", threadID(2), false, false)
		claim("/old", threadID(1), false, true)
	})
}
