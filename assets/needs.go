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
	keys      = regexp.MustCompile(`\b[a-z]+\.[a-z_0-9]+`)
	quoted    = regexp.MustCompile("[\"'`]([a-z_0-9]+)[\"'`]")
	beginning = regexp.MustCompile(`([a-z]+\.[a-z_]+)\$\{`) // "talk.state_${…}"
	section   = regexp.MustCompile(`\b([a-z]+)\.\$\{`)      // "visitor.${…}"
	symbol    = regexp.MustCompile(`(?s)<symbol id="i-([a-z]+)".*?</symbol>\n?`)
	plurals   = regexp.MustCompile(`_(zero|one|two|few|many|other)$`)
)

// needs describes which icons and texts a page's modules can use.
type needs struct {
	keys       map[string]bool // full names of texts
	quoted     map[string]bool // string literals that are a single word
	sections   map[string]bool // sections whose texts are looked up by a name from quoted
	beginnings []string        // literal prefixes of text names
}

func needsOf(code []byte) needs {
	n := needs{keys: map[string]bool{}, quoted: map[string]bool{}, sections: map[string]bool{}}
	for _, key := range keys.FindAll(code, -1) {
		n.keys[string(key)] = true
	}
	for _, m := range quoted.FindAllSubmatch(code, -1) {
		n.quoted[string(m[1])] = true
	}
	for _, m := range section.FindAllSubmatch(code, -1) {
		n.sections[string(m[1])] = true
	}
	for _, m := range beginning.FindAllSubmatch(code, -1) {
		n.beginnings = append(n.beginnings, string(m[1]))
	}
	return n
}

// text reports whether the text "section.name" may be used.
func (n needs) text(key string) bool {
	whole := plurals.ReplaceAllString(key, "")
	part, name, _ := strings.Cut(whole, ".")
	if n.keys[key] || n.keys[whole] || n.sections[part] && n.quoted[name] {
		return true
	}
	for _, start := range n.beginnings {
		if strings.HasPrefix(key, start) {
			return true
		}
	}
	return false
}

// spritePlace is the element in a page's template that is replaced by its sprite.
const spritePlace = `<svg class="sprite"></svg>`

// sprite returns the icons of pages/icons.html that the page shows or its modules may show.
func (n needs) sprite(page []byte) []byte {
	return symbol.ReplaceAllFunc(allIcons, func(drawing []byte) []byte {
		name := string(symbol.FindSubmatch(drawing)[1])
		if n.quoted[name] || bytes.Contains(page, []byte(`"#i-`+name+`"`)) {
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
