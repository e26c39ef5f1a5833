package assets

import (
	"encoding/json"
	"net/http"
	"sort"
	"strconv"
	"strings"
)

// LocaleCookie remembers a language chosen by ?lang=.
const LocaleCookie = "lang"

// fallbackLocale is used for a text that another language lacks, and for everything if no setting says otherwise.
const fallbackLocale = "tr"

// texts maps a locale to its texts, keyed by section ("visitor") and name.
type texts map[string]map[string]string

var locales = loadLocales("tr", "en")

func loadLocales(names ...string) map[string]texts {
	all := map[string]texts{}
	for _, name := range names {
		data, err := embedded.ReadFile("locales/" + name + ".json")
		if err != nil {
			panic("assets: " + err.Error())
		}
		var t texts
		if err := json.Unmarshal(data, &t); err != nil {
			panic("assets: locales/" + name + ".json: " + err.Error())
		}
		all[name] = t
	}
	return all
}

// HasLocale reports whether the pages are available in the language.
func HasLocale(name string) bool { return locales[name] != nil }

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
	return fallbackLocale
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

// text returns a text by "section.name", in Turkish if the language lacks it.
func text(locale, key string) (string, bool) {
	section, name, _ := strings.Cut(key, ".")
	if s, ok := locales[locale][section][name]; ok {
		return s, true
	}
	s, ok := locales[fallbackLocale][section][name]
	return s, ok
}

// direction returns "rtl" for a language whose locale file says so, otherwise "ltr".
func direction(locale string) string {
	if d, _ := text(locale, "common.direction"); d == "rtl" {
		return d
	}
	return "ltr"
}

// Text returns a text of the locale files by "section.name", for use outside of pages; "" if there is none.
func Text(locale, key string) string {
	s, _ := text(locale, key)
	return s
}
