package app

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestSecurityPageIsTrue checks that every file and test named in SECURITY.md exists, and that every row has a test.
func TestSecurityPageIsTrue(t *testing.T) {
	t.Chdir("../..") // paths are relative to the root of the repository
	page, err := os.ReadFile("SECURITY.md")
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]bool{}
	declared := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	err = filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() && entry.Name() == "node_modules" {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(path)
		for _, found := range declared.FindAllStringSubmatch(string(text), -1) {
			tests[found[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, quoted := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(string(page), -1) {
		switch name := quoted[1]; {
		case strings.HasPrefix(name, "Test") && !tests[name]:
			t.Errorf("there is no %s", name)
		case regexp.MustCompile(`^[\w.]+(/[\w.-]+)+$`).MatchString(name) && name != "DATA_DIR/secret.key":
			if _, err := os.Stat(name); err != nil {
				t.Errorf("there is no %s", name)
			}
		}
	}
	rows := 0
	for line := range strings.Lines(string(page)) {
		if !regexp.MustCompile(`^\| (A\d\d|\d) `).MatchString(line) {
			continue
		}
		rows++
		cells := strings.Split(strings.Trim(line, "|\n "), "|")
		if shown := cells[len(cells)-1]; !strings.Contains(shown, "`Test") && !strings.Contains(shown, ".test.mjs`") {
			t.Errorf("nothing shows %s", cells[0])
		}
	}
	if rows != 19 {
		t.Errorf("%d rows, want ten categories and nine layers", rows)
	}
}
