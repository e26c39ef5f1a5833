package assets

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"sohbet/assets/locales"
)

func TestTheme(t *testing.T) {
	for _, c := range []struct{ target, cookie, want string }{
		{"/", "", ""},
		{"/", "dark", "dark"},
		{"/", "light", "light"},
		{"/", `"><script>`, ""},
		{"/?theme=light", "dark", "light"},
		{"/?theme=system", "dark", ""},
		{"/?theme=other", "dark", ""},
	} {
		r := httptest.NewRequest(http.MethodGet, c.target, nil)
		if c.cookie != "" {
			r.AddCookie(&http.Cookie{Name: ThemeCookie, Value: c.cookie})
		}
		w := httptest.NewRecorder()
		if err := Page(w, r, http.StatusOK, "notfound", PageData{}); err != nil {
			t.Fatal(err)
		}
		html := w.Body.String()
		set := strings.Contains(html, ` data-theme="`+c.want+`">`)
		if c.want == "" {
			set = !strings.Contains(html, "data-theme=")
		}
		scheme := c.want
		if scheme == "" {
			scheme = "light dark"
		}
		if !set || !strings.Contains(html, `<meta name="color-scheme" content="`+scheme+`">`) {
			t.Errorf("%+v: %s", c, html[:strings.Index(html, "<title>")])
		}
		if n := strings.Count(html, `aria-current="true"`); n != 1 {
			t.Errorf("%+v: %d themes are shown as chosen", c, n)
		}
	}
}

func TestThemeIsRemembered(t *testing.T) {
	for target, want := range map[string]string{
		"/":              "",
		"/?theme=dark":   "theme=dark; Path=/; Max-Age=31536000; SameSite=Lax",
		"/?theme=system": "theme=; Path=/; Max-Age=0; SameSite=Lax",
		"/?theme=x":      "",
	} {
		w := httptest.NewRecorder()
		remember(w, httptest.NewRequest(http.MethodGet, target, nil), "")
		if got := w.Header().Get("Set-Cookie"); got != want {
			t.Errorf("%s: Set-Cookie %q, want %q", target, got, want)
		}
	}
}

// Every locale file gives a valid text direction.
func TestDirection(t *testing.T) {
	for locale := range locales.All {
		if d := locales.All[locale]["common"]["direction"]; d != "ltr" && d != "rtl" {
			t.Errorf("%s: direction %q", locale, d)
		}
	}
	locales.All["ar"] = locales.Texts{"common": {"direction": "rtl"}}
	defer delete(locales.All, "ar")
	if direction("ar") != "rtl" || direction("tr") != "ltr" || direction("xx") != "ltr" {
		t.Error("the direction of a right-to-left language is wrong")
	}
}
