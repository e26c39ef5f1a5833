package app

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"sohbet/models"
	"sohbet/models/storetest"
)

const oidcSite = "https://chat.example"

func openWithProvider(t *testing.T, store *models.Store, p *provider) *site {
	t.Helper()
	return open(t, store, "PUBLIC_URL", oidcSite, "OIDC_ISSUER", p.URL, "OIDC_CLIENT_ID", clientID, "OIDC_CLIENT_SECRET", clientSecret, "OIDC_NAME", "Shop <ID>")
}

// leave goes to the provider and returns what the browser takes there.
func (s *site) leave(t *testing.T, c *http.Client) url.Values {
	t.Helper()
	r := s.do(t, c, "GET", "/login/oidc", "")
	to, err := url.Parse(r.header.Get("Location"))
	if r.status != 302 || err != nil || to.Path != "/authorize" {
		t.Fatalf("%d to %q", r.status, r.header.Get("Location"))
	}
	return to.Query()
}

// comeBack returns where the server sends a browser that comes back from the provider.
func (s *site) comeBack(t *testing.T, c *http.Client, code, state string, headers ...string) string {
	t.Helper()
	r := s.do(t, c, "GET", "/login/oidc/callback?"+url.Values{"code": {code}, "state": {state}}.Encode(), "", headers...)
	if r.status != 302 {
		t.Fatalf("%d %s", r.status, r.body)
	}
	return r.header.Get("Location")
}

func TestOIDC(t *testing.T) {
	storetest.Each(t, func(t *testing.T, store *models.Store) {
		p := newProvider(t)
		s := openWithProvider(t, store, p)
		s.setUpApp(t, s.member(t, "Ada")) // whose code is not asked for
		s.member(t, "Eve")
		s.update(t, "Eve", models.AgentPatch{Disabled: ref(true)})
		if page := s.do(t, s.browser(t), "GET", "/login?lang=en", "").body; !strings.Contains(page, "Sign in with Shop &lt;ID&gt;") {
			t.Error("the page does not offer the provider")
		}

		c := s.browser(t)
		query := s.leave(t, c)
		if query.Get("code_challenge_method") != "S256" || query.Get("redirect_uri") != oidcSite+"/login/oidc/callback" || query.Get("nonce") == "" || query.Get("scope") != "openid email" {
			t.Errorf("%v", query)
		}
		code, cookie := p.authorize(query, "Ada@Example.com", nil, nil), s.cookie(t, c, "sohbet_oidc")
		if to := s.comeBack(t, c, code, query.Get("state")); to != "/admin" {
			t.Fatalf("sent to %s: %s", to, s.log.String())
		}
		if a, _ := s.answer(t, c, "GET", "/api/me", ""); a.Name != "Ada" {
			t.Errorf("signed in as %+v", a)
		}

		refused := func(what, want string, c *http.Client, code, state string, headers ...string) {
			t.Helper()
			if to := s.comeBack(t, c, code, state, headers...); to != "/login?problem="+want {
				t.Errorf("%s: sent to %s", what, to)
			}
			if r := s.do(t, c, "GET", "/api/me", ""); r.status != 401 {
				t.Errorf("%s: signed in", what)
			}
		}
		refused("replayed in another browser", "oidc_expired", s.browser(t), code, query.Get("state"))
		refused("replayed with the cookie", "oidc_refused", s.browser(t), code, query.Get("state"), "Cookie", "sohbet_oidc="+cookie)

		c, other := s.browser(t), s.browser(t)
		query, others := s.leave(t, c), s.leave(t, other)
		code = p.authorize(query, "ada@example.com", nil, nil)
		refused("another browser's state", "oidc_expired", other, code, query.Get("state"))
		refused("no state", "oidc_expired", other, code, "")
		refused("another browser's code", "oidc_refused", other, code, others.Get("state"))
		refused("no code", "oidc_refused", c, "", query.Get("state"))

		for _, wrong := range []struct {
			what, want, email string
			claims, info      map[string]any
		}{
			{"another nonce", "oidc_refused", "ada@example.com", map[string]any{"nonce": "x"}, nil},
			{"no nonce", "oidc_refused", "ada@example.com", map[string]any{"nonce": nil}, nil},
			{"a token for another audience", "oidc_refused", "ada@example.com", map[string]any{"aud": "shop"}, nil},
			{"a token for another party", "oidc_refused", "ada@example.com", map[string]any{"aud": []string{"shop", clientID}, "azp": "shop"}, nil},
			{"another issuer", "oidc_refused", "ada@example.com", map[string]any{"iss": "https://evil.example"}, nil},
			{"an expired token", "oidc_refused", "ada@example.com", map[string]any{"exp": time.Now().Add(-time.Hour).Unix()}, nil},
			{"a forged token", "oidc_refused", "ada@example.com", map[string]any{"forged": true}, nil},
			{"an address that is not verified", "oidc_unverified", "ada@example.com", map[string]any{"email_verified": false}, nil},
			{"an address that is said to be not verified", "oidc_unverified", "ada@example.com", map[string]any{"email_verified": "false"}, nil},
			{"an address of which nothing is said", "oidc_unverified", "ada@example.com", map[string]any{"email_verified": nil}, nil},
			{"a name instead of an address", "oidc_unverified", "Ada", nil, nil},
			{"no address", "oidc_unverified", "", nil, map[string]any{"sub": "7"}},
			{"another subject's user information", "oidc_refused", "", nil, map[string]any{"sub": "8", "email": "ada@example.com", "email_verified": true}},
			{"an unknown address", "oidc_unknown", "bob@example.com", nil, nil},
			{"a disabled agent", "oidc_unknown", "eve@example.com", nil, nil},
		} {
			c := s.browser(t)
			query := s.leave(t, c)
			refused(wrong.what, wrong.want, c, p.authorize(query, wrong.email, wrong.claims, wrong.info), query.Get("state"))
		}

		// The address may be in the user information instead.
		c = s.browser(t)
		query = s.leave(t, c)
		code = p.authorize(query, "", map[string]any{"email_verified": nil}, map[string]any{"sub": "7", "email": "ada@example.com", "email_verified": "true"})
		if to := s.comeBack(t, c, code, query.Get("state")); to != "/admin" {
			t.Errorf("by user information: sent to %s", to)
		}
		if page := s.do(t, s.browser(t), "GET", "/login?lang=en&problem=oidc_unknown", "").body; !strings.Contains(page, "No agent has the e-mail address") {
			t.Error("the page does not show the problem")
		}
		if r := s.do(t, s.browser(t), "GET", "/login?problem=title", ""); r.status != 200 {
			t.Errorf("an unknown problem: %d", r.status)
		}
		if log := s.log.String(); strings.Contains(log, code) || strings.Contains(log, clientSecret) || strings.Contains(log, "ada@example.com") || !strings.Contains(log, `"event":"oidc"`) {
			t.Error("a code, secret or address is in the log, or the event is not")
		}
	})
}

// A provider that is down stops neither the start nor other ways to sign in, and is asked again.
func TestOIDCProviderIsDown(t *testing.T) {
	p := newProvider(t)
	p.down.Store(true)
	s := openWithProvider(t, storetest.Open(t, "sqlite"), p)
	s.member(t, "Ada") // signs in by password
	c := s.browser(t)
	if r := s.do(t, c, "GET", "/login/oidc", ""); r.status != 302 || r.header.Get("Location") != "/login?problem=oidc_unreachable" {
		t.Fatalf("%d to %s", r.status, r.header.Get("Location"))
	}
	p.down.Store(false)
	eventually(t, "the provider", func() bool {
		return strings.HasPrefix(s.do(t, c, "GET", "/login/oidc", "").header.Get("Location"), p.URL)
	})
	query := s.leave(t, c)
	p.down.Store(true)
	if to := s.comeBack(t, c, "x", query.Get("state")); to != "/login?problem=oidc_unreachable" {
		t.Errorf("down again: sent to %s", to)
	}
}
