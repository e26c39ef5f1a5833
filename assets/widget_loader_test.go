package assets

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strings"
	"testing"
)

func TestLoader(t *testing.T) {
	settings := LoaderSettings{Sites: []string{"https://shop.example", "https://</script>.example"}, Locale: "en"}
	res := get(t, Loader(settings), "/widget.js")
	script := string(body(t, res.Body))
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "text/javascript; charset=utf-8" || res.Header.Get("Cache-Control") != cacheCheck {
		t.Errorf("status %d, headers %v", res.StatusCode, res.Header)
	}
	for _, want := range []string{"https://shop.example", "Sohbeti aç", "Open the chat"} {
		if !strings.Contains(script, want) {
			t.Errorf("%q is not in the loader", want)
		}
	}
	if strings.Contains(script, "</script") {
		t.Error("a script element would end in the loader")
	}
	if built := staticFiles()["page/loader.js"] != nil; strings.Contains(script, "import(") == built {
		t.Errorf("built: %v, and the loader is %s", built, script)
	}
	again := get(t, Loader(settings), "/widget.js", "If-None-Match", res.Header.Get("ETag"))
	if again.StatusCode != http.StatusNotModified {
		t.Errorf("a browser that has the file: status %d", again.StatusCode)
	}
	if other := get(t, Loader(LoaderSettings{}), "/widget.js", "If-None-Match", res.Header.Get("ETag")); other.StatusCode != http.StatusOK {
		t.Errorf("after the list of sites changed: status %d", other.StatusCode)
	}
	packed := get(t, Loader(settings), "/widget.js", "Accept-Encoding", "gzip")
	small := body(t, packed.Body)
	if len(small) > 6500 {
		t.Errorf("the loader is %d bytes in gzip, over 6.5 kB", len(small))
	}
	if plain, err := gzip.NewReader(bytes.NewReader(small)); err != nil || string(body(t, plain)) != script {
		t.Errorf("the compressed loader differs: %v", err)
	}
	t.Logf("loader: %d bytes in gzip", len(small))
}
