package assets

import (
	"bytes"
	"cmp"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"

	"sohbet/assets/locales"
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
	// Unnamed is the id of the owner made from the settings while it has the name it signs in with; visitors see the team instead. 0 = none.
	Unnamed int64
	// Data depends on the page: LoginData for "login", InviteData for "invite", PasswordData for "password", PeopleData for "people", AuditData for "audit", ErrorData for
	// "error", WidgetData for "widget", nil for the others.
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
	PasswordRequired bool   // some agents have one
	CodeAllowed      bool   // the owner has neither that nor a passkey, and signs in with only a code
	Passkeys         bool   // some agents have passkeys
	OIDC             string // name of the OpenID Connect provider; "" = none
	NoForm           bool   // neither a password nor a code signs anyone in
	Problem          string // key of the text for what went wrong at the provider; "" = nothing
	// CodeVia says where the one-time code is sent: "telegram" or "log".
	CodeVia string
}

// InviteData says whether an invitation is valid, and for which e-mail address it was made; "" = any.
type InviteData struct {
	Valid bool
	Email string
}

// PasswordData names the agent who sets a new password; "" = the link is not valid.
type PasswordData struct{ Name string }

// PeopleData says whether agents can link Telegram accounts.
type PeopleData struct{ Telegram bool }

// AuditData lists the events that the page of the audit log filters by.
type AuditData struct{ Events []string }

// ErrorData is shown on the error page: the status, and a request ID to quote if there is one.
type ErrorData struct {
	Status    int
	RequestID string
}

// WidgetData is for the chat in a frame on other sites. Sites are the origins whose messages the page's scripts accept.
type WidgetData struct{ Sites []string }

// PageParts is what a page consists of besides its template.
type PageParts struct {
	texts   []string // sections of the locales that its modules need besides "common"
	styles  []string // static/css/NAME.css, after base.css
	scripts []string // static/js/NAME.js: entry modules, in order, after theme.js
	client  bool     // whether its modules use the Socket.IO client
	file    string   // template pages/NAME.html, if it is that of another page
	minimal bool     // no theme switch and no brand: without theme.js and theme-and-brand.css
}

// AllStyles lists the style sheets, static/css/NAME.css, in order.
func (p PageParts) AllStyles() []string {
	if p.minimal {
		return append([]string{"base"}, p.styles...)
	}
	return append([]string{"base", "theme-and-brand"}, p.styles...)
}

// AllScripts lists the entry modules, static/js/NAME.js, in order.
func (p PageParts) AllScripts() []string {
	if p.minimal {
		return p.scripts
	}
	return append([]string{"theme"}, p.scripts...)
}

// TextKeys lists the texts that a page's modules may ask for, such as "talk.send", sorted.
func TextKeys(page string) []string {
	keys := map[string]bool{}
	for _, all := range locales.All {
		for _, section := range append([]string{"common"}, Pages[page].texts...) {
			for name := range all[section] {
				keys[section+"."+name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(keys))
}

// IconNames lists the icons of pages/icons.svg.
func IconNames() []string {
	var names []string
	for line := range strings.Lines(iconSource) {
		if name := iconName(line); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// Templates returns the parsed templates of a language by page. Their execution begins at "layout.html".
func Templates() map[string]*template.Template {
	all := map[string]*template.Template{}
	for page := range Pages {
		all[page] = pages[locales.Fallback+"/"+page]()
	}
	return all
}

// UsesClient reports whether the modules use the Socket.IO client.
func (p PageParts) UsesClient() bool { return p.client }

// Pages are all pages by name.
var Pages = map[string]PageParts{
	"visitor":     {texts: []string{"talk", "visitor"}, styles: []string{"conversation", "attachments", "visitor", "visitor-standalone"}, scripts: []string{"visitor"}, client: true},
	"widget":      {texts: []string{"talk", "visitor"}, styles: []string{"conversation", "attachments", "visitor", "widget"}, scripts: []string{"widget"}, client: true, file: "visitor", minimal: true},
	"login":       {texts: []string{"login"}, styles: []string{"login-and-error"}, scripts: []string{"login"}},
	"invite":      {texts: []string{"invite"}, styles: []string{"login-and-error"}, scripts: []string{"invite"}},
	"password":    {texts: []string{"password"}, styles: []string{"login-and-error"}, scripts: []string{"password"}},
	"console":     {texts: []string{"talk", "console"}, styles: []string{"conversation", "attachments", "console-dialogs", "console", "console-tools"}, scripts: []string{"console"}, client: true},
	"settings":    {texts: []string{"settings"}, styles: []string{"console-dialogs", "people", "settings"}, scripts: []string{"settings"}},
	"people":      {texts: []string{"people"}, styles: []string{"console-dialogs", "people"}, scripts: []string{"people"}},
	"audit":       {texts: []string{"people", "audit"}, styles: []string{"console-dialogs", "people", "audit"}, scripts: []string{"audit"}},
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
	Client   *clientScript // nil where the page needs no script element for it
	Bundle   Bundle
	Sprite   template.HTML // the icons that the page uses
	Strings  map[string]string
}

type language struct{ Code, Name, Href string }

// pages parse one template per locale and page when it is first needed, with keys such as "tr/visitor".
var pages = func() map[string]func() *template.Template {
	parsed := map[string]func() *template.Template{}
	for locale := range locales.All {
		for name := range Pages {
			parsed[locale+"/"+name] = sync.OnceValue(func() *template.Template { return parsePage(locale, name) })
		}
	}
	return parsed
}()

func parsePage(locale, name string) *template.Template {
	t := template.New("layout.html").Funcs(template.FuncMap{
		"t": func(key string, pairs ...string) (string, error) {
			if _, ok := locales.Lookup(locale, key); !ok {
				return "", fmt.Errorf("no text %q", key)
			}
			return locales.Text(locale, key, pairs...), nil
		},
		"brandStyle": BrandStyleURL,
		"json": func(v any) (string, error) {
			out, err := json.Marshal(v)
			return string(out), err
		},
		"asset": func(path string) (string, error) {
			if staticFiles()[path] == nil {
				return "", fmt.Errorf("no static file %q", path)
			}
			return URL(path), nil
		},
	})
	return template.Must(parseTight(t, templateNames(name)))
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
	return []string{"pages/layout.html", "pages/parts.html", "pages/" + cmp.Or(Pages[page].file, page) + ".html"}
}

// iconSource is all icons as one hidden element that <use> elements refer to, an icon per line.
//
//go:embed pages/icons.svg
var iconSource string

// iconName returns the name of the icon on a line of iconSource, or "" if there is none.
func iconName(line string) string {
	rest, found := strings.CutPrefix(line, `<symbol id="i-`)
	if !found {
		return ""
	}
	name, _, _ := strings.Cut(rest, `"`)
	return name
}

// sprites are the icons of each page.
var sprites = eachPage(func(page string) template.HTML {
	wanted := bundles()[page].Icons
	var out strings.Builder
	for line := range strings.Lines(iconSource) {
		if name := iconName(line); name == "" || wanted == nil || slices.Contains(wanted, name) {
			out.WriteString(line)
		}
	}
	return template.HTML(strings.TrimSpace(out.String())) // our own markup
})

// pageStrings are the texts that a page's modules may ask for, by language and page.
var pageStrings = func() map[string]map[string]func() map[string]string {
	all := map[string]map[string]func() map[string]string{}
	for locale := range locales.All {
		all[locale] = eachPage(func(page string) map[string]string { return joinStrings(locale, page) })
	}
	return all
}()

func joinStrings(locale, page string) map[string]string {
	all := map[string]string{}
	wanted := bundles()[page].Texts
	for _, section := range append([]string{"common"}, Pages[page].texts...) {
		// The fallback first, so that a missing text is shown in Turkish.
		for _, source := range []string{locales.Fallback, locale} {
			for key, s := range locales.All[source][section] {
				if full := section + "." + key; wanted == nil || slices.Contains(wanted, full) {
					all[full] = s
				}
			}
		}
	}
	return all
}

// eachPage returns functions that call made for a page when it is first needed.
func eachPage[T any](made func(page string) T) map[string]func() T {
	all := map[string]func() T{}
	for page := range Pages {
		all[page] = sync.OnceValue(func() T { return made(page) })
	}
	return all
}

// Page writes one of Pages in the language of the request. Nothing is written when it fails, so
// the caller can still answer with an error.
func Page(w http.ResponseWriter, r *http.Request, status int, name string, d PageData) error {
	lang := Locale(r, d.Locale)
	parsed := pages[lang+"/"+name]
	if parsed == nil {
		return fmt.Errorf("assets: no page %q", name)
	}
	v := view{
		PageData: d, Page: name, Lang: lang, Dir: direction(lang), Theme: Theme(r), TeamLine: teamLine(lang, d.Team),
		Bundle: bundles()[name], Sprite: sprites[name](), Strings: pageStrings[lang][name](),
	}
	if Pages[name].client && !v.Bundle.HasClient {
		v.Client = clientTag(d.Base)
	}
	for _, code := range []string{"tr", "en"} {
		if code != lang {
			endonym, _ := locales.Lookup(code, "common.language")
			v.Others = append(v.Others, language{Code: code, Name: endonym, Href: "?lang=" + code})
		}
	}
	if colors := r.URL.Query().Get("color"); name == "widget" && buttonColors.MatchString(colors) {
		v.Brand.Color = colors
	}
	var out bytes.Buffer
	if err := parsed().Execute(&out, v); err != nil {
		return fmt.Errorf("assets: page %s: %w", name, err)
	}
	body := out.Bytes()
	if name != "widget" { // another site chose for the frame, not the person who sees it
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
		body = gzipped(body)
		h.Set("Content-Encoding", "gzip")
	}
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // an error means that the client has disconnected
	}
	return nil
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
