// Package cloudinarytest is a fake Cloudinary for tests: the upload API, with signatures computed according to the documentation
// (https://cloudinary.com/documentation/authentication_signatures), and delivery. It is strict: requests that the real one would refuse
// or ignore are errors.
package cloudinarytest

import (
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	_ "image/gif" // accepted formats
	_ "image/jpeg"
	_ "image/png"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	_ "golang.org/x/image/webp" // an accepted format
)

// The credentials of the account.
const (
	Name   = "shop"
	Key    = "123456789012345"
	Secret = "cloudinary-secret-of-tests"
)

// Asset is a stored file.
type Asset struct {
	Kind, Format, Transformation string
	Content                      []byte
	Version                      int
	width, height                int
}

// Server is the fake server.
type Server struct {
	*httptest.Server
	t   testing.TB
	now func() time.Time

	mu       sync.Mutex
	assets   map[string]*Asset // by public id
	down     bool
	requests int
}

// New starts a server that is stopped when the test ends. now is its clock.
func New(t testing.TB, now func() time.Time) *Server {
	t.Helper()
	s := &Server{t: t, now: now, assets: make(map[string]*Asset)}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	return s
}

// Down makes the server fail like a gateway error, or work again.
func (s *Server) Down(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

// Requests returns the number of requests received, including failed ones.
func (s *Server) Requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

// Assets returns the stored files by public id.
func (s *Server) Assets() map[string]Asset {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[string]Asset, len(s.assets))
	for id, a := range s.assets {
		all[id] = *a
	}
	return all
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	if s.down {
		w.WriteHeader(http.StatusBadGateway)
		_, _ = io.WriteString(w, "<html>502 Bad Gateway</html>")
		return
	}
	w.Header().Set("Access-Control-Allow-Origin", "*")
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if r.Method == http.MethodGet && parts[0] != "v1_1" {
		s.deliver(w, parts)
		return
	}
	answer, err := s.api(r, parts)
	status := http.StatusOK
	if err != nil {
		status, answer = http.StatusBadRequest, map[string]any{"error": map[string]string{"message": err.Error()}}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer)
}

func (s *Server) api(r *http.Request, parts []string) (map[string]any, error) {
	if len(parts) < 3 || parts[0] != "v1_1" || parts[1] != Name {
		return nil, fmt.Errorf("unknown cloud in %s", r.URL.Path)
	}
	if r.Method == http.MethodGet && parts[2] == "ping" {
		if key, secret, _ := r.BasicAuth(); key != Key || secret != Secret {
			return nil, fmt.Errorf("unknown API key or secret")
		}
		return map[string]any{"status": "ok"}, nil
	}
	if r.Method != http.MethodPost || len(parts) != 4 {
		return nil, fmt.Errorf("no such call: %s %s", r.Method, r.URL.Path)
	}
	if r.Header.Get("Content-Type") == "" { // the library sends short calls without it; the real server treats them as forms
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if err := r.ParseMultipartForm(64 << 20); err != nil && !errors.Is(err, http.ErrNotMultipart) {
		return nil, err
	}
	if err := s.signed(r); err != nil {
		return nil, err
	}
	switch kind := parts[2]; parts[3] {
	case "upload":
		return s.upload(r, kind)
	case "explicit":
		return s.known(r, kind)
	case "destroy":
		return s.destroy(r, kind)
	}
	return nil, fmt.Errorf("no such call: %s", r.URL.Path)
}

// signed verifies the request's signature: all fields except these, sorted, joined as in a query but unescaped (& in a value as %26),
// followed by the secret, as hexadecimal SHA-1.
func (s *Server) signed(r *http.Request) error {
	if key := r.PostFormValue("api_key"); key != Key {
		return fmt.Errorf("unknown API key %q", key)
	}
	var pairs []string
	for name, values := range r.PostForm {
		switch name {
		case "file", "cloud_name", "resource_type", "api_key", "signature":
			continue
		}
		if len(values) != 1 {
			return fmt.Errorf("%d values of %s", len(values), name)
		}
		pairs = append(pairs, name+"="+strings.ReplaceAll(values[0], "&", "%26"))
	}
	sort.Strings(pairs)
	sum := sha1.Sum([]byte(strings.Join(pairs, "&") + Secret))
	if got := r.PostFormValue("signature"); got != hex.EncodeToString(sum[:]) {
		return fmt.Errorf("invalid signature %s. String to sign - '%s'", got, strings.Join(pairs, "&"))
	}
	at, err := strconv.ParseInt(r.PostFormValue("timestamp"), 10, 64)
	if err != nil {
		return fmt.Errorf("invalid timestamp")
	}
	if age := s.now().Sub(time.Unix(at, 0)); age > time.Hour || age < -time.Minute {
		return fmt.Errorf("stale request - reported time is %s", time.Unix(at, 0).UTC())
	}
	return nil
}

var uploadFields = []string{"file", "resource_type", "api_key", "signature", "timestamp", "public_id", "folder", "overwrite",
	"allowed_formats", "transformation"}

func (s *Server) upload(r *http.Request, kind string) (map[string]any, error) {
	for name := range r.PostForm {
		if !slices.Contains(uploadFields, name) {
			return nil, fmt.Errorf("field %s is not known here", name)
		}
	}
	file, _, err := r.FormFile("file")
	if err != nil {
		return nil, fmt.Errorf("missing required parameter - file")
	}
	content, err := io.ReadAll(file)
	if err != nil {
		return nil, err
	}
	a := &Asset{Content: content, Version: int(s.now().Unix()), Transformation: r.PostFormValue("transformation")}
	if a.Kind, a.Format, a.width, a.height = detect(content); a.Kind == "" || kind != "auto" && kind != a.Kind {
		return nil, fmt.Errorf("invalid %s file", kind)
	}
	if allowed := r.PostFormValue("allowed_formats"); allowed != "" && !slices.Contains(strings.Split(allowed, ","), a.Format) {
		return nil, fmt.Errorf("image file format %s not allowed", a.Format)
	}
	id := r.PostFormValue("public_id")
	if folder := r.PostFormValue("folder"); folder != "" {
		id = folder + "/" + id
	}
	if old := s.assets[id]; old != nil && r.PostFormValue("overwrite") == "false" {
		return s.describe(id, old), nil
	}
	s.assets[id] = a
	return s.describe(id, a), nil
}

func detect(b []byte) (kind, format string, w, h int) {
	if c, format, err := image.DecodeConfig(bytes.NewReader(b)); err == nil {
		if format == "jpeg" {
			format = "jpg"
		}
		return "image", format, c.Width, c.Height
	}
	switch {
	case bytes.HasPrefix(b, []byte{0x1a, 0x45, 0xdf, 0xa3}):
		if bytes.Contains(b, []byte{0x83, 0x10, 0, 0, 1, 1}) { // a video track, as written by mediatest
			return "video", "webm", 640, 480
		}
		return "video", "webm", 0, 0
	case bytes.HasPrefix(b, []byte("OggS")):
		return "video", "ogg", 0, 0
	case bytes.HasPrefix(b, []byte("RIFF")):
		return "video", "wav", 0, 0
	case bytes.HasPrefix(b, []byte("ID3")):
		return "video", "mp3", 0, 0
	}
	return "", "", 0, 0
}

func (s *Server) describe(id string, a *Asset) map[string]any {
	path := fmt.Sprintf("/%s/%s/upload/v%d/%s.%s", Name, a.Kind, a.Version, id, a.Format)
	sum := sha1.Sum(fmt.Appendf(nil, "public_id=%s&version=%d%s", id, a.Version, Secret))
	answer := map[string]any{
		"public_id": id, "version": a.Version, "signature": hex.EncodeToString(sum[:]), "format": a.Format, "resource_type": a.Kind,
		"type": "upload", "bytes": len(a.Content), "url": s.URL + path, "secure_url": s.URL + path,
	}
	if a.width > 0 {
		answer["width"], answer["height"] = a.width, a.height
	}
	return answer
}

func (s *Server) known(r *http.Request, kind string) (map[string]any, error) {
	id := r.PostFormValue("public_id")
	a := s.assets[id]
	if a == nil || a.Kind != kind || r.PostFormValue("type") != "upload" {
		return nil, fmt.Errorf("resource not found - %s", id)
	}
	return s.describe(id, a), nil
}

func (s *Server) destroy(r *http.Request, kind string) (map[string]any, error) {
	id := r.PostFormValue("public_id")
	if a := s.assets[id]; a == nil || a.Kind != kind {
		return map[string]any{"result": "not found"}, nil
	}
	if r.PostFormValue("invalidate") != "true" {
		return nil, fmt.Errorf("the cached copies on the CDN would stay")
	}
	delete(s.assets, id)
	return map[string]any{"result": "ok"}, nil
}

// deliver serves /NAME/KIND/upload/TRANSFORMATION/…/vVERSION/FOLDER/ID.FORMAT. It does not transform anything.
func (s *Server) deliver(w http.ResponseWriter, parts []string) {
	if len(parts) < 6 || parts[0] != Name || parts[2] != "upload" {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	n := len(parts)
	id, _, _ := strings.Cut(parts[n-1], ".")
	a := s.assets[parts[n-2]+"/"+id]
	if a == nil || a.Kind != parts[1] || parts[n-3] != "v"+strconv.Itoa(a.Version) {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	for _, transformation := range parts[3 : n-3] {
		for step := range strings.SplitSeq(transformation, ",") {
			if !slices.Contains([]string{"f_auto", "q_auto", "c_limit"}, step) && !strings.HasPrefix(step, "w_") && !strings.HasPrefix(step, "h_") {
				w.WriteHeader(http.StatusBadRequest)
				return
			}
		}
	}
	w.Header().Set("Content-Type", map[string]string{"image": "image/" + strings.Replace(a.Format, "jpg", "jpeg", 1), "video": "audio/mpeg"}[a.Kind])
	_, _ = w.Write(a.Content)
}
