package handlers

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sohbet/docs/protocoltest"
	"sohbet/server/agents"
	"sohbet/server/chat"
)

func TestProtocolListsClientEvents(t *testing.T) {
	document := protocoltest.Read(t)
	protocoltest.Compare(t, "client events", document.Names("Client event"), slices.Collect(maps.Keys(clientEvents)))
	heading := func(name string) string { return "Client event `" + name + "`" }
	for name, event := range clientEvents {
		want := protocoltest.JSONFields(event.payload)
		section := document.Section(t, heading(name))
		fields := section.Fields()
		if len(fields) == 0 { // "as with" another event
			for other := range clientEvents {
				if other != name && section.Links(heading(other)) {
					fields = append(fields, document.Section(t, heading(other)).Fields()...)
				}
			}
		}
		if len(fields) > 0 || len(want) > 0 {
			protocoltest.Compare(t, "fields of "+name, fields, want)
		}
	}
}

func TestProtocolListsServerEvents(t *testing.T) {
	protocoltest.Compare(t, "server events", protocoltest.Read(t).Names("Server event"), sentEvents(t))
}

func TestProtocolDescribesObjects(t *testing.T) {
	document := protocoltest.Read(t)
	for title, object := range map[string]any{
		"Message object": chat.Message{}, "Thread object": chat.ThreadView{}, "Note object": chat.Note{}, "Team object": chat.Team{},
		"Block object": chat.BlockedVisitor{}, "Facts object": chat.VisitorDetails{}, "Earlier thread object": chat.Earlier{},
		"Canned reply object": chat.Canned{}, "Undelivered message object": chat.Undelivered{}, "Channel state object": chat.ChannelState{},
		"Thread counts object": chat.Counts{}, "Job object": chat.JobView{}, "Agent object": agents.View{}, "Agent reference object": chat.AgentReference{}, "Server event `message_error`": failure{}, "Server event `error`": sessionEnd{},
	} {
		protocoltest.Compare(t, title, document.Section(t, title).Fields(), protocoltest.JSONFields(object))
	}
}

func TestProtocolListsErrorCodes(t *testing.T) {
	var sockets []string
	http := slices.Collect(maps.Values(httpCodes))
	for _, code := range codes(t, "../server/apperr/apperr.go") {
		if strings.ToLower(code) == code {
			sockets = append(sockets, code)
		} else {
			http = append(http, code)
		}
	}
	document := protocoltest.Read(t)
	protocoltest.Compare(t, "codes on sockets", document.Section(t, "Socket errors").Fields(), sockets)
	protocoltest.Compare(t, "codes of HTTP", document.Section(t, "HTTP errors").Fields(), http)
}

func TestProtocolLinks(t *testing.T) {
	for _, broken := range protocoltest.Read(t).BrokenLinks() {
		t.Error(broken)
	}
}

var citation = regexp.MustCompile(`docs/protocol\.md, "([^"]+)"`)

// The headings that comments cite exist.
func TestProtocolCitations(t *testing.T) {
	document := protocoltest.Read(t)
	err := filepath.WalkDir("..", func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() {
			if name := e.Name(); name == "node_modules" || strings.HasPrefix(name, ".") && name != ".." {
				return filepath.SkipDir
			}
			return nil
		}
		if !slices.Contains([]string{".go", ".mjs", ".js", ".css"}, filepath.Ext(path)) {
			return nil
		}
		text, err := os.ReadFile(path)
		for _, found := range citation.FindAllSubmatch(text, -1) {
			if !document.Has(string(found[1])) {
				t.Errorf("%s cites docs/protocol.md, %q, which is no heading", path, found[1])
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// codes returns the values of the constants of a file whose names begin with Code.
func codes(t *testing.T, path string) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var values []string
	for name, value := range constants([]*ast.File{file}) {
		if strings.HasPrefix(name, "Code") {
			values = append(values, value)
		}
	}
	return values
}

// constants returns the string constants of files by name.
func constants(files []*ast.File) map[string]string {
	found := make(map[string]string)
	for _, file := range files {
		for _, declaration := range file.Decls {
			group, ok := declaration.(*ast.GenDecl)
			if !ok || group.Tok != token.CONST {
				continue
			}
			for _, spec := range group.Specs {
				for i, value := range spec.(*ast.ValueSpec).Values {
					if text, ok := literal(value); ok {
						found[spec.(*ast.ValueSpec).Names[i].Name] = text
					}
				}
			}
		}
	}
	return found
}

func literal(e ast.Expr) (string, bool) {
	l, ok := e.(*ast.BasicLit)
	if !ok || l.Kind != token.STRING {
		return "", false
	}
	text, err := strconv.Unquote(l.Value)
	return text, err == nil
}

// sentEvents returns the names of all events that the server sends: what every chat.Event is called, and the first argument of
// every call of a method Emit. A name that is a parameter is taken from the calls of its function.
func sentEvents(t *testing.T) []string {
	t.Helper()
	packages := make(map[string][]*ast.File)
	set := token.NewFileSet()
	for _, root := range []string{"../handlers", "../server"} {
		err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(set, path, nil, 0)
			if err == nil {
				packages[filepath.Dir(path)] = append(packages[filepath.Dir(path)], file)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	var names []string
	for _, files := range packages {
		s := &sender{t: t, set: set, files: files, constants: constants(files)}
		s.each(s.visit)
		names = append(names, s.names...)
	}
	return names
}

// sender finds the events that one package sends.
type sender struct {
	t         *testing.T
	set       *token.FileSet
	files     []*ast.File
	constants map[string]string
	names     []string
}

// each calls visit for every node of the package, with the function around it; nil outside of functions.
func (s *sender) each(visit func(ast.Node, *ast.FuncDecl)) {
	for _, file := range s.files {
		for _, declaration := range file.Decls {
			function, _ := declaration.(*ast.FuncDecl)
			ast.Inspect(declaration, func(n ast.Node) bool {
				visit(n, function)
				return true
			})
		}
	}
}

func (s *sender) visit(n ast.Node, function *ast.FuncDecl) {
	switch n := n.(type) {
	case *ast.CallExpr:
		if called, ok := n.Fun.(*ast.SelectorExpr); ok && called.Sel.Name == "Emit" && len(n.Args) > 0 {
			s.name(n.Args[0], function)
		}
	case *ast.CompositeLit:
		if s.isEvent(n.Type) {
			s.event(n, function)
		}
		if list, ok := n.Type.(*ast.ArrayType); ok && s.isEvent(list.Elt) {
			for _, element := range n.Elts {
				if e, ok := element.(*ast.CompositeLit); ok && e.Type == nil {
					s.event(e, function)
				}
			}
		}
	}
}

// isEvent reports whether a type is chat.Event, or a pointer to it.
func (s *sender) isEvent(e ast.Expr) bool {
	if star, ok := e.(*ast.StarExpr); ok {
		e = star.X
	}
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name == "Event" && s.files[0].Name.Name == "chat"
	case *ast.SelectorExpr:
		from, ok := e.X.(*ast.Ident)
		return ok && from.Name == "chat" && e.Sel.Name == "Event"
	}
	return false
}

func (s *sender) event(e *ast.CompositeLit, function *ast.FuncDecl) {
	for i, element := range e.Elts {
		named, ok := element.(*ast.KeyValueExpr)
		switch {
		case !ok && i == 0:
			s.name(element, function)
			return
		case ok && named.Key.(*ast.Ident).Name == "Name":
			s.name(named.Value, function)
			return
		}
	}
	s.t.Errorf("%s: an event without a name", s.set.Position(e.Pos()))
}

// name notes what an expression says.
func (s *sender) name(e ast.Expr, function *ast.FuncDecl) {
	if text, ok := literal(e); ok {
		s.names = append(s.names, text)
		return
	}
	variable, ok := e.(*ast.Ident)
	if ok && s.constants[variable.Name] != "" {
		s.names = append(s.names, s.constants[variable.Name])
		return
	}
	at := -1
	if ok && function != nil {
		at = slices.Index(parameters(function), variable.Name)
	}
	if at < 0 {
		s.t.Errorf("%s: the name of an event is neither a literal, a constant nor a parameter", s.set.Position(e.Pos()))
		return
	}
	calls := 0
	s.each(func(n ast.Node, caller *ast.FuncDecl) {
		call, ok := n.(*ast.CallExpr)
		if !ok || called(call) != function.Name.Name || len(call.Args) <= at {
			return
		}
		calls++
		s.name(call.Args[at], caller)
	})
	if calls == 0 {
		s.t.Errorf("%s: nothing calls %s, which sends an event", s.set.Position(function.Pos()), function.Name.Name)
	}
}

func parameters(function *ast.FuncDecl) []string {
	var names []string
	for _, field := range function.Type.Params.List {
		for _, name := range field.Names {
			names = append(names, name.Name)
		}
	}
	return names
}

// called is the name of the function or method that a call calls.
func called(call *ast.CallExpr) string {
	switch f := call.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		return f.Sel.Name
	}
	return ""
}
