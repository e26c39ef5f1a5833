package assets

import (
	"io/fs"
	"strings"
	"testing"
)

func TestSupportedBrowsers(t *testing.T) {
	var names []string
	for _, e := range supported {
		names = append(names, e.Version)
	}
	if len(names) != 5 {
		t.Errorf("package.json's browserslist has %v", names)
	}
	for _, lines := range [][]string{nil, {"safari 15"}, {"opera >= 80"}, {"chrome >= 100", "last 2 versions"}} {
		if engines, err := enginesOf(lines); err == nil {
			t.Errorf("%q is taken for %v", lines, engines)
		}
	}
}

func TestLowerLightDark(t *testing.T) {
	for css, want := range map[string]string{
		"a{color:light-dark(#fff, #000)}":                                 "a{color:var(--l,#fff)var(--d,#000)}",
		"--x: 0 1px light-dark(rgb(1 2 3 / .5), rgb(0 0 0 / .5)), 0 red;": "--x: 0 1px var(--l,rgb(1 2 3 / .5))var(--d,rgb(0 0 0 / .5)), 0 red;",
		"light-dark(a,b)light-dark(rgba(1,2,3,1),d)":                      "var(--l,a)var(--d,b)var(--l,rgba(1,2,3,1))var(--d,d)",
		"a{color:light-dark(#fff":                                         "a{color:light-dark(#fff",
		"a{}":                                                             "a{}",
	} {
		if got := lowerLightDark(css); got != want {
			t.Errorf("%s becomes %s, not %s", css, got, want)
		}
	}
}

// Style sheets that are loaded on demand are served without lowerLightDark, so they must not use the function.
func TestServedStylesNeedNoLightDark(t *testing.T) {
	for name, f := range bundles().files {
		if strings.HasSuffix(name, ".css") && strings.Contains(string(f.generated), lightDarkCall) {
			t.Errorf("%s has light-dark()", name)
		}
	}
	s, ok := styleOf("#e91e63")
	if !ok || strings.Contains(string(s.file.generated), lightDarkCall) {
		t.Errorf("brand.css: %s", s.file.generated)
	}
	for _, name := range []string{"composer-tools", "media-player", "prompts"} {
		css, err := fs.ReadFile(embedded, "static/css/"+name+".css")
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(css), lightDarkCall) {
			t.Errorf("%s.css is served unprocessed and has light-dark()", name)
		}
	}
}
