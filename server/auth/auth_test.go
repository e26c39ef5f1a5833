package auth

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

const (
	keyA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	keyB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

func keys(t *testing.T, secrets ...string) *Keys {
	t.Helper()
	k, err := NewKeys(secrets)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

var plainHTTP = Cookies{HTTPS: func(*http.Request) bool { return false }}

// browser is a minimal cookie jar.
type browser map[string]*http.Cookie

func (b browser) request() *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	for _, c := range b {
		r.AddCookie(c)
	}
	return r
}

func (b browser) keep(w *httptest.ResponseRecorder) {
	for _, c := range w.Result().Cookies() {
		if c.MaxAge < 0 {
			delete(b, c.Name)
		} else {
			b[c.Name] = c
		}
	}
}

func TestSession(t *testing.T) {
	clk := &clock{time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	s := NewSessions(keys(t, keyA), &memorySessions{}, plainHTTP, clk.now)
	b := browser{}
	if _, ok := s.FromRequest(b.request()); ok {
		t.Fatal("no cookie, yet a session")
	}
	w := httptest.NewRecorder()
	first, err := s.Issue(w, b.request(), Account{Name: "admin"})
	if err != nil {
		t.Fatal(err)
	}
	b.keep(w)
	c := b[sessionCookie]
	if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Secure || c.Path != "/" || c.MaxAge != 12*3600 {
		t.Errorf("cookie attributes: %+v", c)
	}
	if strings.Contains(c.Value, "admin") {
		t.Error("the cookie is readable")
	}
	got, ok := s.FromRequest(b.request())
	if !ok || got != first || got.Subject != "admin" {
		t.Errorf("read %+v %v, want %+v", got, ok, first)
	}
	w = httptest.NewRecorder()
	if second, _ := s.Issue(w, b.request(), Account{Name: "admin"}); second.ID == first.ID {
		t.Error("a new sign-in keeps the session id")
	}
	b.keep(w)

	for range 11 { // in use all day
		clk.t = clk.t.Add(time.Hour)
		s.FromRequest(b.request())
	}
	clk.t = clk.t.Add(time.Hour - time.Second)
	if _, ok := s.FromRequest(b.request()); !ok {
		t.Error("ended before its time")
	}
	clk.t = clk.t.Add(time.Second)
	if _, ok := s.FromRequest(b.request()); ok {
		t.Error("still good after 12 hours")
	}
	w = httptest.NewRecorder()
	if err := s.End(w, b.request()); err != nil {
		t.Fatal(err)
	}
	if b.keep(w); len(b) != 0 {
		t.Error("sign-out leaves the cookie")
	}
}

func TestSessionForgeries(t *testing.T) {
	now := time.Now
	good := NewSessions(keys(t, keyA), &memorySessions{}, plainHTTP, now)
	w := httptest.NewRecorder()
	if _, err := good.Issue(w, httptest.NewRequest("GET", "/", nil), Account{Name: "admin"}); err != nil {
		t.Fatal(err)
	}
	value := w.Result().Cookies()[0].Value
	flipped := []byte(value)
	flipped[len(flipped)/2] ^= 1
	login := NewCodes(keys(t, keyA), &memoryCodes{}, &lastCode{}, NewTrustedBrowsers(keys(t, keyA), plainHTTP, now), plainHTTP, now)
	w = httptest.NewRecorder()
	if err := login.Request(w, httptest.NewRequest("POST", "/", nil), Account{}, false, Requester{}); err != nil {
		t.Fatal(err)
	}
	for name, forged := range map[string]string{
		"garbage": "garbage", "empty": "", "cut": value[:len(value)-4], "one bit": string(flipped),
		"doubled": value + value, "another cookie's value": w.Result().Cookies()[0].Value, "long": strings.Repeat("A", 10_000),
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Cookie", sessionCookie+"="+forged)
		if _, ok := good.FromRequest(r); ok {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestSessionKeyRotation(t *testing.T) {
	w := httptest.NewRecorder()
	if _, err := NewSessions(keys(t, keyA), &memorySessions{}, plainHTTP, time.Now).Issue(w, httptest.NewRequest("GET", "/", nil), Account{Name: "admin"}); err != nil {
		t.Fatal(err)
	}
	b := browser{}
	b.keep(w)
	for name, tc := range map[string]struct {
		secrets []string
		want    bool
	}{"same": {[]string{keyA}, true}, "rotated": {[]string{keyB, keyA}, true}, "dropped": {[]string{keyB}, false}} {
		if _, ok := NewSessions(keys(t, tc.secrets...), &memorySessions{}, plainHTTP, time.Now).FromRequest(b.request()); ok != tc.want {
			t.Errorf("%s: %v, want %v", name, ok, tc.want)
		}
	}
	w = httptest.NewRecorder()
	if _, err := NewSessions(keys(t, keyB, keyA), &memorySessions{}, plainHTTP, time.Now).Issue(w, b.request(), Account{Name: "admin"}); err != nil {
		t.Fatal(err)
	}
	b.keep(w)
	if _, ok := NewSessions(keys(t, keyB), &memorySessions{}, plainHTTP, time.Now).FromRequest(b.request()); !ok {
		t.Error("the first key does not write")
	}
	if _, err := NewKeys(nil); err == nil {
		t.Error("an empty list of keys was accepted")
	}
}
