package assets

import (
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"

	"sohbet/assets/locales"
)

func get(t *testing.T, h http.Handler, target string, headers ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, target, nil)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r io.Reader) []byte {
	t.Helper()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestStaticFileInEveryEncoding(t *testing.T) {
	want := []byte("body{color:red}")
	name := "css/test.css"
	staticFiles()[name] = newFile(name, func() map[string][]byte {
		var br bytes.Buffer
		w := brotli.NewWriter(&br)
		if _, err := w.Write(want); err != nil || w.Close() != nil {
			t.Error(err)
		}
		return map[string][]byte{"": want, "gzip": gzipped(want), "br": br.Bytes()}
	})
	defer delete(staticFiles(), name)
	for _, c := range []struct{ accept, encoding string }{
		{"gzip, deflate, br, zstd", "br"},
		{"gzip", "gzip"},
		{"br;q=0, gzip;q=0.5", "gzip"},
		{"br; q=0.1", "br"},
		{"brotli", ""},
		{"", ""},
	} {
		res := get(t, Static(), URL(name), "Accept-Encoding", c.accept)
		if res.StatusCode != http.StatusOK || res.Header.Get("Content-Encoding") != c.encoding {
			t.Errorf("Accept-Encoding %q: status %d, encoding %q, want %q", c.accept, res.StatusCode, res.Header.Get("Content-Encoding"), c.encoding)
			continue
		}
		var plain io.Reader = res.Body
		switch c.encoding {
		case "br":
			plain = brotli.NewReader(res.Body)
		case "gzip":
			unzipped, err := gzip.NewReader(res.Body)
			if err != nil {
				t.Fatal(err)
			}
			plain = unzipped
		}
		if !bytes.Equal(body(t, plain), want) {
			t.Errorf("Accept-Encoding %q: the file came out changed", c.accept)
		}
		for name, value := range map[string]string{
			"Content-Type": "text/css; charset=utf-8", "Cache-Control": cacheForever,
			"Vary": "Accept-Encoding", "X-Content-Type-Options": "nosniff",
		} {
			if got := res.Header.Get(name); got != value {
				t.Errorf("%s is %q, want %q", name, got, value)
			}
		}
		again := get(t, Static(), URL(name), "Accept-Encoding", c.accept, "If-None-Match", `"other", W/`+res.Header.Get("ETag"))
		if again.StatusCode != http.StatusNotModified || len(body(t, again.Body)) != 0 {
			t.Errorf("a file the browser has: status %d", again.StatusCode)
		}
	}
}

func TestStaticRefusals(t *testing.T) {
	for target, want := range map[string]int{
		URL("css/none.css"):                    http.StatusNotFound,
		URL(""):                                http.StatusNotFound,
		"/static/":                             http.StatusNotFound,
		"/static/css/base.css":                 http.StatusNotFound,
		URL("../locales/tr.json"):              http.StatusNotFound,
		"/static/000000000000/css/base.css":    http.StatusOK,
		"/elsewhere/000000000000/css/base.css": http.StatusNotFound,
	} {
		if res := get(t, Static(), target); res.StatusCode != want {
			t.Errorf("GET %s: %d, want %d", target, res.StatusCode, want)
		}
	}
	// A page of an earlier build must not cache the current file under the old build's address.
	if got := get(t, Static(), "/static/000000000000/css/base.css").Header.Get("Cache-Control"); got != cacheCheck {
		t.Errorf("old fingerprint: Cache-Control %q", got)
	}
	w := httptest.NewRecorder()
	Static().ServeHTTP(w, httptest.NewRequest(http.MethodPost, URL("css/base.css"), nil))
	if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %d, Allow %q", w.Code, w.Header().Get("Allow"))
	}
	w = httptest.NewRecorder()
	Static().ServeHTTP(w, httptest.NewRequest(http.MethodHead, URL("css/base.css"), nil))
	if w.Code != http.StatusOK || w.Body.Len() != 0 || w.Header().Get("Content-Length") == "" {
		t.Errorf("HEAD: %d with %d bytes, Content-Length %q", w.Code, w.Body.Len(), w.Header().Get("Content-Length"))
	}
}

func TestRootFiles(t *testing.T) {
	for name, contentType := range map[string]string{
		"/favicon.ico": "image/x-icon", "/robots.txt": "text/plain; charset=utf-8",
	} {
		res := get(t, Files(), name)
		if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != contentType {
			t.Errorf("%s: %d %q", name, res.StatusCode, res.Header.Get("Content-Type"))
		}
	}
	if res := get(t, Files(), "/embed.go"); res.StatusCode != http.StatusNotFound {
		t.Errorf("/embed.go: %d", res.StatusCode)
	}
}

// The version and integrity that the pages name must be those of the package that the lockfile installs.
func TestClientPins(t *testing.T) {
	var manifest struct{ Dependencies map[string]string }
	var lock struct {
		Packages map[string]struct{ Version, Resolved string }
	}
	for name, into := range map[string]any{"package.json": &manifest, "package-lock.json": &lock} {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data, into); err != nil {
			t.Fatal(err)
		}
	}
	if got := manifest.Dependencies["socket.io-client"]; got != ClientVersion {
		t.Errorf("package.json has socket.io-client %s, the pages %s", got, ClientVersion)
	}
	if got := lock.Packages["node_modules/socket.io-client"].Version; got != ClientVersion {
		t.Errorf("package-lock.json has socket.io-client %s, the pages %s", got, ClientVersion)
	}
	for name, p := range lock.Packages {
		if p.Resolved != "" && !strings.HasPrefix(p.Resolved, "https://registry.npmjs.org/") {
			t.Errorf("package-lock.json: %s is resolved to %s", name, p.Resolved)
		}
	}
	if !ClientEmbedded() {
		return // without `make build` there is no embedded client to check the integrity against
	}
	for name := range clientFiles {
		h, ok := Client(name)
		if !ok {
			t.Errorf("%s is not embedded, although another client file is", name)
			continue
		}
		data := body(t, get(t, h, "/socket.io/"+name).Body)
		sum := sha512.Sum384(data)
		if got := "sha384-" + base64.StdEncoding.EncodeToString(sum[:]); name == clientMain && got != ClientIntegrity {
			t.Errorf("integrity of %s is %s, the pages say %s", name, got, ClientIntegrity)
		}
		if got := get(t, h, "/socket.io/"+name+"?v="+ClientVersion).Header.Get("Cache-Control"); got != cacheForever {
			t.Errorf("%s with its version: Cache-Control %q", name, got)
		}
	}
	if _, ok := Client("../js/visitor.js"); ok {
		t.Error("Client serves what is no client file")
	}
}

func TestPages(t *testing.T) {
	inline := regexp.MustCompile(`(?i)\son[a-z]+\s*=|\sstyle\s*=|<style|javascript:`)
	script := regexp.MustCompile(`<script[^>]*>`)
	for name := range Pages {
		for _, lang := range []string{"tr", "en"} {
			w := httptest.NewRecorder()
			r := httptest.NewRequest(http.MethodGet, "/?lang="+lang, nil)
			data := PageData{CSRFToken: `to"ken`, Locale: "tr"}
			switch name {
			case "login":
				data.Data = LoginData{PasswordRequired: true, CodeVia: "telegram"}
			case "people":
				data.Data = PeopleData{Telegram: true}
			case "audit":
				data.Data = AuditData{Events: []string{"sign_in"}}
			case "error":
				data.Data = ErrorData{Status: 500, RequestID: "abc-123"}
			}
			if err := Page(w, r, http.StatusTeapot, name, data); err != nil {
				t.Fatal(err)
			}
			html := w.Body.String()
			if w.Code != http.StatusTeapot || w.Header().Get("Content-Language") != lang || !strings.Contains(html, `<html lang="`+lang+`"`) {
				t.Errorf("%s in %s: status %d, Content-Language %q", name, lang, w.Code, w.Header().Get("Content-Language"))
			}
			if !strings.Contains(html, `<meta name="csrf-token" content="to&#34;ken">`) {
				t.Errorf("%s: no csrf-token", name)
			}
			// A strict Content-Security-Policy would silently drop anything inline.
			if found := inline.FindString(html); found != "" {
				t.Errorf("%s has something inline: %q", name, found)
			}
			for _, tag := range script.FindAllString(html, -1) {
				if !strings.Contains(tag, "src=") && !strings.Contains(tag, `type="application/json"`) {
					t.Errorf("%s has an inline script: %s", name, tag)
				}
			}
			if c := w.Result().Cookies(); name == "widget" {
				if len(c) != 0 {
					t.Errorf("the frame on another site sets cookies: %v", c)
				}
			} else if len(c) != 1 || c[0].Name != LocaleCookie || c[0].Value != lang {
				t.Errorf("%s: ?lang= is not remembered: %v", name, c)
			}
			if strings.Contains(html, "no value") || strings.Contains(html, "ZgotmplZ") {
				t.Errorf("%s: a value did not come out", name)
			}
		}
	}
	packed := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "/?lang=en", nil)
	r.Header.Set("Accept-Encoding", "gzip")
	if err := Page(packed, r, http.StatusOK, "visitor", PageData{}); err != nil {
		t.Fatal(err)
	}
	plain, err := gzip.NewReader(packed.Body)
	if err != nil || packed.Header().Get("Content-Encoding") != "gzip" {
		t.Fatalf("a browser that takes gzip got %q: %v", packed.Header().Get("Content-Encoding"), err)
	}
	if !bytes.HasSuffix(bytes.TrimSpace(body(t, plain)), []byte("</html>")) {
		t.Error("the compressed page is not whole")
	}
	// Without data the pages still stand.
	for name := range Pages {
		w := httptest.NewRecorder()
		if err := Page(w, httptest.NewRequest(http.MethodGet, "/", nil), http.StatusOK, name, PageData{}); err != nil {
			t.Errorf("%s without data: %v", name, err)
		}
		if len(w.Result().Cookies()) != 0 {
			t.Errorf("%s sets a cookie although the request chose no language or theme", name)
		}
	}
	w := httptest.NewRecorder()
	if err := Page(w, httptest.NewRequest(http.MethodGet, "/", nil), http.StatusOK, "other", PageData{}); err == nil || w.Body.Len() != 0 {
		t.Error("an unknown page is an error, before anything is written")
	}
}

func TestLocale(t *testing.T) {
	for _, c := range []struct{ target, cookie, accept, fallback, want string }{
		{"/", "", "", "", "tr"},
		{"/", "", "", "en", "en"},
		{"/", "", "de", "xx", "tr"},
		{"/", "", "de-DE, en;q=0.8, tr;q=0.9", "en", "tr"},
		{"/", "", "en-GB,en;q=0.9", "tr", "en"},
		{"/", "", "tr;q=0, en;q=0.1", "tr", "en"},
		{"/", "tr", "en", "en", "tr"},
		{"/", "../x", "en", "tr", "en"},
		{"/?lang=en", "tr", "tr", "tr", "en"},
		{"/?lang=xx", "en", "tr", "tr", "en"},
	} {
		r := httptest.NewRequest(http.MethodGet, c.target, nil)
		r.Header.Set("Accept-Language", c.accept)
		if c.cookie != "" {
			r.AddCookie(&http.Cookie{Name: LocaleCookie, Value: c.cookie})
		}
		if got := Locale(r, c.fallback); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}

// Every text that a module uses exists, and no module parses strings as HTML.
func TestModules(t *testing.T) {
	wanted := regexp.MustCompile(`\bt\('([a-z]+\.[a-z_]+)'|: '([a-z]+\.[a-z_]+)'`)
	counted := regexp.MustCompile(`\bcount\('([a-z]+\.[a-z_]+)'`)
	markup := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|setHTML|eval\(|new Function`)
	seen := 0
	err := fs.WalkDir(embedded, "static/js", func(name string, d fs.DirEntry, err error) error {
		if err != nil || path.Ext(name) != ".js" {
			return err
		}
		data, err := fs.ReadFile(embedded, name)
		if err != nil {
			return err
		}
		if found := markup.Find(data); found != nil {
			t.Errorf("%s uses %s", name, found)
		}
		var keys []string
		for _, m := range wanted.FindAllSubmatch(data, -1) {
			keys = append(keys, string(m[1])+string(m[2]))
		}
		for _, m := range counted.FindAllSubmatch(data, -1) {
			keys = append(keys, string(m[1])+"_one", string(m[1])+"_other")
		}
		for _, key := range keys {
			seen++
			if _, ok := locales.Lookup(locales.Fallback, key); !ok {
				t.Errorf("%s uses the text %s, which does not exist", name, key)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen < 50 {
		t.Errorf("only %d texts found in the modules: the pattern no longer fits them", seen)
	}
	for _, name := range []string{".keep", "vendor/.keep", "page/.keep"} {
		if staticFiles()[name] != nil {
			t.Errorf("%s is served", name)
		}
	}
}

// Every drawing that a page shows from the start is in it; a small page has fewer than all.
func TestPagesHaveTheirDrawings(t *testing.T) {
	all := strings.Count(iconSource, "<symbol")
	for name := range Pages {
		w := httptest.NewRecorder()
		if err := Page(w, httptest.NewRequest(http.MethodGet, "/", nil), http.StatusOK, name, PageData{}); err != nil {
			t.Fatal(err)
		}
		html := w.Body.String()
		for _, m := range regexp.MustCompile(`href="#(i-[a-z]+)"`).FindAllStringSubmatch(html, -1) {
			if !strings.Contains(html, `<symbol id="`+m[1]+`"`) {
				t.Errorf("%s shows %s, which it does not carry", name, m[1])
			}
		}
		if n := strings.Count(html, "<symbol"); n == 0 && name != "offline" || bundles()[name].Icons != nil && name == "login" && n > all*3/4 {
			t.Errorf("%s carries %d of %d drawings", name, n, all)
		}
	}
}
