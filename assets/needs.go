package assets

import (
	"fmt"
	"html/template"
	"regexp"
	"strings"
)

// A page carries no drawing that neither its templates nor its modules could ask for, and no text that its modules could not. What
// modules ask for is found by the words in them, so too much may be kept (a word has other uses), never too little: a name is always spelled somewhere,
// whole or, before a placeholder, by its beginning.

var (
	words     = regexp.MustCompile(`[A-Za-z_][A-Za-z0-9_]*`)
	beginning = regexp.MustCompile(`([a-z]+\.[a-z_]+)\$\{`) // "talk.state_${…}"
	symbol    = regexp.MustCompile(`(?s)<symbol id="i-([a-z]+)".*?</symbol>\n?`)
	plurals   = regexp.MustCompile(`_(zero|one|two|few|many|other)$`)
)

// needs is what a page's modules can ask for.
type needs struct {
	words      map[string]bool
	beginnings []string
}

func needsOf(code []byte) needs {
	n := needs{words: map[string]bool{}}
	for _, word := range words.FindAll(code, -1) {
		n.words[string(word)] = true
	}
	for _, m := range beginning.FindAllSubmatch(code, -1) {
		n.beginnings = append(n.beginnings, string(m[1]))
	}
	return n
}

// text reports whether the text "section.name" may be asked for.
func (n needs) text(key string) bool {
	_, name, _ := strings.Cut(key, ".")
	if n.words[name] || n.words[plurals.ReplaceAllString(name, "")] {
		return true
	}
	for _, start := range n.beginnings {
		if strings.HasPrefix(key, start) {
			return true
		}
	}
	return false
}

// sprite is the drawings of pages/icons.html that may be asked for, by the modules or in the templates.
func (n needs) sprite(templates string) template.HTML {
	return template.HTML(symbol.ReplaceAllStringFunc(allIcons, func(drawing string) string {
		if name := symbol.FindStringSubmatch(drawing)[1]; n.words[name] || strings.Contains(templates, `"#i-`+name+`"`) {
			return drawing
		}
		return ""
	}))
}

// allIcons is the sprite of all drawings; it is markup of ours that no input gets into.
var allIcons = func() string {
	var out strings.Builder
	t := template.Must(template.ParseFS(embedded, "pages/icons.html"))
	if err := t.ExecuteTemplate(&out, "icons", nil); err != nil {
		panic(fmt.Errorf("assets: pages/icons.html: %w", err))
	}
	return out.String()
}()
