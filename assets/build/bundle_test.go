package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/andybalholm/brotli"

	"sohbet/assets"
)

var sources = os.DirFS("..")

type built struct {
	files map[string][]byte
	pages map[string]assets.Bundle
	err   error
}

var once = sync.OnceValue(func() (b built) {
	b.files, b.pages, b.err = buildAll(sources)
	return b
})

func build(t *testing.T) (map[string][]byte, map[string]assets.Bundle) {
	t.Helper()
	b := once()
	if b.err != nil {
		t.Fatal(b.err)
	}
	return b.files, b.pages
}

// A page's two files hold everything that its modules and style sheets import.
func TestBundles(t *testing.T) {
	files, pages := build(t)
	var modules string
	err := fs.WalkDir(sources, "static/js", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(sources, name)
		modules += string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = fs.Stat(sources, "static/vendor/"+assets.ClientModule)
	clientThere := err == nil
	for page, parts := range assets.Pages {
		b := pages[page]
		style, script := string(files[b.Styles[0]]), string(files[b.Scripts[0]])
		if !strings.Contains(style, "--paper") || strings.Contains(style, "@import") || strings.Contains(style, "/*") || strings.Contains(style, "light-dark(") {
			t.Errorf("%s: the style sheet is not joined, minified and lowered", page)
		}
		if has := strings.Contains(script, "Engine.IO") || strings.Contains(script, "/engine.io"); has != b.HasClient || has != (parts.UsesClient() && clientThere) {
			t.Errorf("%s: the Socket.IO client is in it: %v, HasClient: %v", page, has, b.HasClient)
		}
		if elsewhere := regexp.MustCompile(`from ?"[^"]+"`).FindString(script); elsewhere != "" {
			t.Errorf("%s imports at once what is in another file: %s", page, elsewhere)
		}
		var exported []string
		for _, list := range regexp.MustCompile(`export ?\{([^}]*)\}`).FindAllStringSubmatch(script, -1) {
			for name := range strings.SplitSeq(list[1], ",") {
				fields := strings.Fields(name)
				exported = append(exported, fields[len(fields)-1])
			}
		}
		// What it imports later is there, and finds what it imports from it.
		for _, m := range regexp.MustCompile(`import\("\./([^"]+)"\)`).FindAllStringSubmatch(script, -1) {
			code, ok := files[pageFolder+m[1]]
			if !ok {
				t.Errorf("%s imports %s, which is missing", page, m[1])
			}
			for _, imported := range regexp.MustCompile(`import ?\{([^}]*)\} ?from ?"\./`+page+`\.js"`).FindAllStringSubmatch(string(code), -1) {
				for name := range strings.SplitSeq(imported[1], ",") {
					name, _, _ = strings.Cut(strings.TrimSpace(name), " as ")
					if !slices.Contains(exported, name) {
						t.Errorf("%s imports %s, which %s does not export", m[1], name, page)
					}
					// The name is the source's, so that it is the same in other builds.
					if !regexp.MustCompile(`(?m)^export (async )?(function|class|const|let) ` + name + `\b`).MatchString(modules) {
						t.Errorf("%s imports %s, which no module exports by that name", m[1], name)
					}
				}
			}
		}
		if len(b.Icons) == 0 && page != "offline" || page == "login" && len(b.Icons) > len(assets.IconNames())*3/4 {
			t.Errorf("%s has the icons %v", page, b.Icons)
		}
		if len(b.Texts) == 0 && page == "visitor" || page == "login" && slices.Contains(b.Texts, "talk.send") {
			t.Errorf("%s has the texts %v", page, b.Texts)
		}
	}
	// A module three imports away from its entry.
	if !bytes.Contains(files["page/visitor.js"], []byte("noopener noreferrer nofollow")) {
		t.Error("lib/message-text.js is not in the visitor's bundle")
	}
	for _, never := range []string{"import ", "export ", "</script"} {
		if bytes.Contains(files["page/loader.js"], []byte(never)) {
			t.Errorf("%q is in the loader", never)
		}
	}
}

// Pages of other builds request chunks by these names.
func TestChunkNamesAreKept(t *testing.T) {
	files, _ := build(t)
	for page, names := range map[string]string{
		"visitor": "badge emoji files inline offers player recorder renew sound upload viewer worker",
		"widget":  "badge emoji facts files inline offers player recorder renew sound upload viewer worker",
		"console": "emoji files inline player pressed recorder renew upload viewer",
	} {
		for name := range strings.FieldsSeq(names) {
			if files[pageFolder+page+"-"+name+".js"] == nil {
				t.Errorf("page %s has no chunk %s", page, name)
			}
		}
	}
}

// What is written is what another build gives, because a page that one process served may load its files from another; and a second
// run removes what the first one left.
func TestRun(t *testing.T) {
	folder := t.TempDir()
	static, err := fs.Sub(sources, "static")
	if err != nil {
		t.Fatal(err)
	}
	list, err := fs.ReadFile(sources, "package.json")
	if err != nil {
		t.Fatal(err)
	}
	left := filepath.Join(folder, "dist", "page", "old.js")
	if err := errors.Join(os.CopyFS(filepath.Join(folder, "static"), static), os.WriteFile(filepath.Join(folder, "package.json"), list, 0o600),
		os.MkdirAll(filepath.Dir(left), 0o755), os.WriteFile(left, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := run(folder, func(body []byte) map[string][]byte { return map[string][]byte{".small": body[:1]} }); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); err == nil {
		t.Error("a file of an earlier build is still there")
	}
	files, pages := build(t)
	read := func(name string) []byte {
		data, err := os.ReadFile(filepath.Join(folder, "dist", name))
		if err != nil {
			t.Error(err)
		}
		return data
	}
	for name, want := range files {
		if got := read(name); !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, want %d", name, len(got), len(want))
		}
		read(name + ".small")
	}
	read("css/composer-tools.css.small") // whose plain form is served from the sources
	var listed map[string]assets.Bundle
	if err := json.Unmarshal(read("pages.json"), &listed); err != nil || len(listed) != len(pages) {
		t.Errorf("pages.json: %d pages, want %d; %v", len(listed), len(pages), err)
	}
}

func TestCompressed(t *testing.T) {
	want := bytes.Repeat([]byte("color:red;"), 100)
	forms := compressed(want)
	unzipped, err := gzip.NewReader(bytes.NewReader(forms[".gz"]))
	if err != nil {
		t.Fatal(err)
	}
	for form, r := range map[string]io.Reader{".gz": unzipped, ".br": brotli.NewReader(bytes.NewReader(forms[".br"]))} {
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, want) || len(forms[form]) >= len(want) {
			t.Errorf("%s: %d bytes, %q, %v", form, len(forms[form]), got, err)
		}
	}
	if forms := compressed([]byte("a")); len(forms) != 0 {
		t.Errorf("a byte became larger: %v", forms)
	}
}
