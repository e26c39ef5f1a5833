package main

import (
	"errors"
	"fmt"
	"html/template"
	"regexp"
	"strings"
	"text/template/parse"
)

// Tree shaking of icons and texts: a page contains only the icons that its templates or modules may show, and only the texts that
// its modules may use. The latter are derived from the string literals in the bundled code. This may keep too much, because a string
// may serve another purpose, but never too little: a name is always spelled out in the code, completely or up to a placeholder, or
// as the section alone before one.

var (
	keys      = regexp.MustCompile(`\b[a-z]+\.[a-z_0-9]+`)
	quoted    = regexp.MustCompile("[\"'`]([a-z_0-9]+)[\"'`]")
	prefix    = regexp.MustCompile(`([a-z]+\.[a-z_]+)\$\{`) // "talk.state_${…}"
	section   = regexp.MustCompile(`\b([a-z]+)\.\$\{`)      // "visitor.${…}"
	reference = regexp.MustCompile(`"#i-([a-z]+)"`)
	plurals   = regexp.MustCompile(`_(zero|one|two|few|many|other)$`)
)

// references describes which icons and texts a page's modules can use.
type references struct {
	keys     map[string]bool // full names of texts
	quoted   map[string]bool // string literals that are a single word
	sections map[string]bool // sections whose texts are looked up by a name from quoted
	prefixes []string        // literal prefixes of text names
}

func referencesIn(code []byte) references {
	n := references{keys: map[string]bool{}, quoted: map[string]bool{}, sections: map[string]bool{}}
	for _, key := range keys.FindAll(code, -1) {
		n.keys[string(key)] = true
	}
	for _, m := range quoted.FindAllSubmatch(code, -1) {
		n.quoted[string(m[1])] = true
	}
	for _, m := range section.FindAllSubmatch(code, -1) {
		n.sections[string(m[1])] = true
	}
	for _, m := range prefix.FindAllSubmatch(code, -1) {
		n.prefixes = append(n.prefixes, string(m[1]))
	}
	return n
}

// text reports whether the text "section.name" may be used.
func (n references) text(key string) bool {
	whole := plurals.ReplaceAllString(key, "")
	part, name, _ := strings.Cut(whole, ".")
	if n.keys[key] || n.keys[whole] || n.sections[part] && n.quoted[name] {
		return true
	}
	for _, start := range n.prefixes {
		if strings.HasPrefix(key, start) {
			return true
		}
	}
	return false
}

// iconsShown finds the icons that a page's templates can show. name is the page's, which conditions such as {{if eq .Page "widget"}}
// compare with.
func iconsShown(name string, page *template.Template) (map[string]bool, error) {
	shown := map[string]bool{}
	visited := map[string]bool{}
	var visit func(name string) error
	var walk func(nodes *parse.ListNode) error
	visit = func(name string) error {
		t := page.Lookup(name)
		if t == nil || t.Tree == nil {
			return fmt.Errorf("no template %q", name)
		}
		if visited[name] {
			return nil
		}
		visited[name] = true
		return walk(t.Tree.Root)
	}
	walk = func(nodes *parse.ListNode) (err error) {
		if nodes == nil {
			return nil
		}
		for _, node := range nodes.Nodes {
			var branch *parse.BranchNode
			switch n := node.(type) {
			case *parse.TextNode:
				for _, m := range reference.FindAllSubmatch(n.Text, -1) {
					shown[string(m[1])] = true
				}
			case *parse.TemplateNode:
				err = errors.Join(err, visit(n.Name))
			case *parse.IfNode:
				switch n.Pipe.String() {
				case fmt.Sprintf("eq .Page %q", name):
					err = errors.Join(err, walk(n.List))
				case fmt.Sprintf("ne .Page %q", name):
					err = errors.Join(err, walk(n.ElseList))
				default:
					branch = &n.BranchNode
				}
			case *parse.WithNode:
				branch = &n.BranchNode
			case *parse.RangeNode:
				branch = &n.BranchNode
			}
			if branch != nil {
				err = errors.Join(err, walk(branch.List), walk(branch.ElseList))
			}
		}
		return err
	}
	return shown, visit(page.Name())
}
