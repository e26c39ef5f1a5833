package assets

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
)

const (
	staticPrefix = "/static/"
	cacheForever = "public, max-age=31536000, immutable"
	cacheADay    = "public, max-age=86400"
	cacheCheck   = "no-cache"
)

// contentTypes names the types here so that they do not depend on the machine's mime tables.
var contentTypes = map[string]string{
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".json": "application/json; charset=utf-8",
	".svg":  "image/svg+xml",
	".ico":  "image/x-icon",
	".png":  "image/png",
	".txt":  "text/plain; charset=utf-8",
}

// file is a file in the encodings that it is there in. It is read when it is first asked for, and kept.
type file struct {
	contentType string
	load        func() map[string]encoded // by Content-Encoding; "" = as it is
}

type encoded struct {
	body []byte
	etag string
}

func newFile(name string, read func() map[string][]byte) *file {
	contentType := contentTypes[path.Ext(name)]
	if contentType == "" {
		contentType = mime.TypeByExtension(path.Ext(name))
	}
	if contentType == "" {
		contentType = "application/octet-stream"
	}
	return &file{contentType: contentType, load: sync.OnceValue(func() map[string]encoded {
		bodies := read()
		sum := sha256.Sum256(bodies[""])
		tag := hex.EncodeToString(sum[:8])
		all := map[string]encoded{}
		for encoding, body := range bodies {
			all[encoding] = encoded{body, `"` + strings.TrimSuffix(tag+"-"+encoding, "-") + `"`}
		}
		return all
	})}
}

// embeddedFile is a file of the first of the folders that has it. Its compressed forms are NAME.gz and NAME.br in any of them.
func embeddedFile(name string, folders ...string) *file {
	return newFile(name, func() map[string][]byte {
		bodies := map[string][]byte{}
		for encoding, ext := range map[string]string{"": "", "gzip": ".gz", "br": ".br"} {
			for _, folder := range folders {
				if data, err := fs.ReadFile(embedded, folder+"/"+name+ext); err == nil {
					bodies[encoding] = data
					break
				}
			}
		}
		return bodies
	})
}

// generatedFile is a file whose contents depend on settings.
func generatedFile(name string, body []byte) *file {
	return newFile(name, func() map[string][]byte {
		bodies := map[string][]byte{"": body}
		if small := gzipped(body); len(small) < len(body) {
			bodies["gzip"] = small
		}
		return bodies
	})
}

func gzipped(body []byte) []byte {
	var out bytes.Buffer
	w, _ := gzip.NewWriterLevel(&out, gzip.BestCompression) // fails only for a level that does not exist
	_, _ = w.Write(body)                                    // a buffer takes everything
	_ = w.Close()
	return out.Bytes()
}

// plain is the file as it is.
func (f *file) plain() []byte { return f.load()[""].body }

// accepts reports whether an Accept-Encoding header names the coding without refusing it by q=0 (RFC 9110, section 12.5.3).
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

// serve answers GET and HEAD with the file in the smallest encoding that the request accepts, and 304 when the browser has it.
func (f *file) serve(w http.ResponseWriter, r *http.Request, cache string) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
		return
	}
	all := f.load()
	e := all[""]
	h := w.Header()
	for _, encoding := range []string{"br", "gzip"} {
		if smaller, ok := all[encoding]; ok && accepts(r.Header.Get("Accept-Encoding"), encoding) {
			e = smaller
			h.Set("Content-Encoding", encoding)
			break
		}
	}
	h.Set("Content-Type", f.contentType)
	h.Set("Cache-Control", cache)
	h.Set("ETag", e.etag)
	h.Set("X-Content-Type-Options", "nosniff")
	if len(all) > 1 {
		h.Add("Vary", "Accept-Encoding")
	}
	if matches(r.Header.Get("If-None-Match"), e.etag) {
		h.Del("Content-Encoding")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Length", strconv.Itoa(len(e.body)))
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodGet {
		_, _ = w.Write(e.body) // the browser left; nothing to do about it
	}
}

// matches compares If-None-Match weakly (RFC 9110, section 13.1.2).
func matches(header, etag string) bool {
	for _, part := range strings.Split(header, ",") {
		part = strings.TrimPrefix(strings.TrimSpace(part), "W/")
		if part == etag || part == "*" {
			return true
		}
	}
	return false
}

// staticFiles are the files below /static/<fingerprint>/: what go generate made, and the sources.
var staticFiles = sync.OnceValue(func() map[string]*file {
	files := map[string]*file{}
	for _, root := range []string{"dist", "static"} {
		err := fs.WalkDir(embedded, root, func(name string, d fs.DirEntry, err error) error {
			if ext := path.Ext(name); err == nil && !d.IsDir() && ext != ".gz" && ext != ".br" && !strings.HasPrefix(d.Name(), ".") {
				name = strings.TrimPrefix(name, root+"/")
				files[name] = embeddedFile(name, "dist", "static")
			}
			return err
		})
		if err != nil {
			panic("assets: embedded folder " + root + ": " + err.Error())
		}
	}
	return files
})

// Static serves /static/<fingerprint>/<path>. The current fingerprint may be cached forever; an older one, from a page that was
// open while the server was updated, gets the current file and must be revalidated.
func Static() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rest, found := strings.CutPrefix(r.URL.Path, staticPrefix)
		stamp, name, cut := strings.Cut(rest, "/")
		f := staticFiles()[name]
		if !found || !cut || f == nil {
			http.NotFound(w, r)
			return
		}
		if strings.HasPrefix(name, "js/loader/") {
			w.Header().Set("Access-Control-Allow-Origin", "*") // pages of other sites import it, see loaderScript
		}
		if stamp != fingerprint() {
			f.serve(w, r, cacheCheck)
			return
		}
		f.serve(w, r, cacheForever)
	})
}

// Files serves the few names that browsers ask for at the root: /favicon.ico and /robots.txt.
func Files() http.Handler {
	files := map[string]*file{}
	for _, name := range []string{"favicon.ico", "robots.txt"} {
		files[name] = embeddedFile(name, "root")
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f, known := files[strings.TrimPrefix(r.URL.Path, "/")]
		if !known {
			http.NotFound(w, r)
			return
		}
		f.serve(w, r, cacheADay)
	})
}
