package assets

import (
	"net/http"
	"sort"
	"strconv"
	"strings"

	"sohbet/assets/locales"
)

// LocaleCookie remembers a language chosen by ?lang=.
const LocaleCookie = "lang"

// HasLocale reports whether the pages are available in the language.
func HasLocale(name string) bool { return locales.All[name] != nil }

// Locale chooses the language of a response: ?lang=, then the cookie, then Accept-Language, then fallback (the DEFAULT_LOCALE
// setting), then Turkish.
func Locale(r *http.Request, fallback string) string {
	if lang := r.URL.Query().Get("lang"); HasLocale(lang) {
		return lang
	}
	if c, err := r.Cookie(LocaleCookie); err == nil && HasLocale(c.Value) {
		return c.Value
	}
	if lang := fromAccept(r.Header.Get("Accept-Language")); lang != "" {
		return lang
	}
	if HasLocale(fallback) {
		return fallback
	}
	return locales.Fallback
}

// fromAccept returns the available language with the highest weight in an Accept-Language header, or "".
func fromAccept(header string) string {
	type choice struct {
		lang   string
		weight float64
	}
	var choices []choice
	for _, part := range strings.Split(header, ",") {
		tag, params, _ := strings.Cut(strings.TrimSpace(part), ";")
		lang, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(tag)), "-")
		if !HasLocale(lang) {
			continue
		}
		weight := 1.0
		if q, found := strings.CutPrefix(strings.TrimSpace(params), "q="); found {
			parsed, err := strconv.ParseFloat(q, 64)
			if err != nil {
				continue
			}
			weight = parsed
		}
		if weight > 0 {
			choices = append(choices, choice{lang, weight})
		}
	}
	if len(choices) == 0 {
		return ""
	}
	sort.SliceStable(choices, func(i, j int) bool { return choices[i].weight > choices[j].weight })
	return choices[0].lang
}

// direction returns "rtl" for a language whose locale file says so, otherwise "ltr".
func direction(locale string) string {
	if d, _ := locales.Lookup(locale, "common.direction"); d == "rtl" {
		return d
	}
	return "ltr"
}
