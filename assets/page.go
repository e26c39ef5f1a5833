package assets

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"path"
	"regexp"
	"sync"
)

// PageData is what a handler passes to a page.
type PageData struct {
	CSRFToken string
	// Base is the path prefix of this server's URLs, without trailing slash; "" = the root.
	Base string
	// Locale is the default language (DEFAULT_LOCALE); the request's own preferences take precedence.
	Locale string
	// Nonce is set on script elements when the Content-Security-Policy uses one; it may be empty.
	Nonce   string
	Version string
	Brand   Brand
	Team    Team
	// Data depends on the page: LoginData for "login", ErrorData for "error", WidgetData for "widget", nil for the others.
	Data any
}

// Brand describes the business whose chat this is. Empty fields are not set.
type Brand struct {
	Name, Greeting, Agent string
	// Color is #rrggbb as configured; /brand.css derives readable variants. In the widget it may be a button's two colours.
	Color string
	// Logo and Avatar are URLs that the page's Content-Security-Policy allows.
	Logo, Avatar string
}

// Team says when visitors may expect an answer. The event team_status sends the same to open pages.
type Team struct {
	Away         bool    `json:"away"`
	Until        *string `json:"until"` // RFC 3339; when the team opens again, if it is closed now
	UsualSeconds *int64  `json:"typical_reply_seconds"`
	Hours        bool    `json:"hours"` // whether it is away because of OPENING_HOURS
}

// LoginData says which sign-in method the server requires.
type LoginData struct {
	PasswordRequired bool
	// CodeVia says where the one-time code is sent: "telegram" or "log".
	CodeVia string
}

// ErrorData is shown on the error page: the status, and a request ID to quote if there is one.
type ErrorData struct {
	Status    int
	RequestID string
}

// WidgetData is for the chat in a frame on other sites. Sites are the origins whose messages the page's scripts accept.
type WidgetData struct{ Sites []string }

// contents lists what a page consists of besides its template.
type contents struct {
	texts   []string // locale sections that its modules use, besides "common"
	styles  []string // static/css/NAME.css, after base.css
	scripts []string // static/js/NAME.js: entry modules, in order, after theme.js
	client  bool     // whether its modules use the Socket.IO client
	file    string   // template pages/NAME.html, if it is that of another page
	minimal bool     // no theme switch and no brand: without theme.js and theme-and-brand.css
}

// pageParts lists all pages.
var pageParts = map[string]contents{
	"visitor":     {texts: []string{"talk", "visitor"}, styles: []string{"conversation", "attachments", "visitor", "visitor-standalone"}, scripts: []string{"visitor"}, client: true},
	"widget":      {texts: []string{"talk", "visitor"}, styles: []string{"conversation", "attachments", "visitor", "widget"}, scripts: []string{"widget"}, client: true, file: "visitor", minimal: true},
	"login":       {texts: []string{"login"}, styles: []string{"login-and-error"}, scripts: []string{"login"}},
	"console":     {texts: []string{"talk", "console"}, styles: []string{"conversation", "attachments", "console-dialogs", "console", "console-tools"}, scripts: []string{"console"}, client: true},
	"diagnostics": {texts: []string{"diagnostics"}, styles: []string{"diagnostics"}, scripts: []string{"diagnostics"}},
	"notfound":    {styles: []string{"login-and-error"}},
	"offline":     {styles: []string{"login-and-error"}, scripts: []string{"offline"}},
	"error":       {styles: []string{"login-and-error"}},
}

// view is the data of the templates.
type view struct {
	PageData
	Page string
	Lang string
	Dir  string
	// Theme is "light", "dark", or "" to follow the system.
	Theme string
	// TeamLine says when an answer may be expected; "" if that is unknown.
	TeamLine string
	Others   []language
	Client   *clientScript // nil if the page needs no script element for it
	Bundle   bundle
	Strings  map[string]string
}

type language struct{ Code, Name, Href string }

// pages holds one parsed template per locale and page, with keys such as "tr/visitor".
var pages = parsePages()

func parsePages() map[string]*template.Template {
	parsed := map[string]*template.Template{}
	for locale := range locales {
		for name := range pageParts {
			t := template.New("layout.html").Funcs(template.FuncMap{
				"t": func(key string) (string, error) {
					s, ok := text(locale, key)
					if !ok {
						return "", fmt.Errorf("no text %q", key)
					}
					return s, nil
				},
				"brandStyle": BrandStyleURL,
				"json": func(v any) (string, error) {
					out, err := json.Marshal(v)
					return string(out), err
				},
				"asset": func(path string) (string, error) {
					if lookup(path) == nil {
						return "", fmt.Errorf("no static file %q", path)
					}
					return URL(path), nil
				},
			})
			parsed[locale+"/"+name] = template.Must(parseTight(t, templateNames(name)))
		}
	}
	return parsed
}

var indent = regexp.MustCompile(`\n\s+`)

// parseTight parses templates after removing indentation, to save bytes.
func parseTight(t *template.Template, names []string) (*template.Template, error) {
	for _, name := range names {
		source, err := embedded.ReadFile(name)
		if err != nil {
			return nil, err
		}
		if path.Base(name) != t.Name() {
			_, err = t.New(path.Base(name)).Parse(indent.ReplaceAllString(string(source), "\n"))
		} else {
			_, err = t.Parse(indent.ReplaceAllString(string(source), "\n"))
		}
		if err != nil {
			return nil, err
		}
	}
	return t, nil
}

func templateNames(page string) []string {
	return []string{"pages/layout.html", "pages/icons.html", "pages/parts.html", "pages/" + cmp.Or(pageParts[page].file, page) + ".html"}
}

// pageStrings holds the texts that a page's modules may use, per "locale/page".
var pageStrings = sync.OnceValue(joinStrings)

func joinStrings() map[string]map[string]string {
	joined := map[string]map[string]string{}
	for locale := range locales {
		for name, parts := range pageParts {
			all := map[string]string{}
			for _, section := range append([]string{"common"}, parts.texts...) {
				// The fallback first, so that a missing text is shown in Turkish.
				for _, source := range []string{fallbackLocale, locale} {
					for key, s := range locales[source][section] {
						if full := section + "." + key; bundles().pages[name].references.text(full) {
							all[full] = s
						}
					}
				}
			}
			joined[locale+"/"+name] = all
		}
	}
	return joined
}

// Page writes a page in the language of the request. On an error nothing has been written, so that the caller can still send an
// error page.
func Page(w http.ResponseWriter, r *http.Request, status int, name string, d PageData) error {
	lang := Locale(r, d.Locale)
	t := pages[lang+"/"+name]
	if t == nil {
		return fmt.Errorf("assets: no page %q", name)
	}
	v := view{
		PageData: d, Page: name, Lang: lang, Dir: direction(lang), Theme: Theme(r), TeamLine: teamLine(lang, d.Team),
		Bundle: bundles().pages[name], Strings: pageStrings()[lang+"/"+name],
	}
	if tag := clientTag(); pageParts[name].client && tag.Src != "" {
		v.Client = &tag
	}
	for _, code := range []string{"tr", "en"} {
		if code != lang {
			endonym, _ := text(code, "common.language")
			v.Others = append(v.Others, language{Code: code, Name: endonym, Href: "?lang=" + code})
		}
	}
	if colors := r.URL.Query().Get("color"); name == "widget" && buttonColors.MatchString(colors) {
		v.Brand.Color = colors
	}
	var out bytes.Buffer
	if err := t.Execute(&out, v); err != nil {
		return fmt.Errorf("assets: page %s: %w", name, err)
	}
	body := bytes.Replace(out.Bytes(), []byte(spritePlaceholder), bundles().pages[name].references.sprite(out.Bytes()), 1)
	if name != "widget" { // in the frame the embedding site chose language and theme, not the visitor
		remember(w, r, d.Base)
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", lang)
	if h.Get("Cache-Control") == "" {
		// The page contains a CSRF token, so it must not be shared.
		h.Set("Cache-Control", "private, no-cache")
	}
	h.Add("Vary", "Accept-Language, Cookie, Accept-Encoding")
	// Compression cannot leak the CSRF token (BREACH), because the page does not repeat input of the request.
	if accepts(r.Header.Get("Accept-Encoding"), "gzip") {
		body = gzipped(body, gzip.BestCompression)
		h.Set("Content-Encoding", "gzip")
	}
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // an error means that the client has disconnected
	}
	return nil
}
