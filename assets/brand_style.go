package assets

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"regexp"
	"sync"
)

// brandStyle is the generated style sheet for one brand colour.
type brandStyle struct {
	file *file
	hash string // of the contents, for the URL
}

var (
	brandMu     sync.Mutex
	brandStyles = map[string]brandStyle{}
)

func styleOf(color string) (brandStyle, bool) {
	brandMu.Lock()
	defer brandMu.Unlock()
	if made, ok := brandStyles[color]; ok {
		return made, true
	}
	s, err := parseColor(color)
	if err != nil {
		return brandStyle{}, false
	}
	made := generateStyle(paletteOf(s))
	brandStyles[color] = made // there is only one BRAND_COLOR, so this map does not grow
	return made, true
}

func generateStyle(p palette) brandStyle {
	css := LowerLightDark(p.css())
	sum := sha256.Sum256([]byte(css))
	return brandStyle{generatedFile("brand.css", []byte(css)), hex.EncodeToString(sum[:6])}
}

// buttonColors matches the light and dark colour of the widget's button, as static/js/loader/styles.js puts them into the URL of
// the chat.
var buttonColors = regexp.MustCompile(`^[0-9a-f]{6}-[0-9a-f]{6}$`)

// buttonStyle makes the style sheet of a widget panel whose site chose the button's colour. It is not cached, because a request
// may ask for any colour.
func buttonStyle(colors string) (brandStyle, bool) {
	if !buttonColors.MatchString(colors) {
		return brandStyle{}, false
	}
	p, night := paletteOf(mustColor("#"+colors[:6])), paletteOf(mustColor("#"+colors[7:]))
	for _, pair := range []struct{ of, from *[2]rgb }{
		{&p.accent, &night.accent}, {&p.strong, &night.strong}, {&p.soft, &night.soft}, {&p.on, &night.on},
		{&p.own, &night.own}, {&p.onOwn, &night.onOwn}, {&p.onOwnQuiet, &night.onOwnQuiet},
	} {
		pair.of[1] = pair.from[1]
	}
	return generateStyle(p), true
}

// BrandStyleURL is the URL of the style sheet for a brand colour (#rrggbb) or for a button's two colours (rrggbb-rrggbb); "" if
// color is neither.
func BrandStyleURL(color string) string {
	if buttonColors.MatchString(color) {
		return "/brand.css?color=" + color
	}
	s, ok := styleOf(color)
	if !ok {
		return ""
	}
	return "/brand.css?v=" + s.hash
}

// BrandStyle serves /brand.css for the brand's colour, or 404 if there is none. A button's colours (?color=) take precedence.
func BrandStyle(color string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		button, asked := buttonStyle(r.URL.Query().Get("color"))
		s, ok := styleOf(color)
		switch {
		case asked:
			button.file.serve(w, r, cacheADay)
		case !ok:
			http.NotFound(w, r)
		case r.URL.Query().Get("v") == s.hash:
			s.file.serve(w, r, cacheForever)
		default:
			s.file.serve(w, r, cacheCheck)
		}
	})
}

// palette holds the values of base.css's accent tokens for a brand colour, light and dark.
type palette struct {
	accent, strong, soft, on, own, onOwn, onOwnQuiet [2]rgb // [light, dark]
	badge, onBadge                                   rgb
}

// backgrounds are the least favourable backgrounds for accent-coloured text: the darkest light background and the lightest dark one
// (base.css). Text with enough contrast here has enough on the other backgrounds.
var backgrounds = [2]rgb{mustColor("#f1ede5"), mustColor("#1b1d1a")}

var white, paper = mustColor("#ffffff"), mustColor("#faf8f4")

const readable = 4.5 // WCAG 2.2 AA for text

// paletteOf keeps the brand's hue and changes its lightness as little as possible, until the accent has enough contrast on every
// background, and text has enough contrast on the accent.
func paletteOf(brand rgb) palette {
	var p palette
	base := brand.lch()
	soft := [2]rgb{lch{0.95, min(base.c, 0.025), base.h}.rgb(), lch{0.28, min(base.c, 0.04), base.h}.rgb()}

	light := base.darkenUntil(func(s rgb) bool {
		return contrast(s, backgrounds[0]) >= readable && contrast(s, soft[0]) >= readable && contrast(s, white) >= readable
	})
	deep := lch{0.2, min(base.c, 0.05), base.h}.rgb()
	dark := base.lightenUntil(func(s rgb) bool {
		return contrast(s, backgrounds[1]) >= readable && contrast(s, soft[1]) >= readable && contrast(s, deep) >= readable
	})
	p.accent = [2]rgb{light.rgb(), dark.rgb()}
	p.strong = [2]rgb{light.moved(-0.09).rgb(), dark.moved(0.08).rgb()}
	p.soft = soft
	p.on = [2]rgb{white, deep}

	// Bubbles of the reader's own messages: the accent in the light theme, a darker variant in the dark theme, where a bright one
	// dazzles.
	own := lch{min(base.l, 0.42), base.c, base.h}.darkenUntil(func(s rgb) bool { return contrast(s, paper) >= 7 })
	own.l = max(own.l, 0.3) // must remain distinguishable from the background
	p.own = [2]rgb{light.rgb(), own.rgb()}
	p.onOwn = [2]rgb{white, paper}
	for i, ground := range p.own {
		p.onOwnQuiet[i] = lch{0.86, min(base.c, 0.03), base.h}.lightenUntil(func(s rgb) bool { return contrast(s, ground) >= readable }).rgb()
	}
	p.badge, p.onBadge = light.rgb(), paper
	return p
}

func (p palette) css() string {
	out := "@layer tokens{:root{"
	for _, token := range []struct {
		name string
		pair [2]rgb
	}{
		{"accent", p.accent}, {"accent-strong", p.strong}, {"accent-soft", p.soft}, {"on-accent", p.on},
		{"own", p.own}, {"on-own", p.onOwn}, {"on-own-quiet", p.onOwnQuiet},
	} {
		out += fmt.Sprintf("--%s:light-dark(%s,%s);", token.name, token.pair[0], token.pair[1])
	}
	return out + fmt.Sprintf("--badge:%s;--on-badge:%s}}\n", p.badge, p.onBadge)
}
