package assets

import (
	"io/fs"
	"strings"
	"testing"
)

func TestLowerLightDark(t *testing.T) {
	for css, want := range map[string]string{
		"a{color:light-dark(#fff, #000)}":                                 "a{color:var(--l,#fff)var(--d,#000)}",
		"--x: 0 1px light-dark(rgb(1 2 3 / .5), rgb(0 0 0 / .5)), 0 red;": "--x: 0 1px var(--l,rgb(1 2 3 / .5))var(--d,rgb(0 0 0 / .5)), 0 red;",
		"light-dark(a,b)light-dark(rgba(1,2,3,1),d)":                      "var(--l,a)var(--d,b)var(--l,rgba(1,2,3,1))var(--d,d)",
		"a{color:light-dark(#fff":                                         "a{color:light-dark(#fff",
		"a{}":                                                             "a{}",
	} {
		if got := LowerLightDark(css); got != want {
			t.Errorf("%s becomes %s, not %s", css, got, want)
		}
	}
}

// Style sheets that are loaded on demand are served without LowerLightDark, so they must not use the function.
func TestServedStylesNeedNoLightDark(t *testing.T) {
	s, ok := styleOf("#e91e63")
	if !ok || strings.Contains(string(s.file.plain()), lightDarkCall) {
		t.Errorf("brand.css: %s", s.file.plain())
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
