package assets

import (
	"encoding/json"
	"net/http"
	"sync"

	"github.com/evanw/esbuild/pkg/api"
)

// LoaderSettings are the settings that /widget.js needs on other sites. All of them are public.
type LoaderSettings struct {
	Sites  []string // origins that may embed the chat
	Locale string   // language if neither the site nor the browser asks for an available one
	Name   string   // accessible name of the chat; "" = the default
	Color  string   // BRAND_COLOR, #rrggbb; "" = the default
}

// Loader serves /widget.js: the modules in static/js/loader, bundled and minified, with the settings inserted. Browsers
// revalidate it each time, so a site that is added to the settings works at once.
func Loader(s LoaderSettings) http.Handler {
	made := sync.OnceValue(func() *file { return generatedFile("widget.js", loaderScript(s)) })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { made().serve(w, r, cacheCheck) })
}

func loaderScript(s LoaderSettings) []byte {
	if !HasLocale(s.Locale) {
		s.Locale = fallbackLocale
	}
	sites := s.Sites
	if sites == nil {
		sites = []string{}
	}
	// A few texts in every language, because all sites get the same file; the chat itself is served in one language.
	words := map[string]map[string]string{}
	for name := range locales {
		words[name] = map[string]string{"direction": direction(name)}
		for _, key := range []string{"title", "open", "close", "unread_one", "unread_other", "failed", "again"} {
			words[name][key], _ = text(name, "widget."+key)
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
	result := build("widget", "import './js/loader/main.js';\n", api.LoaderJS, func(o *api.BuildOptions) {
		o.Format, o.Splitting = api.FormatIIFE, false
		o.Define = map[string]string{"SETTINGS": string(settings)}
	})
	return result.OutputFiles[0].Contents
}
