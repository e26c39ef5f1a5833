package app

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"sohbet/models/storetest"
	"sohbet/server/media/cloudinarytest"
	"sohbet/server/media/mediatest"
)

// state is a response of /health.
type state struct {
	http   int
	Status string
	Checks map[string]struct {
		Status, Detail, Reason, Cure string
		DurationMS                   float64 `json:"duration_ms"`
		CheckedAt                    string  `json:"checked_at"`
		LastOK                       string  `json:"last_ok"`
		UsedBytes                    uint64  `json:"used_bytes"`
		TotalBytes                   uint64  `json:"total_bytes"`
	}
}

func (s *site) health(t *testing.T) state {
	t.Helper()
	var found state
	r := s.do(t, s.browser(t), "GET", "/health", "", "Authorization", "Bearer "+metricsToken)
	r.into(t, &found)
	found.http = r.status
	return found
}

// becomes waits until a check has that status; results are cached for a moment.
func (s *site) becomes(t *testing.T, check, status string) state {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		found := s.health(t)
		if found.Checks[check].Status == status {
			return found
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not become %s: %+v", check, status, found)
		}
	}
}

func TestProbingDoesNotLoadTheServer(t *testing.T) {
	s := open(t, storetest.Open(t, "sqlite"))
	begin := time.Now()
	var mu sync.Mutex
	runs := map[string]bool{}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 25 {
				r := record(s.server, "/health")
				var found state
				reply{status: r.Code, body: r.Body.String()}.into(t, &found)
				mu.Lock()
				runs[found.Checks["database"].CheckedAt] = true
				mu.Unlock()
				for name, check := range found.Checks {
					if check.DurationMS < 0 || check.CheckedAt == "" || (name == "database" && check.DurationMS == 0) {
						t.Errorf("%s: %+v", name, check)
					}
				}
			}
		})
	}
	wg.Wait()
	if most := 1 + int(time.Since(begin)/(2*time.Second)); len(runs) > most {
		t.Errorf("200 probes ran the checks %d times, %d would do", len(runs), most)
	}
}

// Cloudinary is retried after a minute (tested in package media with a fake clock), so each check here uses a new server.
func TestHealthWithoutCloudinary(t *testing.T) {
	store := storetest.Open(t, "sqlite")
	cloud := cloudinarytest.New(t, time.Now)
	begin := func() *site {
		return open(t, store, "CLOUDINARY_URL", "cloudinary://"+cloudinarytest.Key+":"+cloudinarytest.Secret+"@"+cloudinarytest.Name,
			"CLOUDINARY_UPLOAD_PREFIX", cloud.URL)
	}
	photo := mediatest.JPEG(t, mediatest.Picture(90, 60, 0))
	kept := func(s *site) string {
		var file uploadAnswer
		s.upload(t, "image", "a.jpg", photo).into(t, &file)
		return file.URL
	}
	cloud.Down(true)
	s := begin()
	if found := s.health(t); found.Checks["cloudinary"].Status != "warning" || found.Status != "degraded" || found.http != http.StatusOK ||
		!strings.Contains(found.Checks["cloudinary"].Detail, "kept on this machine") || found.Checks["cloudinary"].Reason != "cloudinary_silent" {
		t.Errorf("down: %+v", found)
	}
	if url := kept(s); !strings.HasPrefix(url, "/uploads/") {
		t.Errorf("a picture meanwhile is at %s", url)
	}
	cloud.Down(false)
	s = begin()
	if found := s.health(t); found.Checks["cloudinary"].Status != "ok" || found.Status != "healthy" {
		t.Errorf("back: %+v", found)
	}
	if url := kept(s); !strings.HasPrefix(url, cloud.URL) {
		t.Errorf("a picture afterwards is at %s", url)
	}
}
