package assets

import (
	"bytes"
	"fmt"
	"html/template"
	"regexp"
	"strings"
)

// Tree shaking of icons and texts: a page contains only the icons it shows or its modules may show, and only the texts its
// modules may use. Which those are is derived from the string literals in the bundled code. This may keep too much, because a
// string may serve another purpose, but never too little: a name is always spelled out in the code, completely or up to a
// placeholder, or as the section alone before one.

var (
	keys    = regexp.MustCompile(`\b[a-z]+\.[a-z_0-9]+`)
	quoted  = regexp.MustCompile("[\"'`]([a-z_0-9]+)[\"'`]")
	prefix  = regexp.MustCompile(`([a-z]+\.[a-z_]+)\$\{`) // "talk.state_${…}"
	section = regexp.MustCompile(`\b([a-z]+)\.\$\{`)      // "visitor.${…}"
	symbol  = regexp.MustCompile(`(?s)<symbol id="i-([a-z]+)".*?</symbol>\n?`)
	plurals = regexp.MustCompile(`_(zero|one|two|few|many|other)$`)
)

// references describes which icons and texts a page's modules can use.
type references struct {
	keys     map[string]bool // full names of texts
	quoted   map[string]bool // string literals that are a single word
	sections map[string]bool // sections whose texts are looked up by a name from quoted
	prefixes []string        // literal prefixes of text names
}

func referencesIn(code []byte) references {
	r := references{keys: map[string]bool{}, quoted: map[string]bool{}, sections: map[string]bool{}}
	for _, key := range keys.FindAll(code, -1) {
		r.keys[string(key)] = true
	}
	for _, m := range quoted.FindAllSubmatch(code, -1) {
		r.quoted[string(m[1])] = true
	}
	for _, m := range section.FindAllSubmatch(code, -1) {
		r.sections[string(m[1])] = true
	}
	for _, m := range prefix.FindAllSubmatch(code, -1) {
		r.prefixes = append(r.prefixes, string(m[1]))
	}
	return r
}

// text reports whether the text "section.name" may be used.
func (r references) text(key string) bool {
	whole := plurals.ReplaceAllString(key, "")
	part, name, _ := strings.Cut(whole, ".")
	if r.keys[key] || r.keys[whole] || r.sections[part] && r.quoted[name] {
		return true
	}
	for _, start := range r.prefixes {
		if strings.HasPrefix(key, start) {
			return true
		}
	}
	return false
}

// spritePlaceholder is the element in a page's template that is replaced by its sprite.
const spritePlaceholder = `<svg class="sprite"></svg>`

// sprite returns the icons of pages/icons.html that the page shows or its modules may show.
func (r references) sprite(page []byte) []byte {
	return symbol.ReplaceAllFunc(allIcons, func(drawing []byte) []byte {
		name := string(symbol.FindSubmatch(drawing)[1])
		if r.quoted[name] || bytes.Contains(page, []byte(`"#i-`+name+`"`)) {
			return drawing
		}
		return nil
	})
}

// allIcons is the sprite of all icons. It is trusted markup without any input.
var allIcons = func() []byte {
	var out bytes.Buffer
	t := template.Must(template.ParseFS(embedded, "pages/icons.html"))
	if err := t.ExecuteTemplate(&out, "icons", nil); err != nil {
		panic(fmt.Errorf("assets: pages/icons.html: %w", err))
	}
	return out.Bytes()
}()
