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
