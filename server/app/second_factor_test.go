package app

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"sohbet/models"
	"sohbet/models/storetest"
	"sohbet/server/auth"
)

// setUpApp sets an authenticator app up for a signed-in agent, and returns its secret and the recovery codes.
func (s *site) setUpApp(t *testing.T, c *http.Client) (secret string, recovery []string) {
	t.Helper()
	var proposed struct{ Secret, URI, QR string }
	s.do(t, c, "POST", "/api/me/totp", "").into(t, &proposed)
	if proposed.Secret == "" || !strings.HasPrefix(proposed.QR, "data:image/png;base64,") {
		t.Fatalf("%+v", proposed)
	}
	var done struct {
		Success bool
		Codes   []string `json:"recovery_codes"`
	}
	s.do(t, c, "POST", "/api/me/totp/confirm", `{"otp":"`+appCode(t, proposed.Secret, -30*time.Second)+`"}`).into(t, &done)
	if !done.Success || len(done.Codes) != 10 {
		t.Fatalf("%+v", done)
	}
	return proposed.Secret, done.Codes
}

func appCode(t *testing.T, secret string, after time.Duration) string {
	t.Helper()
	code, err := totp.GenerateCode(secret, time.Now().Add(after))
	if err != nil {
		t.Fatal(err)
	}
	return code
}

func TestSecondFactor(t *testing.T) {
	storetest.Each(t, func(t *testing.T, store *models.Store) {
		s := open(t, store, "RATE_LIMIT_LOGIN", "off")
		ada := s.member(t, "Ada")
		s.member(t, "Bob")
		secret, recovery := s.setUpApp(t, ada)
		if a, _ := s.answer(t, ada, "GET", "/api/me", ""); !a.TOTP {
			t.Errorf("%+v", a)
		}
		if r := s.do(t, ada, "POST", "/api/me/totp", ""); r.status != 409 {
			t.Errorf("a second app: %d", r.status)
		}
		first := func() *http.Client {
			t.Helper()
			c := s.browser(t)
			a, status := s.answer(t, c, "POST", "/admin/login", `{"username":"Ada","password":"`+memberPassword+`"}`)
			if status != 200 || !a.TOTPRequired || *a.OTPSent || a.Redirect != "" {
				t.Fatalf("password: %d %+v", status, a)
			}
			if _, status := s.answer(t, c, "GET", "/api/me", ""); status != 401 {
				t.Errorf("signed in by the password alone: %d", status)
			}
			return c
		}
		enter := func(c *http.Client, code string) int {
			t.Helper()
			return s.do(t, c, "POST", "/admin/verify-otp", `{"otp":"`+code+`"}`).status
		}
		code := appCode(t, secret, 0)
		if status := enter(s.browser(t), code); status != 401 {
			t.Errorf("a code without the password: %d", status)
		}
		c := first()
		for _, wrong := range []string{"", "000000", "no code", appCode(t, secret, time.Hour), strings.Repeat("9", 1000)} {
			if status := enter(c, wrong); status != 401 {
				t.Errorf("%q: %d", wrong, status)
			}
		}
		if status := enter(c, code); status != 200 {
			t.Fatalf("the right code: %d", status)
		}
		if a, status := s.answer(t, c, "GET", "/api/me", ""); status != 200 || a.Name != "Ada" {
			t.Errorf("signed in as %+v, %d", a, status)
		}
		if status := enter(first(), code); status != 401 {
			t.Errorf("the same code again: %d", status)
		}
		if status := enter(first(), recovery[3]); status != 200 {
			t.Errorf("a recovery code: %d", status)
		}
		if status := enter(first(), recovery[3]); status != 401 {
			t.Errorf("a used recovery code: %d", status)
		}

		// What ends the agent's sessions ends a sign-in that is halfway.
		c = first()
		id := s.update(t, "Ada", models.AgentPatch{Disabled: ref(true)}).ID
		if status := enter(c, recovery[4]); status != 401 {
			t.Errorf("disabled halfway: %d", status)
		}
		if _, err := store.UpdateAgent(t.Context(), id, models.AgentPatch{Disabled: ref(false)}); err != nil {
			t.Fatal(err)
		}
		if status := enter(c, recovery[4]); status != 401 {
			t.Errorf("enabled again: %d", status)
		}
		ada = first()
		if status := enter(ada, recovery[5]); status != 200 {
			t.Fatalf("another recovery code: %d", status)
		}
		if r := s.do(t, ada, "POST", "/api/me/totp/remove", `{"password":"x"}`); r.status != 403 {
			t.Errorf("removed with a wrong password: %d", r.status)
		}
		if r := s.do(t, ada, "POST", "/api/me/totp/remove", `{"password":"`+memberPassword+`"}`); r.status != 200 {
			t.Errorf("remove: %d %s", r.status, r.body)
		}
		s.enter(t, s.browser(t), "Ada")
		if logged := s.log.String(); strings.Contains(logged, secret) || slices.ContainsFunc(recovery, func(code string) bool { return strings.Contains(logged, code) }) {
			t.Error("a secret was logged")
		}
	})
}

// The owner of the settings needs no code from the log any more, and is not locked out: a reset removes the app.
func TestSecondFactorOfTheOwner(t *testing.T) {
	s := open(t, storetest.Open(t, "sqlite"), "ADMIN_PASSWORD", "open sesame")
	owner := s.browser(t)
	if r := s.do(t, owner, "POST", "/admin/login", `{"username":"admin","password":"open sesame"}`); r.status != 200 {
		t.Fatalf("password: %d %s", r.status, r.body)
	}
	if r := s.do(t, owner, "POST", "/admin/verify-otp", `{"otp":"`+s.lastCode(t)+`"}`); r.status != 200 {
		t.Fatalf("code: %d %s", r.status, r.body)
	}
	if _, status := s.answer(t, s.member(t, "Ada"), "POST", "/api/me/totp/confirm", `{"otp":"123456"}`); status != 409 {
		t.Errorf("confirmed nothing: %d", status)
	}
	secret, _ := s.setUpApp(t, owner)
	codes := strings.Count(s.log.String(), "SIGN-IN CODE")
	c := s.browser(t)
	if a, status := s.answer(t, c, "POST", "/admin/login", `{"username":"admin","password":"open sesame"}`); status != 200 || !a.TOTPRequired {
		t.Fatalf("%d %+v", status, a)
	}
	if r := s.do(t, c, "POST", "/admin/verify-otp", `{"otp":"`+appCode(t, secret, 0)+`"}`); r.status != 200 {
		t.Errorf("the app's code: %d %s", r.status, r.body)
	}
	if n := strings.Count(s.log.String(), "SIGN-IN CODE"); n != codes {
		t.Errorf("%d codes were sent", n-codes)
	}
	hash, err := auth.HashPassword("a new password")
	if err != nil {
		t.Fatal(err)
	}
	s.update(t, "admin", models.AgentPatch{PasswordHash: &hash, RemoveTOTP: true})
	if a, status := s.answer(t, s.browser(t), "POST", "/admin/login", `{"username":"admin","password":"a new password"}`); status != 200 || a.TOTPRequired || !*a.OTPSent {
		t.Errorf("after a reset: %d %+v", status, a)
	}
}

func TestNoSecondFactorWithoutAPassword(t *testing.T) {
	s := open(t, storetest.Open(t, "sqlite"))
	if a, status := s.answer(t, s.agent(t), "POST", "/api/me/totp", ""); status != 409 || a.Code != "CONFLICT" {
		t.Errorf("%d %+v", status, a)
	}
}
