// Package assets holds everything that a browser loads (pages, styles, modules, icons and texts), embedded in the binary, and the
// handlers that serve it.
//
// Static files are served under /static/<fingerprint>/…, where the fingerprint is a hash of all of them and of the bundles.
// Relative imports between modules work, and every response may be cached for ever.
package assets

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"hash"
	"io/fs"
	"maps"
	"slices"
	"sort"
	"strings"
	"sync"
)

// The vendor folder is filled by `make build` (see package.json) and may be empty; its .keep file only keeps the folder in Git.
//
//go:embed static root pages locales package.json
var embedded embed.FS

// fingerprint identifies this build's static files in URLs: the first twelve hex digits of a hash of names and contents.
var fingerprint = sync.OnceValue(func() string {
	sum := sha256.New()
	hashFolders(sum, embedded, "static", "locales", "pages")
	made := bundles().files
	for _, name := range slices.Sorted(maps.Keys(made)) {
		sum.Write([]byte(name + "\x00"))
		sum.Write(made[name].generated)
	}
	return hex.EncodeToString(sum.Sum(nil))[:12]
})

// Build is sent to open pages, which compare it with their own to detect that the server was updated.
func Build() string { return fingerprint() }

// hashFolders adds the names and contents of every file below the folders to a hash.
func hashFolders(sum hash.Hash, fsys fs.FS, folders ...string) {
	var names []string
	for _, folder := range folders {
		err := fs.WalkDir(fsys, folder, func(name string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				names = append(names, name)
			}
			return err
		})
		if err != nil {
			panic("assets: embedded folder " + folder + ": " + err.Error())
		}
	}
	sort.Strings(names)
	for _, name := range names {
		data, err := fs.ReadFile(fsys, name)
		if err != nil {
			panic("assets: embedded file " + name + ": " + err.Error())
		}
		sum.Write([]byte(name + "\x00"))
		sum.Write(data)
	}
}

// URL returns the URL path of a static file, such as "js/visitor.js", in this build.
func URL(path string) string {
	return staticPrefix + fingerprint() + "/" + strings.TrimPrefix(path, "/")
}
