// Command build joins, minifies and compresses the sources of pages and widget into assets/dist, which package assets embeds. Run by
// `go generate ./assets`, in the folder assets.
package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"sync"

	"github.com/andybalholm/brotli"

	"sohbet/assets"
)

func main() {
	if err := run(".", compressed); err != nil {
		fmt.Fprintln(os.Stderr, "assets/build:", err)
		os.Exit(1)
	}
}

// run fills the folder dist in the folder of the sources. compress returns forms of a file by the extensions of their names.
func run(folder string, compress func([]byte) map[string][]byte) error {
	sources := os.DirFS(folder)
	files, pages, err := buildAll(sources)
	if err != nil {
		return err
	}
	list, err := json.MarshalIndent(pages, "", " ")
	if err != nil {
		return err
	}
	all := maps.Clone(files)
	// Served as they are, so only their compressed forms are made.
	for _, pattern := range []string{"static/css/*.css", "static/vendor/*.js"} {
		names, err := fs.Glob(sources, pattern)
		if err != nil {
			return err
		}
		for _, name := range names {
			if all[name[len("static/"):]], err = fs.ReadFile(sources, name); err != nil {
				return err
			}
		}
	}
	dist := filepath.Join(folder, "dist")
	for _, old := range []string{"css", "hash.txt", "page", "pages.json", "vendor"} {
		if err := os.RemoveAll(filepath.Join(dist, old)); err != nil {
			return err
		}
	}
	write := func(name string, data []byte) error {
		name = filepath.Join(dist, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		return os.WriteFile(name, data, 0o644)
	}
	var waiting sync.WaitGroup
	failed := make(chan error, len(all)) // one per file at most
	for name, body := range all {
		waiting.Go(func() {
			for ext, data := range compress(body) {
				if err := write(name+ext, data); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	waiting.Wait()
	close(failed)
	for err := range failed {
		return err
	}
	for name, body := range files {
		if err := write(name, body); err != nil {
			return err
		}
	}
	if err := write("pages.json", list); err != nil {
		return err
	}
	hash, err := assets.StaticHash(sources)
	if err != nil {
		return err
	}
	return write("hash.txt", hash)
}

// compressed returns the compressed forms that are smaller than the file, by the extensions of their names.
func compressed(body []byte) map[string][]byte {
	forms := map[string][]byte{}
	for ext, open := range map[string]func(io.Writer) io.WriteCloser{
		".gz": func(w io.Writer) io.WriteCloser {
			z, _ := gzip.NewWriterLevel(w, gzip.BestCompression) // fails only for a level that does not exist
			return z
		},
		".br": func(w io.Writer) io.WriteCloser { return brotli.NewWriterLevel(w, brotli.BestCompression) },
	} {
		var out bytes.Buffer
		w := open(&out)
		_, _ = w.Write(body) // a buffer takes everything
		_ = w.Close()
		if out.Len() < len(body) {
			forms[ext] = out.Bytes()
		}
	}
	return forms
}
