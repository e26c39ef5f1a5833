package app

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"sohbet/models"
	"sohbet/models/storetest"
	"sohbet/server/auth"
)

func ref[T any](v T) *T { return &v }

const memberPassword = "a password of a member"

// member adds an agent with memberPassword, signs in and returns the browser.
func (s *site) member(t *testing.T, name string) *http.Client {
	t.Helper()
	hash, err := auth.HashPassword(memberPassword)
	if err != nil {
		t.Fatal(err)
	}
	a := models.Agent{Name: name, Email: strings.ToLower(name) + "@example.com", Role: models.RoleAgent, PasswordHash: hash}
	if _, err := s.store.AddAgent(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	c := s.browser(t)
	s.enter(t, c, name)
	return c
}

// enter signs a member in.
func (s *site) enter(t *testing.T, c *http.Client, username string) {
	t.Helper()
	if r := s.do(t, c, "POST", "/admin/login", `{"username":"`+username+`","password":"`+memberPassword+`"}`); r.status != 200 {
		t.Fatalf("sign-in of %s: %d %s", username, r.status, r.body)
	}
}

func (s *site) update(t *testing.T, name string, p models.AgentPatch) models.Agent {
	t.Helper()
	a, found := s.store.FindAgent(name)
	if !found {
		t.Fatalf("no agent %s", name)
	}
	a, err := s.store.UpdateAgent(t.Context(), a.ID, p)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// profile is the answer of /api/me.
type profile struct {
	ID                         int64
	Name, Email, Role, Locale  string
	Online, Disabled, Password bool
	Success                    *bool
	Error, Code                string
	OTPSent                    *bool `json:"otp_sent"`
	TOTP                       bool
	TOTPRequired               bool `json:"totp_required"`
	Redirect, URL, ExpiresAt   string
	AvatarURL                  string `json:"avatar_url"`
}

func (s *site) answer(t *testing.T, c *http.Client, method, path, body string, headers ...string) (a profile, status int) {
	t.Helper()
	r := s.do(t, c, method, path, body, headers...)
	r.into(t, &a)
	return a, r.status
}

// Members sign in with name or e-mail address and password alone. The chat of the operators gets no code of theirs.
func TestMembersSignIn(t *testing.T) {
	storetest.Each(t, func(t *testing.T, store *models.Store) {
		s := open(t, store)
		if r := s.do(t, s.browser(t), "POST", "/admin/login", `{"username":"Ada","password":"x"}`); r.status != 403 {
			t.Errorf("while no agent has a password: %d %s", r.status, r.body)
		}
		s.member(t, "Ada")
		login := func(username, password string) (profile, int) {
			return s.answer(t, s.browser(t), "POST", "/admin/login", `{"username":"`+username+`","password":"`+password+`"}`)
		}
		for _, username := range []string{"Ada", "ADA", " ada ", "Ada@Example.com"} {
			if a, status := login(username, memberPassword); status != 200 || *a.OTPSent || a.Redirect != "/admin" {
				t.Errorf("%q: %d %+v", username, status, a)
			}
		}
		for _, wrong := range [][2]string{{"Ada", "x"}, {"Ad", memberPassword}, {"ada@example", memberPassword}, {"", memberPassword}, {"admin", memberPassword}, {"admin", ""}} {
			if a, status := login(wrong[0], wrong[1]); status != 401 || a.Error == "" {
				t.Errorf("%q, %q: %d", wrong[0], wrong[1], status)
			}
		}
		for _, username := range []string{"Ada", "ada@example.com", "nobody"} {
			if r := s.do(t, s.browser(t), "POST", "/request-otp", `{"username":"`+username+`"}`); r.status != 403 {
				t.Errorf("a code for %s: %d", username, r.status)
			}
		}
		if strings.Contains(s.log.String(), "SIGN-IN CODE") {
			t.Error("a code was sent")
		}
		for _, body := range []string{`{"username":"ADMIN"}`, "what an older client sends"} {
			if r := s.do(t, s.browser(t), "POST", "/request-otp", body); r.status != 200 {
				t.Errorf("a code for the owner, %q: %d %s", body, r.status, r.body)
			}
		}
		s.agent(t)
		s.update(t, "Ada", models.AgentPatch{Disabled: ref(true)})
		if _, status := login("Ada", memberPassword); status == 200 {
			t.Errorf("disabled: %d", status)
		}
	})
}

// The owner who has a password enters a code after it, like before there were other agents.
func TestOwnerSignsInAmongMembers(t *testing.T) {
	s := open(t, storetest.Open(t, "sqlite"), "ADMIN_PASSWORD", "open sesame", "ADMIN_USERNAME", "shop@example.com")
	s.member(t, "Ada")
	for _, username := range []string{"shop@example.com", "shop", "SHOP@example.com"} {
		c := s.browser(t)
		if a, status := s.answer(t, c, "POST", "/admin/login", `{"username":"`+username+`","password":"open sesame"}`); status != 200 || !*a.OTPSent || a.Redirect != "" {
			t.Fatalf("%s: %d %+v", username, status, a)
		}
		if _, status := s.answer(t, c, "GET", "/api/me", ""); status != 401 {
			t.Errorf("%s after the password alone: %d", username, status)
		}
		if r := s.do(t, c, "POST", "/admin/verify-otp", `{"otp":"`+s.lastCode(t)+`"}`); r.status != 200 {
			t.Errorf("%s with a code: %d %s", username, r.status, r.body)
		}
		if a, _ := s.answer(t, c, "GET", "/api/me", ""); a.Name != "shop" || a.Email != "shop@example.com" || a.Role != "owner" || !a.Password {
			t.Errorf("%s is %+v", username, a)
		}
	}
	owner, _ := s.store.Agent(0)
	if _, err := s.store.AddAgent(t.Context(), models.Agent{Name: "Eve", Role: models.RoleOwner}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.store.UpdateAgent(t.Context(), owner.ID, models.AgentPatch{Disabled: ref(true)}); err != nil {
		t.Fatal(err)
	}
	if r := s.do(t, s.browser(t), "POST", "/admin/login", `{"username":"shop","password":"open sesame"}`); r.status != 401 {
		t.Errorf("disabled, by password: %d", r.status)
	}
	if r := s.do(t, s.browser(t), "POST", "/request-otp", ""); r.status != 403 {
		t.Errorf("disabled, by code: %d", r.status)
	}
}

// A disabled agent's consoles are disconnected on every process and say why; a member's role is checked as it is now.
func TestDisablingEndsConsoles(t *testing.T) {
	for _, dialect := range storetest.Dialects {
		t.Run(dialect, func(t *testing.T) {
			o := storetest.Options(t, dialect)
			o.Keys = []string{testKey}
			one, other := open(t, storetest.Reopen(t, o)), open(t, storetest.Reopen(t, o))
			owner, ada := one.agent(t), one.member(t, "Ada")
			cookie := []string{"Cookie", "sohbet_session=" + one.cookie(t, ada, "sohbet_session")}
			eventually(t, "a new agent", func() bool {
				_, status := other.answer(t, other.browser(t), "GET", "/api/me", "", cookie...)
				return status == 200
			})
			here, there := one.socket(t, ada), other.socket(t, other.browser(t), cookie...)
			stays := other.socket(t, other.browser(t), "Cookie", "sohbet_session="+one.cookie(t, owner, "sohbet_session"))
			for _, so := range []*socket{here, there, stays} {
				if a := so.emit("admin_join", ""); !a.OK {
					t.Fatal(a.raw)
				}
			}
			me, _ := one.answer(t, ada, "GET", "/api/me", "")
			if !me.Online || me.Role != "agent" {
				t.Errorf("connected, yet %+v", me)
			}
			r := one.do(t, owner, "POST", "/api/agents/update", `{"id":`+strconv.FormatInt(me.ID, 10)+`,"disabled":true}`)
			if r.status != 200 {
				t.Fatal(r.body)
			}
			for name, so := range map[string]*socket{"the same process": here, "another process": there} {
				if p := so.received("error"); !strings.Contains(p, `"unauthorized"`) || !strings.Contains(p, `"reason":"disabled"`) {
					t.Errorf("%s sent %s", name, p)
				}
				so.await(func(p string) bool { return p == "41" || p == "1" || p == "closed" })
			}
			if _, status := other.answer(t, other.browser(t), "GET", "/api/me", "", cookie...); status != 401 {
				t.Errorf("HTTP afterwards: %d", status)
			}
			if a := stays.emit("set_away", `{"away":false}`); !a.OK {
				t.Errorf("the owner's console: %s", a.raw)
			}
		})
	}
}

// What an agent may do follows from the role at that moment, and what is stored says who did it.
func TestRolesAndAuthors(t *testing.T) {
	storetest.Each(t, func(t *testing.T, store *models.Store) {
		s := open(t, store)
		seed(t, store, threadA, "Ada", "first")
		member := s.member(t, "Defne")
		so := s.socket(t, member)
		for event, more := range map[string]string{"message_to_visitor": `"text":"by socket"`, "note": `"text":"x"`, "set_status": `"status":"closed"`, "block_thread": ""} {
			if a := so.emit(event, strings.Replace(inThreadB(more), threadB, threadA, 1)); !a.OK {
				t.Errorf("%s: %s", event, a.raw)
			}
		}
		if r := s.do(t, member, "POST", "/api/messages/send", `{"thread_id":"`+threadA+`","text":"by HTTP"}`); r.status != 200 {
			t.Error(r.body)
		}
		defne, _ := store.FindAgent("defne")
		by := models.AgentID(defne.ID)
		list, _, err := store.Messages(t.Context(), threadA, models.MessageQuery{})
		if err != nil || len(list) != 3 || list[0].AgentID != 0 || list[1].AgentID != by || list[2].AgentID != by {
			t.Errorf("messages %+v, %v", list, err)
		}
		notes, err := store.Notes(t.Context(), threadA)
		if err != nil || len(notes) != 1 || notes[0].AgentID != by || notes[0].Author != "Defne" {
			t.Errorf("notes %+v, %v", notes, err)
		}
		if th, err := store.Thread(t.Context(), threadA); err != nil || th.StatusBy != by {
			t.Errorf("closed by %d, %v", th.StatusBy, err)
		}
		if blocks, err := store.Blocks(t.Context()); err != nil || len(blocks) != 1 || blocks[0].AgentID != by {
			t.Errorf("blocks %+v, %v", blocks, err)
		}
		if r := s.do(t, member, "POST", "/api/messages/clear_all", ""); r.status != 403 {
			t.Errorf("clear_all by an agent: %d", r.status)
		}
		s.update(t, "Defne", models.AgentPatch{Role: ref(models.RoleOwner)})
		if p := so.received("error"); !strings.Contains(p, "unauthorized") || strings.Contains(p, "reason") {
			t.Errorf("a new role: %s", p)
		}
		s.enter(t, member, "Defne")
		if r := s.do(t, member, "POST", "/api/messages/clear_all", ""); r.status != 200 {
			t.Errorf("clear_all by an owner: %d %s", r.status, r.body)
		}
		s.update(t, "Defne", models.AgentPatch{Role: ref(models.RoleAgent)})
		if r := s.do(t, member, "POST", "/api/messages/clear_all", ""); r.status != 401 {
			t.Errorf("clear_all with the session of a former owner: %d", r.status)
		}
	})
}

func TestInvitations(t *testing.T) {
	storetest.Each(t, func(t *testing.T, store *models.Store) {
		s := open(t, store)
		owner := s.agent(t)
		invite := func(c *http.Client, body string) (link *url.URL) {
			t.Helper()
			a, status := s.answer(t, c, "POST", "/api/agents/invite", body, "Origin", s.URL)
			link, err := url.Parse(a.URL)
			if status != 200 || err != nil || !strings.HasPrefix(a.URL, s.URL+"/invite/") {
				t.Fatalf("%d %+v, %v", status, a, err)
			}
			return link
		}
		join := func(c *http.Client, link *url.URL, name, more string) (profile, int) {
			t.Helper()
			token := strings.TrimPrefix(link.Path, "/invite/")
			return s.answer(t, c, "POST", "/api/invite", `{"token":"`+token+`","name":"`+name+`","password":"`+memberPassword+`"`+more+`}`)
		}
		link := invite(owner, `{"role":"agent","email":"Ada@example.com"}`)
		page := s.do(t, s.browser(t), "GET", link.Path, "")
		if page.status != 200 || !strings.Contains(page.body, `value="Ada@example.com"`) {
			t.Errorf("page: %d %.300s", page.status, page.body)
		}
		for what, more := range map[string]string{"a name with @": "", "no address": `,"email":"x"`} {
			name := "Ada"
			if more == "" {
				name = "a@b"
			}
			if _, status := join(s.browser(t), link, name, more); status != 400 {
				t.Errorf("%s: %d", what, status)
			}
		}
		if a, status := join(s.browser(t), link, "ADMIN", ""); status != 409 || a.Code != "NAME_TAKEN" {
			t.Errorf("the owner's name: %d %s", status, a.Code)
		}
		c := s.browser(t)
		if a, status := join(c, link, "Ada", ""); status != 200 || a.Redirect != "/admin" {
			t.Fatalf("join: %d %+v", status, a)
		}
		if a, _ := s.answer(t, c, "GET", "/api/me", ""); a.Name != "Ada" || a.Email != "ada@example.com" || a.Role != "agent" || !a.Password {
			t.Errorf("joined as %+v", a)
		}
		if _, status := join(s.browser(t), link, "Eve", ""); status != 404 {
			t.Errorf("a second time: %d", status)
		}
		if r := s.do(t, s.browser(t), "GET", link.Path, ""); r.status != 404 || strings.Contains(r.body, "<form") {
			t.Errorf("the page of a used invitation: %d", r.status)
		}
		if a, status := s.answer(t, owner, "POST", "/api/agents/invite", `{"role":"agent","email":"ADA@example.com"}`); status != 409 || a.Code != "EMAIL_TAKEN" {
			t.Errorf("inviting a member: %d %s", status, a.Code)
		}

		second := invite(owner, `{"role":"owner"}`)
		eve := s.browser(t)
		if _, status := join(eve, second, "Eve", ""); status != 200 {
			t.Fatal(status)
		}
		byEve, late := invite(eve, `{"role":"owner"}`), invite(owner, `{"role":"agent"}`)
		s.update(t, "Eve", models.AgentPatch{Role: ref(models.RoleAgent)})
		if _, status := join(s.browser(t), byEve, "Mallory", ""); status != 404 {
			t.Errorf("an invitation by a former owner: %d", status)
		}
		if _, err := storetest.Raw(t, store).Exec("UPDATE invitations SET expires_at = '2020-01-01 00:00:00+00:00'"); err != nil {
			t.Fatal(err)
		}
		if _, status := join(s.browser(t), late, "Mallory", ""); status != 404 {
			t.Errorf("an expired invitation: %d", status)
		}
		for _, l := range []*url.URL{link, second, byEve, late} {
			if token := strings.TrimPrefix(l.Path, "/invite/"); strings.Contains(s.log.String(), token) {
				t.Error("a token is in the log")
			}
		}
		if !strings.Contains(s.log.String(), `"route":"/invite/:token"`) || strings.Contains(s.log.String(), memberPassword) {
			t.Error("the log lacks the route, or has a password")
		}
	})
}

// Two guests use one invitation at the same time: one of them joins.
func TestInvitationIsUsedOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, store *models.Store) {
		s := open(t, store)
		token, _, err := store.Invite(t.Context(), models.RoleAgent, "", 0)
		if err != nil {
			t.Fatal(err)
		}
		statuses := make(chan int, 2)
		for _, name := range []string{"Ada", "Eve"} {
			c := s.browser(t)
			go func() {
				statuses <- s.do(t, c, "POST", "/api/invite", `{"token":"`+token+`","name":"`+name+`","password":"`+memberPassword+`"}`).status
			}()
		}
		if a, b := <-statuses, <-statuses; a+b != 200+404 || len(store.Agents()) != 2 {
			t.Errorf("%d and %d, %d agents", a, b, len(store.Agents()))
		}
	})
}

func TestOwnAccount(t *testing.T) {
	storetest.Each(t, func(t *testing.T, store *models.Store) {
		s := open(t, store)
		ada, elsewhere := s.member(t, "Ada"), s.browser(t)
		s.enter(t, elsewhere, "Ada")
		so := s.socket(t, elsewhere)
		change := func(body string) (profile, int) {
			t.Helper()
			return s.answer(t, ada, "POST", "/api/me", body)
		}
		if a, status := change(`{"name":"Ada L.","email":"New@Example.com","locale":"en"}`); status != 200 || a.Name != "Ada L." || a.Email != "new@example.com" || a.Locale != "en" {
			t.Errorf("%d %+v", status, a)
		}
		for body, want := range map[string]string{
			`{"name":"admin"}`: "NAME_TAKEN", `{"name":""}`: "VALIDATION_FAILED", `{"email":"a b"}`: "VALIDATION_FAILED", `{"email":"a@"}`: "VALIDATION_FAILED",
			`{"password":"another password"}`: "WRONG_PASSWORD", `{"password":"another password","current_password":"x"}`: "WRONG_PASSWORD",
			`{"password":"short","current_password":"` + memberPassword + `"}`: "VALIDATION_FAILED",
		} {
			if a, _ := change(body); a.Code != want {
				t.Errorf("%s: %s, want %s", body, a.Code, want)
			}
		}
		if a, status := s.answer(t, elsewhere, "GET", "/api/me", ""); status != 200 || a.Name != "Ada L." {
			t.Errorf("elsewhere: %d %+v", status, a)
		}
		if a, status := change(`{"password":"another password","current_password":"` + memberPassword + `"}`); status != 200 || a.Name != "Ada L." {
			t.Fatalf("%d %+v", status, a)
		}
		if _, status := s.answer(t, ada, "GET", "/api/me", ""); status != 200 {
			t.Errorf("this browser after a new password: %d", status)
		}
		if _, status := s.answer(t, elsewhere, "GET", "/api/me", ""); status != 401 {
			t.Errorf("another browser after a new password: %d", status)
		}
		if p := so.received("error"); !strings.Contains(p, "unauthorized") {
			t.Errorf("its console: %s", p)
		}
		// The owner has no password, and may set one.
		owner := s.agent(t)
		if a, status := s.answer(t, owner, "POST", "/api/me", `{"password":"a first password"}`); status != 200 || !a.Password {
			t.Errorf("a first password: %d %+v", status, a)
		}
		if r := s.do(t, s.browser(t), "POST", "/request-otp", ""); r.status != 403 {
			t.Errorf("a code alone, with a password: %d", r.status)
		}
	})
}

// eventually waits until something holds, which another process has changed.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(300 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not noticed", what)
		}
	}
}
