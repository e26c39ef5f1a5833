package assets

import (
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sohbet/docs/protocoltest"
)

// The types that the browser's code is checked with have the fields that docs/protocol.md describes.

func TestTypesOfObjects(t *testing.T) {
	document, types := protocoltest.Read(t), readTypes(t, "protocol.d.ts")
	for _, title := range document.Titles() {
		if name, isObject := strings.CutSuffix(title, " object"); isObject {
			protocoltest.Compare(t, title, document.Section(t, title).Fields(), types.fields(types.of(t, typeName(name))))
		}
	}
}

func TestTypesOfClientEvents(t *testing.T) {
	document, types := protocoltest.Read(t), readTypes(t, "protocol.d.ts")
	payloads, acks := types.of(t, "ClientEvents"), types.of(t, "Acks")
	names := document.Names("Client event")
	protocoltest.Compare(t, "client events", names, payloads.names())
	protocoltest.Compare(t, "acks", names, acks.names())
	for _, name := range names {
		section := document.Section(t, "Client event `"+name+"`")
		fields, ack := section.Fields(), section.AckFields()
		for _, other := range names { // "as with" another event
			if heading := "Client event `" + other + "`"; other != name && section.Links(heading) {
				if len(fields) == 0 {
					fields = document.Section(t, heading).Fields()
				}
				if len(ack) == 0 {
					ack = document.Section(t, heading).AckFields()
				}
			}
		}
		compareTypes(t, "payload of "+name, fields, types.fields(payloads.members[name]))
		compareTypes(t, "ack of "+name, ack, types.fields(acks.members[name]))
	}
	compareTypes(t, "refusal", document.Section(t, "Requests and acks").FieldsIn("failure: "), types.allFields(types.of(t, "Refusal")))
}

func TestTypesOfServerEvents(t *testing.T) {
	document, types := protocoltest.Read(t), readTypes(t, "protocol.d.ts")
	events := types.of(t, "ServerEvents")
	protocoltest.Compare(t, "server events", document.Names("Server event"), events.names())
	for _, name := range document.Names("Server event") {
		section := document.Section(t, "Server event `"+name+"`")
		fields := section.Fields()
		if len(fields) == 0 { // the payload is an object, or that of another event
			for _, title := range document.Titles() {
				if (strings.HasSuffix(title, " object") || strings.HasPrefix(title, "Server event")) && section.Links(title) {
					fields = append(fields, document.Section(t, title).Fields()...)
				}
			}
		}
		compareTypes(t, name, fields, types.fields(events.members[name]))
	}
}

func TestTypesOfAnswers(t *testing.T) {
	document, types := protocoltest.Read(t), readTypes(t, "protocol.d.ts")
	answers := types.of(t, "Answers")
	var routes []string
	for _, title := range []string{"Signing in", "Agents", "Settings", "Messages and threads", "Uploads", "Push notifications", "Health and metrics"} {
		section := document.Section(t, title)
		for route, answer := range document.Answers(section) {
			switch {
			case strings.HasPrefix(answer.Text, "a file"), title == "Health and metrics" && !strings.Contains(route, " /api/"):
				continue
			case answer.Text == "see below":
				answer.Fields = section.FieldsIn("Answer: ")
			}
			routes = append(routes, route)
			found := answers.members[route]
			if answer.Object != "" && !slices.Contains(found.refs, typeName(strings.TrimSuffix(answer.Object, " object"))) {
				t.Errorf("%s answers with %v, not with the %s", route, found.refs, answer.Object)
			}
			if answer.Object == "" {
				compareTypes(t, route, answer.Fields, types.allFields(found))
			} else {
				compareTypes(t, route, answer.Fields, inlineFields(found))
			}
		}
	}
	protocoltest.Compare(t, "answers", routes, answers.names())
	health := document.Section(t, "Health and metrics")
	compareTypes(t, "Check", health.FieldsIn("A check is"), types.fields(types.of(t, "Check")))
	compareTypes(t, "Sample", health.FieldsIn("A sample is"), types.fields(types.of(t, "Sample")))
	compareTypes(t, "Push", document.Section(t, "Push notifications").FieldsIn("A notification's payload is"), types.fields(types.of(t, "Push")))
}

// The error codes of sockets, and no others, are in SocketErrorCode.
func TestTypesOfErrorCodes(t *testing.T) {
	document := protocoltest.Read(t)
	_, text, _ := strings.Cut(source(t, "protocol.d.ts"), "type SocketErrorCode =")
	text, _, _ = strings.Cut(text, ";")
	var codes []string
	for _, code := range regexp.MustCompile(`'([^']+)'`).FindAllStringSubmatch(text, -1) {
		codes = append(codes, code[1])
	}
	protocoltest.Compare(t, "codes on sockets", document.Section(t, "Socket errors").Fields(), codes)
}

var elementWithID = regexp.MustCompile(`<([a-z]+)\b[^>]*\bid="([^"]+)"`)

// Each element that the scripts find by id is in a page as the element that they take it for.
func TestTypesOfElements(t *testing.T) {
	interfaces := map[string]string{
		"a": "HTMLAnchorElement", "button": "HTMLButtonElement", "details": "HTMLDetailsElement", "dialog": "HTMLDialogElement", "form": "HTMLFormElement",
		"img": "HTMLImageElement", "input": "HTMLInputElement", "select": "HTMLSelectElement", "textarea": "HTMLTextAreaElement",
	}
	there := make(map[string][]string)
	pages, err := fs.Glob(embedded, "pages/*.html")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages {
		text, err := fs.ReadFile(embedded, page)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range elementWithID.FindAllStringSubmatch(string(text), -1) {
			there[found[2]] = append(there[found[2]], interfaces[found[1]])
		}
	}
	for id, element := range readTypes(t, "elements.d.ts").of(t, "PageElements").members {
		if !slices.Contains(there[id], element.refs[0]) {
			t.Errorf("no page has a %s #%s", element.refs[0], id)
		}
	}
}

// compareTypes is Compare for fields that may be none.
func compareTypes(t *testing.T, what string, document, types []string) {
	t.Helper()
	if len(document) > 0 || len(types) > 0 {
		protocoltest.Compare(t, what, document, types)
	}
}

// typeName is the name of the interface of an object: CannedReply of "Canned reply".
func typeName(words string) string {
	var name strings.Builder
	for word := range strings.FieldsSeq(words) {
		name.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return name.String()
}

// tsType is an interface, or the type of a member: the types that it names, and the members that it has itself.
type tsType struct {
	refs    []string
	members map[string]tsType
}

func (t tsType) names() []string {
	var names []string
	for name := range t.members {
		names = append(names, name)
	}
	return names
}

// inlineFields are a type's own members and theirs.
func inlineFields(t tsType) []string {
	names := t.names()
	for _, member := range t.members {
		names = append(names, inlineFields(member)...)
	}
	return names
}

type tsTypes map[string]tsType

func (types tsTypes) of(t *testing.T, name string) tsType {
	t.Helper()
	found, ok := types[name]
	if !ok {
		t.Fatalf("types has no interface %s", name)
	}
	return found
}

// fields are a type's own members, and those of the interfaces that it names.
func (types tsTypes) fields(t tsType) []string {
	names := t.names()
	for _, ref := range t.refs {
		names = append(names, types[ref].names()...)
	}
	return names
}

// allFields is fields with the members of members.
func (types tsTypes) allFields(t tsType) []string {
	names := inlineFields(t)
	for _, ref := range t.refs {
		names = append(names, inlineFields(types[ref])...)
	}
	return names
}

func source(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile("types/" + file)
	if err != nil {
		t.Fatal(err)
	}
	return regexp.MustCompile(`(?s)//[^\n]*|/\*.*?\*/`).ReplaceAllString(string(text), "")
}

// readTypes reads the interfaces of a file in types, which may use only some of TypeScript's syntax.
func readTypes(t *testing.T, file string) tsTypes {
	t.Helper()
	p := &tsParser{tokens: regexp.MustCompile(`'[^']*'|[\w.]+|\S`).FindAllString(source(t, file), -1)}
	types := make(tsTypes)
	for len(p.tokens) > 0 {
		if p.next() == "interface" {
			name := p.next()
			if got := p.next(); got != "{" {
				t.Fatalf("interface %s: %q instead of {", name, got)
			}
			types[name] = tsType{members: p.members(t)}
		}
	}
	return types
}

type tsParser struct{ tokens []string }

func (p *tsParser) next() string {
	token := p.tokens[0]
	p.tokens = p.tokens[1:]
	return token
}

// members reads up to the closing brace. A semicolon after the last member may be missing.
func (p *tsParser) members(t *testing.T) map[string]tsType {
	t.Helper()
	members := make(map[string]tsType)
	for p.tokens[0] != "}" {
		name := strings.Trim(p.next(), "'")
		for p.tokens[0] != ":" {
			if got := p.next(); got != "?" {
				t.Fatalf("%s: %q instead of a type", name, got)
			}
		}
		p.next()
		member := tsType{members: make(map[string]tsType)}
		for p.tokens[0] != ";" && p.tokens[0] != "}" {
			switch token := p.next(); {
			case token == "{":
				for name, inner := range p.members(t) {
					member.members[name] = inner
				}
			case token[0] != '\'':
				member.refs = append(member.refs, token)
			}
		}
		if p.tokens[0] == ";" {
			p.next()
		}
		if _, twice := members[name]; twice {
			t.Errorf("%s is there twice", name)
		}
		members[name] = member
	}
	p.next()
	return members
}
