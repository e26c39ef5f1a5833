package assets

import (
	"bytes"
	"encoding/json"
	"image/png"
	"io/fs"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sohbet/assets/locales"
)

func TestManifest(t *testing.T) {
	for _, c := range []struct{ brand, lang, name string }{{"Çınar Kitabevi", "en", "Çınar Kitabevi"}, {"", "tr", "Sohbet"}} {
		res := get(t, Manifest(Brand{Name: c.brand}, "", "tr"), "/manifest.json", "Accept-Language", c.lang)
		var m struct {
			Name, Lang, Dir, Display string
			Start                    string `json:"start_url"`
			Icons                    []struct{ Src, Sizes, Type, Purpose string }
		}
		if err := json.NewDecoder(res.Body).Decode(&m); err != nil {
			t.Fatal(err)
		}
		if m.Name != c.name || m.Lang != c.lang || m.Dir != "ltr" || m.Display != "standalone" || m.Start != "/" {
			t.Errorf("%+v: %+v", c, m)
		}
		purposes := map[string]int{}
		for _, icon := range m.Icons {
			purposes[icon.Purpose]++
			if got := get(t, Icons(""), icon.Src); got.StatusCode != http.StatusOK || got.Header.Get("Content-Type") != icon.Type {
				t.Errorf("%s: %d %s", icon.Src, got.StatusCode, got.Header.Get("Content-Type"))
			}
		}
		if purposes["any"] == 0 || purposes["maskable"] == 0 {
			t.Errorf("icons: %+v", m.Icons)
		}
	}
}

func TestConsoleManifest(t *testing.T) {
	for lang, want := range map[string]string{"en": "Console · Çınar Kitabevi", "tr": "Konsol · Çınar Kitabevi"} {
		var m, visitor struct {
			Name, ID, Scope, Description string
			Start                        string `json:"start_url"`
		}
		brand := Brand{Name: "Çınar Kitabevi"}
		for into, handler := range map[any]http.Handler{&m: ConsoleManifest(brand, "", "tr"), &visitor: Manifest(brand, "", "tr")} {
			if err := json.NewDecoder(get(t, handler, "/x", "Accept-Language", lang).Body).Decode(into); err != nil {
				t.Fatal(err)
			}
		}
		if m.Name != want || m.Start != "/admin" || m.ID == visitor.ID || m.Scope != "/" || m.Description == "" || m.Description == visitor.Description {
			t.Errorf("%s: %+v", lang, m)
		}
	}
}

func TestIcons(t *testing.T) {
	brand := "#e91e63"
	badge := paletteOf(mustColor(brand)).badge
	for path, want := range iconFiles {
		picture, err := png.Decode(get(t, Icons(brand), path).Body)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		size := picture.Bounds().Dx()
		at := func(x, y float64) rgb {
			r, g, b, a := picture.At(int(x*float64(size)), int(y*float64(size))).RGBA()
			if a == 0 {
				return rgb{1, 2, 3} // transparent
			}
			return rgb{uint8(r >> 8), uint8(g >> 8), uint8(b >> 8)}
		}
		if size != want.size || picture.Bounds().Dy() != want.size {
			t.Errorf("%s is %v", path, picture.Bounds())
		}
		// Tea in the middle, the background next to it, and corners as the icon's purpose requires.
		if tea, ground := at(.5, .52), at(.1, .5); tea != mustColor("#d97a1e") || ground != badge {
			t.Errorf("%s: %s in the middle, %s at the side", path, tea, ground)
		}
		if corner := at(.01, .01); (corner == badge) == want.round {
			t.Errorf("%s: %s in the corner", path, corner)
		}
	}
	svg := string(body(t, get(t, Icons(brand), "/favicon.svg").Body))
	if !strings.Contains(svg, badge.String()) || strings.Contains(svg, badgeColor) {
		t.Errorf("favicon.svg is not in the brand's colour: %s", svg)
	}
	if plain := string(body(t, get(t, Icons(""), "/favicon.svg").Body)); !strings.Contains(plain, badgeColor) {
		t.Error("favicon.svg is changed although there is no brand colour")
	}
	if res := get(t, Icons(""), "/icon-1.png"); res.StatusCode != http.StatusNotFound {
		t.Errorf("an unknown icon: %d", res.StatusCode)
	}
}

func TestWorker(t *testing.T) {
	res := get(t, Worker(Brand{Color: "#e91e63"}, ""), "/sw.js")
	script := body(t, res.Body)
	if res.Header.Get("Content-Type") != "text/javascript; charset=utf-8" || res.Header.Get("Cache-Control") != cacheCheck || res.Header.Get("Content-Security-Policy") != WorkerPolicy {
		t.Errorf("headers %v", res.Header)
	}
	head := regexp.MustCompile(`^const BUILD = (\{.*\});\n`).FindSubmatch(script)
	var build struct {
		Version, Fallback string
		Shell             []string
		Offline           map[string]string
	}
	if head == nil || json.Unmarshal(head[1], &build) != nil || build.Version != fingerprint() || build.Fallback != locales.Fallback || len(build.Offline) != len(locales.All) {
		t.Fatalf("BUILD is %s", head)
	}
	found := map[string]bool{}
	for _, address := range build.Shell {
		found[regexp.MustCompile(`[^/]*$`).FindString(address)] = true
		if strings.Contains(address, "console") || strings.Contains(address, "login") || strings.HasPrefix(address, "/api") {
			t.Errorf("the shell has %s", address)
		}
		if strings.HasPrefix(address, staticPrefix) {
			if res := get(t, Static(), address); res.StatusCode != http.StatusOK {
				t.Errorf("%s: %d", address, res.StatusCode)
			}
		}
	}
	names := slices.Concat(bundles()["visitor"].Styles, bundles()["visitor"].Scripts, bundles()["offline"].Styles, bundles()["offline"].Scripts)
	for _, name := range append(names, "favicon.svg", strings.TrimPrefix(BrandStyleURL("#e91e63"), "/")) {
		if !found[path.Base(name)] {
			t.Errorf("the shell lacks %s: %v", name, build.Shell)
		}
	}
}

// Only one module creates a Trusted Types policy, with the name that the header allows, and the policy ignores its input.
func TestOnePolicyOfTrustedTypes(t *testing.T) {
	var makers []string
	err := fs.WalkDir(embedded, "static/js", func(name string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(name, ".js") {
			return err
		}
		data, err := fs.ReadFile(embedded, name)
		if bytes.Contains(data, []byte("createPolicy")) {
			makers = append(makers, name)
			if want := `createPolicy('` + WorkerTypes + `', { createScriptURL: () => 'sw.js' })`; bytes.Count(data, []byte("createPolicy")) != 1 || !bytes.Contains(data, []byte(want)) {
				t.Errorf("%s creates another policy than %s", name, want)
			}
		}
		return err
	})
	if err != nil || len(makers) != 1 {
		t.Errorf("policies are created in %v: %v", makers, err)
	}
}
