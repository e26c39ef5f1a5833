package assets

import "net/http"

// ThemeCookie stores a theme chosen by ?theme= or by js/theme.js: "light" or "dark". Without it a page follows the system.
const ThemeCookie = "theme"

// Theme returns the theme of a response: "light", "dark", or "" to follow the system. ?theme= takes precedence over the cookie.
func Theme(r *http.Request) string {
	chosen := r.URL.Query().Get("theme")
	if chosen == "" {
		if c, err := r.Cookie(ThemeCookie); err == nil {
			chosen = c.Value
		}
	}
	if chosen != "light" && chosen != "dark" {
		return ""
	}
	return chosen
}

// remember stores the choices of ?lang= and ?theme= in cookies for a year.
func remember(w http.ResponseWriter, r *http.Request, base string) {
	keep := func(name, value string, seconds int) {
		http.SetCookie(w, &http.Cookie{Name: name, Value: value, Path: base + "/", MaxAge: seconds, SameSite: http.SameSiteLaxMode})
	}
	const year = 365 * 24 * 3600
	q := r.URL.Query()
	if lang := q.Get("lang"); HasLocale(lang) {
		keep(LocaleCookie, lang, year)
	}
	switch theme := q.Get("theme"); theme {
	case "light", "dark":
		keep(ThemeCookie, theme, year)
	case "system":
		keep(ThemeCookie, "", -1)
	}
}
