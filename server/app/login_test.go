package app

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/alexedwards/argon2id"

	"sohbet/models"
	"sohbet/models/storetest"
)

func TestSignInByCode(t *testing.T) {
	storetest.Each(t, func(t *testing.T, store *models.Store) {
		s := open(t, store)
		c, other := s.browser(t), s.browser(t)
		r := s.do(t, c, "POST", "/request-otp", `{}`)
		var asked map[string]any
		r.into(t, &asked)
		if code := s.lastCode(t); r.status != 200 || asked["success"] != true || asked["message"] == "" || strings.Contains(r.body, code) ||
			strings.Contains(strings.Join(r.header.Values("Set-Cookie"), ""), code) {
			t.Fatalf("asked: %d %s", r.status, r.body)
		}
		code := s.lastCode(t)
		wrong := "000000"
		if wrong == code {
			wrong = "000001"
		}
		if r = s.do(t, other, "POST", "/verify-otp", `{"otp":"`+code+`"}`); r.status != 401 {
			t.Errorf("another browser: %d %s", r.status, r.body)
		}
		var answer struct {
			Success  *bool
			Message  string
			Redirect string
		}
		r = s.do(t, c, "POST", "/verify-otp", `{"otp":"`+wrong+`"}`, "Accept-Language", "en")
		if r.into(t, &answer); r.status != 401 || answer.Success == nil || *answer.Success || answer.Message != "Wrong code." || r.code() != "UNAUTHORIZED" {
			t.Errorf("wrong code: %d %s", r.status, r.body)
		}
		if r = s.do(t, c, "GET", "/api/threads", ""); r.status != 401 {
			t.Errorf("half signed in, yet %d", r.status)
		}
		r = s.do(t, c, "POST", "/verify-otp", `{"otp":" `+code[:3]+` `+code[3:]+` "}`)
		if strings.TrimSpace(r.body) != `{"success":true,"redirect":"/admin"}` {
			t.Errorf("right code: %d %s", r.status, r.body)
		}
		if r = s.do(t, c, "GET", "/api/threads", ""); r.status != 200 || strings.TrimSpace(r.body) != "[]" {
			t.Errorf("signed in: %d %s", r.status, r.body)
		}
		if r = s.do(t, c, "GET", "/admin", ""); r.status != 200 {
			t.Errorf("console: %d", r.status)
		}
		if r = s.do(t, c, "POST", "/verify-otp", `{"otp":"`+code+`"}`); r.status != 401 {
			t.Errorf("the same code again: %d", r.status)
		}
		if r = s.do(t, c, "GET", "/logout", ""); r.status != 302 || r.header.Get("Location") != "/login" {
			t.Errorf("logout: %d", r.status)
		}
		if r = s.do(t, c, "GET", "/api/threads", ""); r.status != 401 {
			t.Errorf("after logout: %d", r.status)
		}
	})
}

func TestCodesAsOlderClientsSendThem(t *testing.T) {
	s := open(t, storetest.Open(t, "sqlite"))
	for _, form := range []func(code string) (body, contentType string){
		func(code string) (string, string) {
			n, _ := strconv.Atoi(code)
			return `{"otp":` + strconv.Itoa(n) + `}`, "application/json"
		},
		func(code string) (string, string) { return "otp=" + code, "application/x-www-form-urlencoded" },
		func(code string) (string, string) {
			return `{"code":"` + code + `"}`, "application/json; charset=utf-8"
		},
	} {
		c := s.browser(t)
		s.do(t, c, "POST", "/request-otp", "")
		body, contentType := form(s.lastCode(t))
		if r := s.do(t, c, "POST", "/verify-otp", body, "Content-Type", contentType); r.status != 200 {
			t.Errorf("%s: %d %s", body, r.status, r.body)
		}
	}
	for _, body := range []string{`{"otp":{}}`, `{"otp":true}`, `{"otp":-1}`, `{"otp":1e9}`, `{"otp":null}`, `{}`, ``, `[]`} {
		r := s.do(t, s.browser(t), "POST", "/verify-otp", body, "Content-Type", "application/json")
		if r.status != 400 && r.status != 401 {
			t.Errorf("%s: %d %s", body, r.status, r.body)
		}
	}
}

func TestSignInByPassword(t *testing.T) {
	hash, err := argon2id.CreateHash("open sesame", &argon2id.Params{Memory: 1024, Iterations: 1, Parallelism: 1, SaltLength: 16, KeyLength: 32})
	if err != nil {
		t.Fatal(err)
	}
	for name, password := range map[string]string{"plain": "open sesame", "argon2id": hash} {
		t.Run(name, func(t *testing.T) {
			s := open(t, storetest.Open(t, "sqlite"), "ADMIN_PASSWORD", password, "ADMIN_USERNAME", "ada")
			c := s.browser(t)
			r := s.do(t, c, "POST", "/request-otp", "", "Accept-Language", "en")
			if r.status != 403 || !strings.Contains(r.body, "password first") || strings.Contains(s.log.String(), "SIGN-IN CODE") {
				t.Errorf("a code without the password: %d %s", r.status, r.body)
			}
			for _, body := range []string{`{"username":"ada","password":"wrong"}`, `{"username":"bob","password":"open sesame"}`, `{}`, `{"username":"ada"}`} {
				r = s.do(t, c, "POST", "/admin/login", body)
				if r.status != 401 || !strings.Contains(r.body, `"success":false`) || !strings.Contains(r.body, `"message":`) || strings.Contains(s.log.String(), "SIGN-IN CODE") {
					t.Errorf("%s: %d %s", body, r.status, r.body)
				}
			}
			var in struct {
				Success bool
				Message string
				OTPSent bool `json:"otp_sent"`
			}
			r = s.do(t, c, "POST", "/admin/login", `{"username":"ada","password":"open sesame"}`)
			if r.into(t, &in); !in.Success || !in.OTPSent || in.Message == "" || strings.Contains(r.body, s.lastCode(t)) {
				t.Fatalf("right password: %d %s", r.status, r.body)
			}
			if r = s.do(t, c, "GET", "/api/threads", ""); r.status != 401 {
				t.Errorf("after the password alone: %d", r.status)
			}
			r = s.do(t, c, "POST", "/admin/verify-otp", `{"otp":"`+s.lastCode(t)+`"}`)
			if r.into(t, &in); r.status != 200 || !in.Success || in.Message == "" {
				t.Errorf("code: %d %s", r.status, r.body)
			}
			if r = s.do(t, c, "GET", "/api/threads", ""); r.status != 200 {
				t.Errorf("signed in: %d", r.status)
			}
			if strings.Contains(s.log.String(), "open sesame") {
				t.Error("the password is in the log")
			}
		})
	}
}

func TestSignInIsLimited(t *testing.T) {
	s := open(t, storetest.Open(t, "sqlite"), "RATE_LIMIT_LOGIN", "5/15m")
	c := s.browser(t)
	s.do(t, c, "POST", "/request-otp", "")
	for i := range 5 {
		if r := s.do(t, c, "POST", "/verify-otp", `{"otp":"x"}`); r.status != 401 {
			t.Fatalf("try %d: %d %s", i+1, r.status, r.body)
		}
	}
	r := s.do(t, c, "POST", "/verify-otp", `{"otp":"x"}`)
	wait, err := strconv.Atoi(r.header.Get("Retry-After"))
	if r.status != 429 || r.code() != "RATE_LIMIT_EXCEEDED" || err != nil || wait < 100 || wait > 180 {
		t.Errorf("sixth try: %d, Retry-After %q, %s", r.status, r.header.Get("Retry-After"), r.body)
	}
	for range 4 {
		if r = s.do(t, c, "POST", "/request-otp", ""); r.status != 200 {
			t.Fatalf("asking: %d %s", r.status, r.body)
		}
	}
	if r = s.do(t, s.browser(t), "POST", "/request-otp", "", "X-Forwarded-For", "192.0.2.77"); r.status != 429 {
		t.Errorf("a forged address escapes the limit: %d", r.status)
	}
}

func TestSignInFillsTheLimitAgain(t *testing.T) {
	s := open(t, storetest.Open(t, "sqlite"), "RATE_LIMIT_LOGIN", "5/15m")
	for range 8 { // each takes one of five attempts, and returns it by succeeding
		s.agent(t)
	}
}

func TestCookieBehindHTTPS(t *testing.T) {
	s := open(t, storetest.Open(t, "sqlite"), "TRUSTED_PROXIES", "127.0.0.1")
	for proto, secure := range map[string]bool{"https": true, "http": false} {
		r := s.do(t, s.browser(t), "POST", "/request-otp", "", "X-Forwarded-Proto", proto, "X-Forwarded-For", "192.0.2.1")
		cookie, err := http.ParseSetCookie(r.header.Get("Set-Cookie"))
		if err != nil || cookie.Secure != secure || !cookie.HttpOnly || (r.header.Get("Strict-Transport-Security") != "") != secure {
			t.Errorf("%s: %+v %v, HSTS %q", proto, cookie, err, r.header.Get("Strict-Transport-Security"))
		}
	}
	if !strings.Contains(s.log.String(), `"address":"192.0.2.1"`) {
		t.Error("the client's address is not taken from the proxy")
	}
}
