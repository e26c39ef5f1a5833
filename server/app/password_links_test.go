package app

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"sohbet/models"
	"sohbet/models/storetest"
)

func TestPasswordLinks(t *testing.T) {
	const password, another = "a password by a link", "another password by a link"
	storetest.Each(t, func(t *testing.T, store *models.Store) {
		s := open(t, store, "RATE_LIMIT_LOGIN", "off")
		owner, ada := s.agent(t), s.member(t, "Ada")
		who, _ := store.FindAgent("Ada")
		link := func() (token string) {
			t.Helper()
			a, status := s.answer(t, owner, "POST", "/api/agents/password-link", `{"id":`+strconv.FormatInt(who.ID, 10)+`}`, "Origin", s.URL)
			token, ours := strings.CutPrefix(a.URL, s.URL+"/password/")
			if status != 200 || !ours {
				t.Fatalf("%d %+v", status, a)
			}
			return token
		}
		set := func(c *http.Client, token, password string) (profile, int) {
			t.Helper()
			return s.answer(t, c, "POST", "/api/password", `{"token":"`+token+`","password":"`+password+`"}`)
		}
		gone := func(what, token string) {
			t.Helper()
			if _, status := set(s.browser(t), token, another); status != 404 {
				t.Errorf("%s: %d", what, status)
			}
			if r := s.do(t, s.browser(t), "GET", "/password/"+token, ""); r.status != 404 {
				t.Errorf("%s, its page: %d", what, r.status)
			}
		}
		first, token := link(), link()
		gone("a link before the newest", first)
		if r := s.do(t, s.browser(t), "GET", "/password/"+token, ""); r.status != 200 || !strings.Contains(r.body, "Ada") {
			t.Errorf("page: %d", r.status)
		}
		if r := s.do(t, s.browser(t), "POST", "/api/invite", `{"token":"`+token+`","name":"Eve","password":"`+password+`"}`); r.status != 404 {
			t.Errorf("as an invitation: %d", r.status)
		}
		invited, _ := s.answer(t, owner, "POST", "/api/agents/invite", `{"role":"owner"}`, "Origin", s.URL)
		gone("an invitation", strings.TrimPrefix(invited.URL, s.URL+"/invite/"))
		c := s.browser(t)
		if _, status := set(c, token, "short"); status != 400 {
			t.Errorf("a short password: %d", status)
		}
		if a, status := set(c, token, password); status != 200 || a.Redirect != "/admin" {
			t.Fatalf("%d %+v", status, a)
		}
		gone("a used link", token)
		if a, _ := s.answer(t, c, "GET", "/api/me", ""); a.Name != "Ada" {
			t.Errorf("signed in as %+v", a)
		}
		if r := s.do(t, ada, "GET", "/api/me", ""); r.status != 401 {
			t.Errorf("the earlier session: %d", r.status)
		}
		for entered, want := range map[string]int{password: 200, memberPassword: 401} {
			if r := s.do(t, s.browser(t), "POST", "/admin/login", `{"username":"Ada","password":"`+entered+`"}`); r.status != want {
				t.Errorf("sign-in with %q: %d", entered, r.status)
			}
		}

		// What changes the agent ends the link.
		token = link()
		s.update(t, "Ada", models.AgentPatch{Role: ref(models.RoleOwner)})
		gone("after another role", token)
		token = link()
		s.update(t, "Ada", models.AgentPatch{Disabled: ref(true)})
		gone("disabled", token)
		if _, err := store.UpdateAgent(t.Context(), who.ID, models.AgentPatch{Disabled: ref(false)}); err != nil {
			t.Fatal(err)
		}
		gone("enabled again", token)

		// The link does not replace the authenticator app.
		c = s.browser(t)
		if r := s.do(t, c, "POST", "/admin/login", `{"username":"Ada","password":"`+password+`"}`); r.status != 200 {
			t.Fatal(r.body)
		}
		secret, _ := s.setUpApp(t, c)
		c, token = s.browser(t), link()
		if a, status := set(c, token, another); status != 200 || !a.TOTPRequired || a.Redirect != "" {
			t.Fatalf("with an app: %d %+v", status, a)
		}
		if r := s.do(t, c, "GET", "/api/me", ""); r.status != 401 {
			t.Errorf("signed in without the app's code: %d", r.status)
		}
		if r := s.do(t, c, "POST", "/admin/verify-otp", `{"otp":"`+appCode(t, secret, 0)+`"}`); r.status != 200 {
			t.Errorf("the app's code: %d %s", r.status, r.body)
		}
		if log := s.log.String(); strings.Contains(log, token) || strings.Contains(log, another) || !strings.Contains(log, "password_set_by_link") {
			t.Error("a token or a password is in the log, or the event is not")
		}
	})
}
