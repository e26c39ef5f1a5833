package app

import (
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sohbet/models/storetest"
	"sohbet/server/broker"
	"sohbet/server/media/mediatest"
	"sohbet/server/metrics"
)

func TestBrandPictures(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, body []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), body, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	svg := `<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>`
	write("logo.svg", []byte(svg))
	store := storetest.Open(t, "sqlite")
	s := open(t, store, "DATA_DIR", dir, "BRAND_LOGO", "logo.svg", "AGENT_AVATAR", "https://cdn.example/a.png")
	r := s.do(t, s.browser(t), "GET", "/brand/logo", "")
	if r.status != 200 || r.body != svg || r.header.Get("Content-Type") != "image/svg+xml" || r.header.Get("Cache-Control") != "no-cache" ||
		!strings.Contains(r.header.Get("Content-Security-Policy"), "sandbox") || !strings.Contains(r.header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("%d %q %v", r.status, r.body, r.header)
	}
	tag := strings.Trim(r.header.Get("ETag"), `"`)
	if again := s.do(t, s.browser(t), "GET", "/brand/logo?v="+tag, ""); !strings.Contains(again.header.Get("Cache-Control"), "immutable") {
		t.Errorf("with its fingerprint: %v", again.header)
	}
	if r := s.do(t, s.browser(t), "GET", "/brand/avatar", ""); r.status != http.StatusNotFound {
		t.Errorf("a picture that lies elsewhere: %d", r.status)
	}
	policy := s.do(t, s.browser(t), "GET", "/", "").header.Get("Content-Security-Policy")
	if !strings.Contains(policy, "img-src data: 'self' blob: https://cdn.example;") || strings.Count(policy, "cdn.example") != 1 {
		t.Errorf("the page may load %s", policy)
	}

	write("photo.jpg", mediatest.JPEG(t, mediatest.Picture(20, 20, 255)))
	write("liar.png", []byte("<html>"))
	write("secret.key", []byte(testKey))
	write("large.svg", append([]byte("<svg>"), make([]byte, 1<<20)...))
	outside := filepath.Join(t.TempDir(), "out.svg")
	if err := os.WriteFile(outside, []byte(svg), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(dir, "link.svg")); err != nil {
		t.Fatal(err)
	}
	level := changing(slog.LevelInfo)
	for name, fine := range map[string]bool{"photo.jpg": true, "none.png": false, "liar.png": false, "secret.key": false, "large.svg": false, "link.svg": false} {
		cfg := settings(t, "DATA_DIR", dir, "BRAND_LOGO", name)
		_, _, err := (&parts{Build{}, cfg, store, s.files, nil, &broker.Memory{}, metrics.New(time.Now), nil, level, slog.New(slog.DiscardHandler)}).wire(t.Context())
		if (err == nil) != fine {
			t.Errorf("%s: %v", name, err)
		}
		if !fine && !strings.HasPrefix(err.Error(), "BRAND_LOGO holds") {
			t.Errorf("%s: the error does not name the setting: %v", name, err)
		}
	}
}
