package assets

import (
	"fmt"
	"io/fs"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// lightDark reads the light and dark value of a token in base.css.
func lightDark(t *testing.T, css, token string) [2]rgb {
	t.Helper()
	m := regexp.MustCompile(`--` + token + `: light-dark\((#\w{6}), (#\w{6})\)`).FindStringSubmatch(css)
	if m == nil {
		t.Fatalf("base.css has no --%s: light-dark(…)", token)
	}
	return [2]rgb{mustColor(m[1]), mustColor(m[2])}
}

// For any brand colour, text has WCAG AA contrast on every background of both themes.
func TestBrandColoursCanBeRead(t *testing.T) {
	css, err := fs.ReadFile(embedded, "static/css/base.css")
	if err != nil {
		t.Fatal(err)
	}
	var grounds [2][]rgb
	for _, token := range []string{"table", "paper", "raised", "sunken"} {
		for i, s := range lightDark(t, string(css), token) {
			grounds[i] = append(grounds[i], s)
		}
	}
	colours := []string{"#ffffff", "#000000", "#ffd400", "#ffff00", "#00ff00", "#00ffff", "#ff00ff", "#0000ff", "#ff0000", "#808080", "#0b6b61", "#777777", "#fefefe", "#010101"}
	for r := 0; r <= 255; r += 51 {
		for g := 0; g <= 255; g += 51 {
			for b := 0; b <= 255; b += 51 {
				colours = append(colours, fmt.Sprintf("#%02x%02x%02x", r, g, b))
			}
		}
	}
	for _, colour := range colours {
		p := paletteOf(mustColor(colour))
		check := func(what string, theme int, a, b rgb) {
			t.Helper()
			if c := contrast(a, b); c < 4.5 {
				t.Errorf("%s, %s, theme %d: %s on %s is %.2f", colour, what, theme, a, b, c)
			}
		}
		for theme := range 2 {
			for _, ground := range append(grounds[theme], p.soft[theme]) {
				check("accent", theme, p.accent[theme], ground)
				check("accent pointed at", theme, p.strong[theme], ground)
			}
			check("on accent", theme, p.on[theme], p.accent[theme])
			check("on accent pointed at", theme, p.on[theme], p.strong[theme])
			check("own bubble", theme, p.onOwn[theme], p.own[theme])
			check("own bubble, quiet", theme, p.onOwnQuiet[theme], p.own[theme])
			check("ink on soft", theme, lightDark(t, string(css), "ink")[theme], p.soft[theme])
			if c := contrast(p.own[theme], grounds[theme][1]); c < 1.25 {
				t.Errorf("%s, theme %d: own bubbles look like the background: %.2f", colour, theme, c)
			}
		}
		check("mark", 0, p.onBadge, p.badge)
	}
}

// A colour with enough contrast is kept unchanged; others keep their hue.
func TestBrandColourIsKept(t *testing.T) {
	if got := paletteOf(mustColor("#0b6b61")).accent[0]; got != mustColor("#0b6b61") {
		t.Errorf("petrol becomes %s in the light theme", got)
	}
	for _, colour := range []string{"#ffd400", "#e91e63", "#3f51b5", "#00bcd4"} {
		from := mustColor(colour).lch()
		for theme, s := range paletteOf(mustColor(colour)).accent {
			if to := s.lch(); to.c < 0.02 || to.h-from.h > 0.2 || from.h-to.h > 0.2 {
				t.Errorf("%s, theme %d: %s has hue %.2f instead of %.2f", colour, theme, s, to.h, from.h)
			}
		}
	}
}

func TestColors(t *testing.T) {
	for _, text := range []string{"#000000", "#ffffff", "#0b6b61", "#ff0000", "#00ff00", "#0000ff", "#c0ffee"} {
		if got := mustColor(text).lch().rgb(); got != mustColor(text) {
			t.Errorf("%s comes back as %s", text, got)
		}
	}
	if c := contrast(mustColor("#000000"), mustColor("#ffffff")); c != 21 {
		t.Errorf("black on white is %.3f", c)
	}
	// The example from Ottosson's article: sRGB red.
	if red := mustColor("#ff0000").lch(); red.l < 0.6279 || red.l > 0.6280 || red.c < 0.2576 || red.c > 0.2578 {
		t.Errorf("red is %+v", red)
	}
	for _, text := range []string{"", "red", "#fff", "#12345g", "0b6b61", "#0b6b611"} {
		if s, err := parseColor(text); err == nil {
			t.Errorf("%q is taken for %s", text, s)
		}
	}
}

func TestBrandStyle(t *testing.T) {
	address := BrandStyleURL("#e91e63")
	res := get(t, BrandStyle("#e91e63"), address)
	css := string(body(t, res.Body))
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "text/css; charset=utf-8" || res.Header.Get("Cache-Control") != cacheForever {
		t.Errorf("%s: %d %v", address, res.StatusCode, res.Header)
	}
	base, err := fs.ReadFile(embedded, "static/css/base.css")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(--[\w-]+):(?:var\(--l,#\w{6}\)var\(--d,#\w{6}\)|#\w{6})[;}]`).FindAllStringSubmatch(css, -1) {
		if !strings.Contains(string(base), m[1]+": ") {
			t.Errorf("base.css knows no %s", m[1])
		}
	}
	if n := strings.Count(strings.NewReplacer("(--l", "", "(--d", "").Replace(css), "--"); n != 9 || !strings.HasPrefix(css, "@layer tokens{:root{") {
		t.Errorf("%d tokens in %s", n, css)
	}
	if got := get(t, BrandStyle("#e91e63"), "/brand.css?v=old").Header.Get("Cache-Control"); got != cacheCheck {
		t.Errorf("an old address: Cache-Control %q", got)
	}
	if res := get(t, BrandStyle(""), "/brand.css"); res.StatusCode != http.StatusNotFound || BrandStyleURL("") != "" {
		t.Errorf("without a colour: %d", res.StatusCode)
	}
}

// The widget's button and its panel have the same colour: the site's if it set one, otherwise the brand's.
func TestButtonColors(t *testing.T) {
	accent := paletteOf(mustColor("#ffd400")).accent
	script := string(loaderScript(LoaderSettings{Color: "#ffd400"}))
	for _, s := range accent {
		if !strings.Contains(script, s.String()) {
			t.Errorf("the loader does not know %s", s)
		}
	}
	address := BrandStyleURL("145b52-4fc3b3")
	for color, want := range map[string]string{"": "--accent:var(--l,#145b52)var(--d,#4fc3b3);", "#e91e63": "--accent:var(--l,#145b52)var(--d,#4fc3b3);"} {
		if css := string(body(t, get(t, BrandStyle(color), address).Body)); !strings.Contains(css, want) {
			t.Errorf("%s with BRAND_COLOR %q: %s", address, color, css)
		}
	}
	for _, wrong := range []string{"145b52", "145b52-", "145B52-4FC3B3", "145b52-4fc3b3;", "red-blue"} {
		if res := get(t, BrandStyle(""), "/brand.css?color="+wrong); res.StatusCode != http.StatusNotFound || BrandStyleURL(wrong) != "" {
			t.Errorf("%s: %d", wrong, res.StatusCode)
		}
	}
}
