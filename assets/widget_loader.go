package assets

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"

	"sohbet/assets/locales"
)

// LoaderSettings are what the loader on other sites has to know of this server. All of it is public.
type LoaderSettings struct {
	Sites  []string // origins that may show the chat
	Locale string   // language where neither the site nor the browser asks for one that we speak
	Name   string   // of the chat, for screen readers; "" = a default text
	Color  string   // BRAND_COLOR, #rrggbb; "" = the default
}

// Loader serves /widget.js: the modules in static/js/loader with the settings. Browsers ask each time whether it changed, so a
// site that was added to the list works at once.
func Loader(s LoaderSettings) http.Handler {
	made := sync.OnceValue(func() *file { return generatedFile("widget.js", loaderScript(s)) })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { made().serve(w, r, cacheCheck) })
}

func loaderScript(s LoaderSettings) []byte {
	if !HasLocale(s.Locale) {
		s.Locale = locales.Fallback
	}
	sites := s.Sites
	if sites == nil {
		sites = []string{}
	}
	// A few texts in every language, because all sites get the same file; the chat itself is served in one language.
	words := map[string]map[string]string{}
	for name := range locales.All {
		words[name] = map[string]string{"direction": direction(name)}
		for _, key := range []string{"title", "open", "close", "unread_one", "unread_other", "failed", "again"} {
			words[name][key], _ = locales.Lookup(name, "widget."+key)
		}
		if s.Name != "" {
			words[name]["title"] = s.Name
		}
	}
	var colors []string // of the button, light and dark: the panel's accent
	if brand, err := parseColor(s.Color); err == nil {
		for _, accent := range paletteOf(brand).accent {
			colors = append(colors, accent.String())
		}
	}
	settings, err := json.Marshal(map[string]any{"origins": sites, "locale": s.Locale, "colors": colors, "texts": words})
	if err != nil {
		panic("assets: settings of the loader: " + err.Error()) // strings always marshal
	}
	if f := staticFiles()["page/loader.js"]; f != nil {
		return fmt.Appendf(nil, "(()=>{const SETTINGS=%s;%s})();\n", settings, f.plain())
	}
	// Without go generate: the modules as they are, which browsers import.
	return fmt.Appendf(nil, "window.SETTINGS = %s;\nimport(new URL('.%s', document.currentScript.src));\n", settings, URL("js/loader/main.js"))
}
