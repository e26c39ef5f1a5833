// Package protocoltest reads docs/protocol.md for the tests that compare it with the code.
package protocoltest

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// Document is docs/protocol.md.
type Document struct{ sections []Section }

// Section is a heading with the lines up to the next one.
type Section struct {
	Title string
	lines []string
}

// Read reads the document from the module that the test belongs to.
func Read(t testing.TB) *Document {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		text, err := os.ReadFile(filepath.Join(dir, "docs", "protocol.md"))
		if err == nil {
			return parse(string(text))
		}
		up := filepath.Dir(dir)
		if up == dir {
			t.Fatal("docs/protocol.md is in no folder above this package")
		}
		dir = up
	}
}

var heading = regexp.MustCompile(`^#+ +(.+)$`)

func parse(text string) *Document {
	d := &Document{}
	for line := range strings.SplitSeq(text, "\n") {
		if found := heading.FindStringSubmatch(line); found != nil {
			d.sections = append(d.sections, Section{Title: found[1]})
		} else if n := len(d.sections); n > 0 {
			d.sections[n-1].lines = append(d.sections[n-1].lines, line)
		}
	}
	return d
}

// Section returns the section under a heading.
func (d *Document) Section(t testing.TB, title string) Section {
	t.Helper()
	i := d.find(title)
	if i < 0 {
		t.Fatalf("docs/protocol.md has no heading %q", title)
	}
	return d.sections[i]
}

// Has reports whether there is such a heading.
func (d *Document) Has(title string) bool { return d.find(title) >= 0 }

func (d *Document) find(title string) int {
	return slices.IndexFunc(d.sections, func(s Section) bool { return s.Title == title })
}

// Names returns what the headings of a kind name: of "Table" those of the headings "Table `users`" and so on.
func (d *Document) Names(kind string) []string {
	var names []string
	for _, s := range d.sections {
		if rest, found := strings.CutPrefix(s.Title, kind+" `"); found {
			names = append(names, strings.TrimSuffix(rest, "`"))
		}
	}
	return names
}

var route = regexp.MustCompile(`^[A-Z]+ /`)

// Routes returns the routes that stand in the first columns of tables, as "METHOD /path".
func (d *Document) Routes() []string {
	var routes []string
	for _, s := range d.sections {
		for _, name := range s.Fields() {
			if route.MatchString(name) {
				routes = append(routes, name)
			}
		}
	}
	return routes
}

// Fields returns the names that the section describes: those in the first column of its tables, and in lines that begin with
// "Fields:" or "Columns:" those outside parentheses.
func (s Section) Fields() []string {
	var fields []string
	for _, line := range s.lines {
		switch {
		case strings.HasPrefix(line, "Fields: "), strings.HasPrefix(line, "Columns: "):
			fields = append(fields, spans(outsideParentheses(line))...)
		case strings.HasPrefix(line, "| `"):
			cell, _, _ := strings.Cut(line[1:], "|")
			fields = append(fields, spans(cell)...)
		}
	}
	return fields
}

// AckFields returns the names in the sentence that begins with "Ack: ".
func (s Section) AckFields() []string { return s.FieldsIn("Ack: ") }

// FieldsIn returns the names of fields in the sentence that begins with these words, those in parentheses left out: `name`, and each
// name in `{name, other: {third}}` and `name.other`.
func (s Section) FieldsIn(beginning string) []string {
	_, text, _ := strings.Cut(strings.Join(s.lines, "\n"), beginning)
	return fieldsIn(sentenceEnd.Split(outsideParentheses(text), 2)[0])
}

var (
	fieldSpan = regexp.MustCompile(`^[a-z_]+(\.[a-z_]+)?$|^\{`)
	fieldName = regexp.MustCompile(`[a-z_]+`)
	// of an item of a list too
	sentenceEnd = regexp.MustCompile(`\.(\s|$)|\n- `)
)

func fieldsIn(text string) []string {
	var fields []string
	for _, span := range spans(text) {
		if fieldSpan.MatchString(span) {
			fields = append(fields, fieldName.FindAllString(span, -1)...)
		}
	}
	return slices.DeleteFunc(fields, func(name string) bool { return name == "true" || name == "false" })
}

// Answer is the cell "answer" of a route's row.
type Answer struct {
	Fields []string // as FieldsIn
	Object string   // the heading of the object, or of the objects in an array, that the answer is; "" for none
	Text   string
}

var object = regexp.MustCompile(`^(?:a bare array of )?\[[^]]+\]\(#([a-z-]+)\)`)

// Answers returns the answers of the routes in the section's table by "METHOD /path".
func (d *Document) Answers(s Section) map[string]Answer {
	answers := make(map[string]Answer)
	column := -1
	for _, line := range s.lines {
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if cells[0] == "route" {
			column = slices.Index(cells, "answer")
		}
		if column < 0 || len(cells) <= column {
			continue
		}
		answer := Answer{Fields: fieldsIn(outsideParentheses(cells[column])), Text: cells[column]}
		if found := object.FindStringSubmatch(answer.Text); found != nil {
			i := slices.IndexFunc(d.sections, func(s Section) bool { return slug(s.Title) == found[1] })
			answer.Object = d.sections[i].Title
		}
		for _, name := range spans(cells[0]) {
			if route.MatchString(name) {
				answers[name] = answer
			}
		}
	}
	return answers
}

// Titles returns all headings.
func (d *Document) Titles() []string {
	var titles []string
	for _, s := range d.sections {
		titles = append(titles, s.Title)
	}
	return titles
}

// Links reports whether the section links to a heading.
func (s Section) Links(title string) bool {
	return strings.Contains(strings.Join(s.lines, "\n"), "(#"+slug(title)+")")
}

var anchor = regexp.MustCompile(`\]\(#([^)]+)\)`)

// BrokenLinks returns the links within the document that lead to no heading, and the headings that several links would mean.
func (d *Document) BrokenLinks() []string {
	slugs := make(map[string]int)
	for _, s := range d.sections {
		slugs[slug(s.Title)]++
	}
	var broken []string
	for name, n := range slugs {
		if n > 1 {
			broken = append(broken, "several headings are #"+name)
		}
	}
	for _, s := range d.sections {
		for _, found := range anchor.FindAllStringSubmatch(strings.Join(s.lines, "\n"), -1) {
			if slugs[found[1]] == 0 {
				broken = append(broken, s.Title+" links to #"+found[1])
			}
		}
	}
	return broken
}

// slug is the anchor that GitHub gives a heading.
func slug(title string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
			return unicode.ToLower(r)
		}
		return -1
	}, title)
}

var quoted = regexp.MustCompile("`([^`]+)`")

func spans(text string) []string {
	var names []string
	for _, found := range quoted.FindAllStringSubmatch(text, -1) {
		names = append(names, found[1])
	}
	return names
}

func outsideParentheses(text string) string {
	depth := 0
	return strings.Map(func(r rune) rune {
		switch {
		case r == '(':
			depth++
		case r == ')':
			depth--
		case depth == 0:
			return r
		}
		return -1
	}, text)
}

// JSONFields returns the names that the fields of structs have in JSON, those of embedded structs included.
func JSONFields(structs ...any) []string {
	var names []string
	for _, v := range structs {
		names = append(names, jsonFields(reflect.TypeOf(v))...)
	}
	return names
}

func jsonFields(t reflect.Type) []string {
	var names []string
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			names = append(names, jsonFields(f.Type)...)
		case name != "" && name != "-":
			names = append(names, name)
		}
	}
	return names
}

// Compare fails the test for each name that the document has and the code has not, and the reverse.
func Compare(t testing.TB, what string, document, code []string) {
	t.Helper()
	document, code = sorted(document), sorted(code)
	if len(code) == 0 {
		t.Errorf("%s: none found in the code", what)
	}
	for _, name := range code {
		if !slices.Contains(document, name) {
			t.Errorf("%s: docs/protocol.md lacks %s", what, name)
		}
	}
	for _, name := range document {
		if !slices.Contains(code, name) {
			t.Errorf("%s: docs/protocol.md has %s, which the code has not", what, name)
		}
	}
}

func sorted(names []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(names)))
}
