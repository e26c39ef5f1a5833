package assets

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"io/fs"
	"math/bits"
	"mime"
	"net/http"
	"path"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/andybalholm/brotli"
)

const (
	staticPrefix = "/static/"
	cacheForever = "public, max-age=31536000, immutable"
	cacheADay    = "public, max-age=86400"
	cacheCheck   = "no-cache"

	// One level below the best: a third of the time for 2% more bytes.
	brotliLevel = brotli.BestCompression - 1
)

// contentTypes makes the types independent of the machine's MIME tables.
var contentTypes = map[string]string{
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".json": "application/json; charset=utf-8",
	".svg":  "image/svg+xml",
	".ico":  "image/x-icon",
	".png":  "image/png",
	".txt":  "text/plain; charset=utf-8",
}

// file is one embedded or generated file in every encoding that is worth sending. It is compressed with gzip at the first
// request, with Brotli by Prepare.
type file struct {
	name        string
	generated   []byte // contents of a generated file; nil = read the embedded file of that name
	contentType string
	compress    bool

	once  sync.Once
	plain encoded
	gzip  encoded
	more  sync.Once
	br    atomic.Pointer[encoded] // nil until compressBrotli, or if it is not smaller than gzip
}

type encoded struct {
	body     []byte
	etag     string
	encoding string
}

func newFile(name string) *file {
	ext := path.Ext(name)
	contentType := contentTypes[ext]
	if contentType == "" {
		contentType = mime.TypeByExtension(ext)
	}
	if contentType == "" {
		contentType = "application/octet-stream"
	}
	return &file{name: name, contentType: contentType, compress: ext != ".png" && ext != ".ico"}
}

// generatedFile returns a file with generated contents.
func generatedFile(name string, body []byte) *file {
	f := newFile(name)
	f.generated = body
	return f
}

// load reads the file and compresses it with gzip, once. It can only fail if the build is broken: the list of files comes from
// the same embedded tree.
func (f *file) load() {
	f.once.Do(func() {
		body := f.generated
		if body == nil {
			var err error
			if body, err = fs.ReadFile(embedded, f.name); err != nil {
				panic("assets: " + err.Error())
			}
		}
		sum := sha256.Sum256(body)
		tag := hex.EncodeToString(sum[:8])
		f.plain = encoded{body: body, etag: `"` + tag + `"`}
		if !f.compress {
			return
		}
		if small := gzipped(body, gzip.BestCompression); len(small) < len(body) {
			f.gzip = encoded{body: small, etag: `"` + tag + `-gz"`, encoding: "gzip"}
		}
	})
}

// compressBrotli compresses the file with Brotli, once, which takes a hundred times as long as gzip.
func (f *file) compressBrotli() {
	f.load()
	f.more.Do(func() {
		if f.gzip.body == nil {
			return
		}
		if small := compressWith(f.plain.body, func(w io.Writer) io.WriteCloser {
			return brotli.NewWriterOptions(w, brotli.WriterOptions{Quality: brotliLevel, LGWin: window(len(f.plain.body))})
		}); len(small) < len(f.gzip.body) {
			f.br.Store(&encoded{body: small, etag: strings.TrimSuffix(f.plain.etag, `"`) + `-br"`, encoding: "br"})
		}
	})
}

func gzipped(body []byte, level int) []byte {
	return compressWith(body, func(w io.Writer) io.WriteCloser {
		z, _ := gzip.NewWriterLevel(w, level) // fails only for an invalid level
		return z
	})
}

// window returns the base-2 logarithm of the Brotli window size for n bytes (RFC 7932, section 9.1). The compressor's memory, 32
// MB with the default window, depends on it.
func window(n int) int { return min(max(bits.Len(uint(n)), 16), 22) }

func compressWith(body []byte, open func(io.Writer) io.WriteCloser) []byte {
	var out bytes.Buffer
	w := open(&out)
	if _, err := w.Write(body); err != nil {
		return body
	}
	if err := w.Close(); err != nil {
		return body
	}
	return out.Bytes()
}

// pick chooses the smallest encoding that the request accepts (RFC 9110 §12.5.3).
func (f *file) pick(accept string) encoded {
	f.load()
	br := f.br.Load()
	switch {
	case br != nil && accepts(accept, "br"):
		return *br
	case f.gzip.body != nil && accepts(accept, "gzip"):
		return f.gzip
	}
	return f.plain
}

// accepts reports whether an Accept-Encoding header names the coding without refusing it by q=0.
func accepts(header, coding string) bool {
	for _, part := range strings.Split(header, ",") {
		name, params, _ := strings.Cut(part, ";")
		if !strings.EqualFold(strings.TrimSpace(name), coding) {
			continue
		}
		q, found := strings.CutPrefix(strings.ReplaceAll(strings.ToLower(params), " ", ""), "q=")
		if !found {
			return true
		}
		weight, err := strconv.ParseFloat(q, 64)
		return err == nil && weight > 0
	}
	return false
}

// serve answers GET and HEAD with the file, or with 304 if the browser has it.
func (f *file) serve(w http.ResponseWriter, r *http.Request, cache string) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
		return
	}
	e := f.pick(r.Header.Get("Accept-Encoding"))
	h := w.Header()
	h.Set("Content-Type", f.contentType)
	h.Set("Cache-Control", cache)
	h.Set("ETag", e.etag)
	h.Set("X-Content-Type-Options", "nosniff")
	if f.compress {
		h.Add("Vary", "Accept-Encoding")
	}
	if matches(r.Header.Get("If-None-Match"), e.etag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	if e.encoding != "" {
		h.Set("Content-Encoding", e.encoding)
	}
	h.Set("Content-Length", strconv.Itoa(len(e.body)))
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodGet {
		_, _ = w.Write(e.body) // an error means that the client has disconnected
	}
}

// matches compares If-None-Match by the weak comparison of RFC 9110 §13.1.2.
func matches(header, etag string) bool {
	for _, part := range strings.Split(header, ",") {
		part = strings.TrimPrefix(strings.TrimSpace(part), "W/")
		if part == etag || part == "*" {
			return true
		}
	}
	return false
}

// folder returns the embedded files below a folder, by their path relative to it.
func folder(root string) map[string]*file {
	files := map[string]*file{}
	err := fs.WalkDir(embedded, root, func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files[strings.TrimPrefix(name, root+"/")] = newFile(name)
		}
		return err
	})
	if err != nil {
		panic("assets: embedded folder " + root + ": " + err.Error())
	}
	return files
}

var (
	staticFiles = folder("static")
	rootFiles   = folder("root")
)

// Prepare builds the bundles and compresses them, so that the first visitor does not wait: with gzip at once, with Brotli after
// the calm, when the server has finished starting. Single source files are compressed when requested. It stops early when ctx is
// done.
func Prepare(ctx context.Context, calm time.Duration) {
	sets := []map[string]*file{bundles().files, rootFiles}
	each := func(do func(*file)) {
		for _, files := range sets {
			for _, f := range files {
				if ctx.Err() != nil {
					return
				}
				do(f)
			}
		}
	}
	each((*file).load)
	select {
	case <-ctx.Done():
		return
	case <-time.After(calm):
	}
	each((*file).compressBrotli)
	// The compressors allocated a hundred times their output, which an idle server would keep for minutes.
	debug.FreeOSMemory()
}

// Static serves /static/<fingerprint>/<path>. Responses to the current fingerprint may be cached for ever. For an older one, from
// a page that stayed open while the server was updated, it serves the current file, to be revalidated.
func Static() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rest, found := strings.CutPrefix(r.URL.Path, staticPrefix)
		stamp, name, cut := strings.Cut(rest, "/")
		f := lookup(name)
		if !found || !cut || f == nil {
			http.NotFound(w, r)
			return
		}
		if stamp != fingerprint() {
			f.serve(w, r, cacheCheck)
			return
		}
		f.serve(w, r, cacheForever)
	})
}

// Files serves the files that browsers request at the root: /favicon.ico and /robots.txt.
func Files() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f, known := rootFiles[strings.TrimPrefix(r.URL.Path, "/")]
		if !known {
			http.NotFound(w, r)
			return
		}
		f.serve(w, r, cacheADay)
	})
}
