package licenses

import (
	"runtime/debug"
	"strings"
	"testing"
)

func TestRender(t *testing.T) {
	linked := []*debug.Module{
		{Path: "example.org/a", Version: "v1.0.0"},
		{Path: "example.org/b", Version: "v2.1.0"},
		{Path: "example.org/c", Version: "v0.1.0", Replace: &debug.Module{Path: "example.org/fork", Version: "v0.2.0"}},
	}
	own, notices := "MIT License\n", "Sohbet contains:\n\n"+StandardLibrary()+"\n\nBSD\n"+Rule+"\nexample.org/a v1.0.0\nexample.org/fork v0.2.0\n\nApache License\n"
	for name, tc := range map[string]struct {
		notices      string
		linked       []*debug.Module
		want, absent []string
	}{
		"all collected":   {notices + Rule + "\nexample.org/b v2.1.0\n\nBSD\n", linked, []string{own, "Apache License", "BSD"}, []string{"pkg.go.dev", "without these"}},
		"none collected":  {"", linked, []string{own, "example.org/a v1.0.0  https://pkg.go.dev/example.org/a@v1.0.0?tab=licenses\n", "/example.org/fork@v0.2.0?"}, []string{"example.org/c"}},
		"another version": {notices, []*debug.Module{{Path: "example.org/a", Version: "v1.0.1"}}, []string{"pkg.go.dev/example.org/a@v1.0.1"}, nil},
		"no modules":      {"", nil, []string{own, StandardLibrary() + "  https://go.dev/LICENSE\n"}, nil},
	} {
		got := render(own, tc.notices, tc.linked)
		for _, text := range tc.want {
			if !strings.Contains(got, text) {
				t.Errorf("%s: no %q in:\n%s", name, text, got)
			}
		}
		for _, text := range tc.absent {
			if strings.Contains(got, text) {
				t.Errorf("%s: %q in:\n%s", name, text, got)
			}
		}
	}
}
