package main

import (
	"errors"
	"fmt"
	"html/template"
	"regexp"
	"strings"
	"text/template/parse"
)

// A page gets only the icons and texts that its templates or modules use. What modules use is found by the strings in them, so too
// much may be kept (a string has other uses), never too little: a name is always spelled somewhere, whole or in two parts: its
// beginning, or its section alone, before a placeholder.

var (
	keys      = regexp.MustCompile(`\b[a-z]+\.[a-z_0-9]+`)
	quoted    = regexp.MustCompile("[\"'`]([a-z_0-9]+)[\"'`]")
	beginning = regexp.MustCompile(`([a-z]+\.[a-z_]+)\$\{`) // "talk.state_${…}"
	section   = regexp.MustCompile(`\b([a-z]+)\.\$\{`)      // "visitor.${…}"
	reference = regexp.MustCompile(`"#i-([a-z]+)"`)
	plurals   = regexp.MustCompile(`_(zero|one|two|few|many|other)$`)
)

// uses is what a page's modules can ask for.
type uses struct {
	keys       map[string]bool // texts by their whole names
	quoted     map[string]bool // words that are a whole string
	sections   map[string]bool // of which texts are asked for by such a word
	beginnings []string
}

func usedBy(code []byte) uses {
	n := uses{keys: map[string]bool{}, quoted: map[string]bool{}, sections: map[string]bool{}}
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
func (n uses) text(key string) bool {
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
