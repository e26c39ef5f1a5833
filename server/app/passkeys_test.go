package app

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"sohbet/models"
	"sohbet/models/storetest"
)

const passkeySite = "https://chat.example"

// begin asks for the options of a ceremony.
func (s *site) begin(t *testing.T, c *http.Client, path, body string) (o passkeyOptions) {
	t.Helper()
	r := s.do(t, c, "POST", path, body, "Origin", passkeySite)
	if r.into(t, &o); r.status != 200 || o.PublicKey.Challenge == "" {
		t.Fatalf("%s: %d %s", path, r.status, r.body)
	}
	return o
}

// register adds a passkey of an agent.
func (s *site) register(t *testing.T, c *http.Client) *authenticator {
	t.Helper()
	a := newAuthenticator(t, passkeySite)
	made := a.create(s.begin(t, c, "/api/me/passkeys/begin", "{}"))
	if r := s.do(t, c, "POST", "/api/me/passkeys/finish", `{"credential":`+made+`,"name":"Phone"}`, "Origin", passkeySite); r.status != 200 {
		t.Fatalf("register: %d %s", r.status, r.body)
	}
	return a
}

// present sends the answer to a sign-in's challenge.
func (s *site) present(t *testing.T, c *http.Client, answer string, headers ...string) reply {
	t.Helper()
	return s.do(t, c, "POST", "/login/passkey/finish", `{"credential":`+answer+`}`, append([]string{"Origin", passkeySite}, headers...)...)
}

func TestPasskeys(t *testing.T) {
	storetest.Each(t, func(t *testing.T, store *models.Store) {
		s := open(t, store, "PUBLIC_URL", passkeySite)
		ada := s.member(t, "Ada")
		s.setUpApp(t, ada) // which a passkey makes unnecessary
		if page := s.do(t, s.browser(t), "GET", "/login", "").body; strings.Contains(page, `id="passkey"`) {
			t.Error("the page offers passkeys while there are none")
		}
		phone, bobs := s.register(t, ada), s.register(t, s.member(t, "Bob"))
		if page := s.do(t, s.browser(t), "GET", "/login", "").body; !strings.Contains(page, `id="passkey"`) {
			t.Error("the page offers no passkeys")
		}
		signedIn := func(c *http.Client) string {
			t.Helper()
			a, status := s.answer(t, c, "GET", "/api/me", "")
			return strings.TrimSpace(a.Name + map[int]string{401: "refused"}[status])
		}
		refused := func(what string, c *http.Client, answer string, headers ...string) {
			t.Helper()
			if r := s.present(t, c, answer, headers...); r.status != 401 || r.code() != "UNAUTHORIZED" {
				t.Errorf("%s: %d %s", what, r.status, r.body)
			}
			if who := signedIn(c); who != "refused" {
				t.Errorf("%s: signed in as %s", what, who)
			}
		}
		login := func() (*http.Client, passkeyOptions) {
			t.Helper()
			c := s.browser(t)
			return c, s.begin(t, c, "/login/passkey/begin", "{}")
		}

		c, options := login()
		phone.count = 7
		answer, cookie := phone.get(options), s.cookie(t, c, "sohbet_passkey")
		if r := s.present(t, c, answer); r.status != 200 || signedIn(c) != "Ada" {
			t.Fatalf("sign-in: %d %s", r.status, r.body)
		}
		refused("replayed without the cookie", s.browser(t), answer)
		refused("replayed with the cookie", s.browser(t), answer, "Cookie", "sohbet_passkey="+cookie)

		c, options = login()
		refused("a count of signatures that stands still", c, phone.get(options))
		phone.count = 8
		_, options = login()
		other, _ := login()
		refused("the answer to another browser's challenge", other, phone.get(options))
		c, options = login()
		mixed := *phone
		mixed.handle = bobs.handle
		refused("Ada's passkey as Bob's", c, mixed.get(options))
		c, options = login()
		mixed = *phone
		mixed.key = bobs.key
		refused("forged: Ada's passkey signed by another key", c, mixed.get(options))
		c, options = login()
		mixed = *phone
		mixed.flags = 1
		refused("without user verification", c, mixed.get(options))
		c, options = login()
		mixed = *phone
		mixed.origin = "https://evil.example"
		refused("on the page of another site", c, mixed.get(options))
		c, options = login()
		options.PublicKey.RPID = "evil.example"
		refused("for another site", c, phone.get(options))
		for _, nonsense := range []string{"{}", "null", `"x"`, `{"id":"x","response":{}}`} {
			c, _ = login()
			refused("nonsense "+nonsense, c, nonsense)
		}
		if r := s.do(t, s.browser(t), "POST", "/login/passkey/begin", "{}", "Origin", "https://evil.example"); r.status != 403 {
			t.Errorf("begun by another site: %d", r.status)
		}
		made := newAuthenticator(t, passkeySite).create(s.begin(t, ada, "/api/me/passkeys/begin", "{}"))
		bob := s.browser(t)
		s.enter(t, bob, "Bob")
		swapped := []string{"Origin", passkeySite, "Cookie", "sohbet_passkey=" + s.cookie(t, ada, "sohbet_passkey") + "; sohbet_session=" + s.cookie(t, bob, "sohbet_session")}
		if r := s.do(t, s.browser(t), "POST", "/api/me/passkeys/finish", `{"credential":`+made+`}`, swapped...); r.status != 400 {
			t.Errorf("Bob finishes what Ada began: %d %s", r.status, r.body)
		}

		var list []struct {
			ID     int64
			Name   string
			UsedAt *string `json:"used_at"`
		}
		s.do(t, ada, "GET", "/api/me/passkeys", "").into(t, &list)
		if len(list) != 1 || list[0].Name != "Phone" || list[0].UsedAt == nil {
			t.Errorf("%+v", list)
		}
		var stored string
		if err := storetest.Raw(t, store).QueryRow("SELECT name || credential FROM passkeys").Scan(&stored); err != nil || strings.Contains(stored, "Phone") || strings.Contains(stored, "publicKey") {
			t.Errorf("stored as %q, %v", stored, err)
		}

		// A disabled agent, and a passkey that was removed.
		who := s.update(t, "Bob", models.AgentPatch{Disabled: ref(true)})
		c, options = login()
		refused("of a disabled agent", c, bobs.get(options))
		if _, err := store.UpdateAgent(t.Context(), who.ID, models.AgentPatch{Disabled: ref(false)}); err != nil {
			t.Fatal(err)
		}
		remove := `{"id":` + strconv.FormatInt(list[0].ID, 10) + `}`
		if r := s.do(t, bob, "POST", "/api/me/passkeys/remove", remove); r.status != 401 {
			t.Errorf("in an ended session: %d", r.status)
		}
		s.enter(t, bob, "Bob")
		if r := s.do(t, bob, "POST", "/api/me/passkeys/remove", remove); r.status != 404 {
			t.Errorf("another agent's: %d", r.status)
		}
		if r := s.do(t, ada, "POST", "/api/me/passkeys/remove", remove); r.status != 200 {
			t.Errorf("remove: %d %s", r.status, r.body)
		}
		phone.count = 9
		c, options = login()
		refused("removed", c, phone.get(options))
		for _, event := range []string{`"passkey_added"`, `"passkey_removed"`, `"event":"passkey"`} {
			if !strings.Contains(s.log.String(), event) {
				t.Errorf("%s is not in the audit log", event)
			}
		}
	})
}

// Someone with an invitation joins with a passkey instead of a password, which then is the only way in.
func TestJoinWithPasskey(t *testing.T) {
	storetest.Each(t, func(t *testing.T, store *models.Store) {
		s := open(t, store, "PUBLIC_URL", passkeySite)
		owner := s.agent(t)
		invite := func() string {
			t.Helper()
			a, _ := s.answer(t, owner, "POST", "/api/agents/invite", `{"role":"agent"}`)
			return strings.TrimPrefix(a.URL, passkeySite+"/invite/")
		}
		token, another := invite(), invite()
		c, phone := s.browser(t), newAuthenticator(t, passkeySite)
		made := phone.create(s.begin(t, c, "/api/invite/passkey", `{"token":"`+token+`","name":"Ada"}`))
		if r := s.do(t, c, "POST", "/api/invite", `{"token":"`+another+`","name":"Ada","passkey":`+made+`}`, "Origin", passkeySite); r.status != 400 {
			t.Errorf("with another invitation: %d %s", r.status, r.body)
		}
		made = phone.create(s.begin(t, c, "/api/invite/passkey", `{"token":"`+token+`","name":"Ada"}`))
		if r := s.do(t, c, "POST", "/api/invite", `{"token":"`+token+`","name":"Ada","passkey":`+made+`}`, "Origin", passkeySite); r.status != 200 {
			t.Fatalf("join: %d %s", r.status, r.body)
		}
		if a, _ := s.answer(t, c, "GET", "/api/me", ""); a.Name != "Ada" || a.Password {
			t.Errorf("%+v", a)
		}
		if r := s.do(t, s.browser(t), "POST", "/admin/login", `{"username":"Ada","password":""}`); r.status == 200 {
			t.Error("signed in with an empty password")
		}
		c = s.browser(t)
		if r := s.present(t, c, phone.get(s.begin(t, c, "/login/passkey/begin", "{}"))); r.status != 200 {
			t.Fatalf("sign-in: %d %s", r.status, r.body)
		}
		var list []struct{ ID int64 }
		s.do(t, c, "GET", "/api/me/passkeys", "").into(t, &list)
		remove := `{"id":` + strconv.FormatInt(list[0].ID, 10) + `}`
		if r := s.do(t, c, "POST", "/api/me/passkeys/remove", remove); r.status != 409 {
			t.Errorf("the only way in was removed: %d", r.status)
		}
		s.register(t, c)
		if r := s.do(t, c, "POST", "/api/me/passkeys/remove", remove); r.status != 200 {
			t.Errorf("with another passkey: %d %s", r.status, r.body)
		}
	})
}

// An owner with a passkey gets no code: everyone in the Telegram chat could sign in with it.
func TestNoCodeForOwnerWithPasskey(t *testing.T) {
	s := open(t, storetest.Open(t, "sqlite"), "PUBLIC_URL", passkeySite)
	owner, asked := s.agent(t), s.browser(t)
	if r := s.do(t, asked, "POST", "/request-otp", ""); r.status != 200 {
		t.Fatal(r.body)
	}
	code := s.lastCode(t)
	phone := s.register(t, owner)
	if r := s.do(t, asked, "POST", "/verify-otp", `{"otp":"`+code+`"}`); r.status != 401 {
		t.Errorf("a code from before: %d", r.status)
	}
	if r := s.do(t, s.browser(t), "POST", "/request-otp", ""); r.status != 403 {
		t.Errorf("a new code: %d", r.status)
	}
	c := s.browser(t)
	if r := s.present(t, c, phone.get(s.begin(t, c, "/login/passkey/begin", "{}"))); r.status != 200 {
		t.Errorf("sign-in: %d %s", r.status, r.body)
	}
	me, _ := s.store.Agent(0)
	if _, err := s.store.UpdateAgent(t.Context(), me.ID, models.AgentPatch{RemovePasskeys: true}); err != nil {
		t.Fatal(err)
	}
	s.agent(t) // by a code again
}

// What one process began, another finishes, once; and it ends sessions of the first.
func TestPasskeysOfSeveralProcesses(t *testing.T) {
	for _, dialect := range storetest.Dialects {
		t.Run(dialect, func(t *testing.T) {
			o := storetest.Options(t, dialect)
			one, other := open(t, storetest.Reopen(t, o), "PUBLIC_URL", passkeySite), open(t, storetest.Reopen(t, o), "PUBLIC_URL", passkeySite)
			ada := one.member(t, "Ada")
			phone := newAuthenticator(t, passkeySite)
			made := phone.create(one.begin(t, ada, "/api/me/passkeys/begin", "{}"))
			if r := other.do(t, ada, "POST", "/api/me/passkeys/finish", `{"credential":`+made+`}`, "Origin", passkeySite); r.status != 200 {
				t.Fatalf("register: %d %s", r.status, r.body)
			}
			c := one.browser(t)
			answer := phone.get(one.begin(t, c, "/login/passkey/begin", "{}"))
			cookie := one.cookie(t, c, "sohbet_passkey")
			if r := other.present(t, c, answer); r.status != 200 {
				t.Errorf("sign-in: %d %s", r.status, r.body)
			}
			if r := one.present(t, one.browser(t), answer, "Cookie", "sohbet_passkey="+cookie); r.status != 401 {
				t.Errorf("the same answer at the first process: %d", r.status)
			}
			if r := other.do(t, c, "POST", "/api/me/sessions/end", `{"others":true}`); r.status != 200 {
				t.Fatalf("end: %d %s", r.status, r.body)
			}
			eventually(t, "the session that was ended", func() bool { return one.do(t, ada, "GET", "/api/me", "").status == 401 })
		})
	}
}
