// Package assets holds everything a browser loads: pages, styles, modules, icons and texts, all inside the binary, and the code
// that serves them.
//
// `go generate ./assets` (assets/build) joins, minifies and compresses the sources into dist, which is embedded too and not
// committed. A program built without it serves the sources as they are.
//
// Static files are served under /static/<fingerprint>/…, where the fingerprint is a hash over all of them: relative imports
// between modules work, and every answer may be cached forever.
package assets

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"strings"
	"sync"

	"sohbet/assets/locales"
)

//go:generate go run ./build

// The folders static/vendor (see package.json) and dist are filled by `make build` and may be empty; their .keep files only keep
// the folders in Git.
//
//go:embed static root pages all:dist
var embedded embed.FS

// Bundle is what a page loads besides its HTML. go generate writes it for each page to dist/pages.json.
type Bundle struct {
	Styles, Scripts []string // static files such as "page/visitor.js"
	// HasClient reports whether the scripts include the Socket.IO client.
	HasClient bool
	// Texts are the keys, such as "talk.send", of texts that the scripts can ask for, and Icons the names of icons that the page
	// shows or its scripts can ask for; nil = all.
	Texts, Icons []string
}

// bundles maps pages to what they load: joined files where dist has them, else the sources.
var bundles = sync.OnceValue(func() map[string]Bundle {
	made := map[string]Bundle{}
	data, err := fs.ReadFile(embedded, "dist/pages.json")
	if err != nil {
		for page := range Pages {
			made[page] = sourceBundle(page)
		}
		return made
	}
	if err := json.Unmarshal(data, &made); err != nil {
		panic("assets: dist/pages.json: " + err.Error())
	}
	return made
})

func sourceBundle(page string) Bundle {
	var b Bundle
	for _, name := range Pages[page].AllStyles() {
		b.Styles = append(b.Styles, "css/"+name+".css")
	}
	for _, name := range Pages[page].AllScripts() {
		b.Scripts = append(b.Scripts, "js/"+name+".js")
	}
	return b
}

// fingerprint identifies this build's static files in URLs: the first twelve hex digits of a hash over names and contents.
var fingerprint = sync.OnceValue(func() string {
	static, err := fs.ReadFile(embedded, "dist/hash.txt") // reading all of them when the program starts would take longer than the rest of the start
	if err != nil {
		static, err = StaticHash(embedded)
	}
	sum := sha256.New()
	sum.Write(locales.Files())
	sum.Write(static)
	if err := errors.Join(err, writeFiles(sum, embedded, "pages")); err != nil {
		panic("assets: fingerprint: " + err.Error())
	}
	return hex.EncodeToString(sum.Sum(nil))[:12]
})

// StaticHash returns a hash over the folders dist and static. go generate writes it to dist/hash.txt.
func StaticHash(files fs.FS) ([]byte, error) {
	sum := sha256.New()
	err := errors.Join(writeFiles(sum, files, "dist"), writeFiles(sum, files, "static"))
	return sum.Sum(nil), err
}

// writeFiles writes names and contents of all files in a folder.
func writeFiles(w io.Writer, files fs.FS, folder string) error {
	return fs.WalkDir(files, folder, func(name string, d fs.DirEntry, err error) error { // in lexical order
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(files, name)
		_, _ = w.Write(append([]byte(name+"\x00"), data...)) // to a hash
		return err
	})
}

// Build identifies this build's pages to those that are open while the server is updated.
func Build() string { return fingerprint() }

// URL returns the address of a static file, such as "js/visitor.js", in this build.
func URL(path string) string {
	return staticPrefix + fingerprint() + "/" + strings.TrimPrefix(path, "/")
}
