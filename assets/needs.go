package assets

import (
	"bytes"
	"fmt"
	"html/template"
	"regexp"
	"strings"
)

// A page carries no drawing that it neither shows nor could come to show, and no text that its modules could not ask for. What modules
// ask for is found by the strings in them, so too much may be kept (a string has other uses), never too little: a name is always
// spelled somewhere, whole or in two parts: its beginning, or its section alone, before a placeholder.

var (
	keys      = regexp.MustCompile(`\b[a-z]+\.[a-z_0-9]+`)
	quoted    = regexp.MustCompile("[\"'`]([a-z_0-9]+)[\"'`]")
	beginning = regexp.MustCompile(`([a-z]+\.[a-z_]+)\$\{`) // "talk.state_${…}"
	section   = regexp.MustCompile(`\b([a-z]+)\.\$\{`)      // "visitor.${…}"
	symbol    = regexp.MustCompile(`(?s)<symbol id="i-([a-z]+)".*?</symbol>\n?`)
	plurals   = regexp.MustCompile(`_(zero|one|two|few|many|other)$`)
)

// needs is what a page's modules can ask for.
type needs struct {
	keys       map[string]bool // texts by their whole names
	quoted     map[string]bool // words that are a whole string
	sections   map[string]bool // of which texts are asked for by such a word
	beginnings []string
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

// text reports whether the text "section.name" may be asked for.
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

// spritePlace is where a page's template leaves room for its drawings.
const spritePlace = `<svg class="sprite"></svg>`

// sprite is the drawings of pages/icons.html that a page shows or its modules may ask for.
func (n needs) sprite(page []byte) []byte {
	return symbol.ReplaceAllFunc(allIcons, func(drawing []byte) []byte {
		name := string(symbol.FindSubmatch(drawing)[1])
		if n.quoted[name] || bytes.Contains(page, []byte(`"#i-`+name+`"`)) {
			return drawing
		}
		return nil
	})
}

// allIcons is the sprite of all drawings; it is markup of ours that no input gets into.
var allIcons = func() []byte {
	var out bytes.Buffer
	t := template.Must(template.ParseFS(embedded, "pages/icons.html"))
	if err := t.ExecuteTemplate(&out, "icons", nil); err != nil {
		panic(fmt.Errorf("assets: pages/icons.html: %w", err))
	}
	return out.Bytes()
}()
