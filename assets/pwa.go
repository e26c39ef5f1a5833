package assets

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"

	"sohbet/assets/locales"
)

// WorkerPolicy is the Content-Security-Policy of /sw.js: it may only send requests to this server.
const WorkerPolicy = "default-src 'none'; connect-src 'self'; frame-ancestors 'none'"

// WorkerTypes is the name of the only Trusted Types policy that pages may create (lib/register-service-worker.js): it returns "sw.js" for any
// input.
const WorkerTypes = "sohbet-worker"

// Manifest serves /manifest.json, the web app manifest of the visitor's page, in the visitor's language. base is the path prefix
// of the server's URLs.
func Manifest(b Brand, base, fallback string) http.Handler {
	return manifest(b, base, fallback, "/", func(locale, name string) (string, string) {
		description, _ := locales.Lookup(locale, "visitor.description")
		return name, description
	})
}

// ConsoleManifest serves /admin/manifest.json, the web app manifest of the console, which is installed as an app of its own. Its
// scope includes the login page.
func ConsoleManifest(b Brand, base, fallback string) http.Handler {
	return manifest(b, base, fallback, "/admin", func(locale, name string) (string, string) {
		title, _ := locales.Lookup(locale, "console.title")
		description, _ := locales.Lookup(locale, "console.description")
		return title + " · " + name, description
	})
}

// manifest makes the web app manifest of the app that starts at a path; about returns its name and description for a brand name.
func manifest(b Brand, base, fallback, start string, about func(locale, brand string) (name, description string)) http.Handler {
	type icon struct {
		Src     string `json:"src"`
		Sizes   string `json:"sizes"`
		Type    string `json:"type"`
		Purpose string `json:"purpose"`
	}
	type contents struct {
		Name        string `json:"name"`
		ShortName   string `json:"short_name"`
		Description string `json:"description"`
		Lang        string `json:"lang"`
		Dir         string `json:"dir"`
		ID          string `json:"id"`
		Start       string `json:"start_url"`
		Scope       string `json:"scope"`
		Display     string `json:"display"`
		Background  string `json:"background_color"`
		Theme       string `json:"theme_color"`
		Icons       []icon `json:"icons"`
	}
	made := map[string]*file{}
	for locale := range locales.All {
		name := b.Name
		if name == "" {
			name, _ = locales.Lookup(locale, "common.product")
		}
		name, description := about(locale, name)
		out, err := json.MarshalIndent(contents{
			Name: name, ShortName: name, Description: description, Lang: locale, Dir: direction(locale),
			ID: base + start, Start: base + start, Scope: base + "/", Display: "standalone", Background: "#FAF8F4", Theme: "#FAF8F4",
			Icons: []icon{
				{base + "/favicon.svg", "any", "image/svg+xml", "any"}, {base + "/icon-192.png", "192x192", "image/png", "any"},
				{base + "/icon-512.png", "512x512", "image/png", "any"}, {base + "/icon-maskable-512.png", "512x512", "image/png", "maskable"},
			},
		}, "", "  ")
		if err != nil {
			panic("assets: manifest: " + err.Error()) // strings alone cannot fail
		}
		made[locale] = generatedFile("manifest.json", out)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Vary", "Accept-Language, Cookie")
		made[Locale(r, fallback)].serve(w, r, cacheCheck)
	})
}

// Worker serves the service worker /sw.js: root/sw.js, preceded by the data of this build. Its bytes change whenever static files
// do, so that browsers detect a new version.
func Worker(b Brand, base string) http.Handler {
	made := sync.OnceValue(func() *file {
		shell := []string{base + "/favicon.svg"}
		if style := BrandStyleURL(b.Color); style != "" {
			shell = append(shell, base+style)
		}
		// The visitor's page with what it loads later, and the page for no connection. Nothing of the agents'.
		for _, page := range []string{"visitor", "offline"} {
			for _, name := range slices.Concat(bundles()[page].Styles, bundles()[page].Scripts) {
				shell = append(shell, base+URL(name))
			}
		}
		for name := range staticFiles() {
			if strings.HasPrefix(name, "page/visitor-") {
				shell = append(shell, base+URL(name))
			}
		}
		slices.Sort(shell)
		shell = slices.Compact(shell)
		offline := map[string]string{}
		for locale := range locales.All {
			offline[locale] = base + "/offline?lang=" + locale
		}
		head, err := json.Marshal(map[string]any{"version": fingerprint(), "base": base, "shell": shell, "offline": offline, "fallback": locales.Fallback})
		if err != nil {
			panic("assets: worker: " + err.Error())
		}
		return generatedFile("sw.js", append([]byte("const BUILD = "+string(head)+";\n"), embeddedFile("sw.js", "root").plain()...))
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", WorkerPolicy)
		made().serve(w, r, cacheCheck)
	})
}
