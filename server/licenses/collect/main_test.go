package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestCollect(t *testing.T) {
	t.Chdir("..")
	here, err := collect(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"\nGo standard library go1", "\ngithub.com/labstack/echo/v4 v", "\ngithub.com/mattn/go-sqlite3 v", "\ngorm.io/gorm v",
		"[zstd/internal/xxhash/LICENSE.txt]", // belongs to one package of a module with another licence
		"Copyright 2009 The Go Authors.",
	} {
		if !strings.Contains(here, want) {
			t.Errorf("no %q", want)
		}
	}
	if copyleft := regexp.MustCompile(`(?m)^\s*GNU (AFFERO |LESSER )?GENERAL PUBLIC LICENSE`).FindString(here); copyleft != "" {
		t.Errorf("a linked module has the licence %q, which a binary under the MIT licence must not contain", copyleft)
	}

	release, err := collect([]string{"linux/arm64", "windows/amd64"})
	if err != nil {
		t.Fatal(err)
	}
	if name := "\ngithub.com/inconshreveable/mousetrap v"; !strings.Contains(release, name) || strings.Contains(here, name) {
		t.Errorf("%q is not what a program for Windows alone has", name)
	}
	if !strings.Contains(release, "\nmodernc.org/sqlite v") { // linked without cgo
		t.Error("no licence of SQLite in Go")
	}
	if _, err := collect([]string{"no/such"}); err == nil || !strings.Contains(err.Error(), "go list") {
		t.Errorf("unknown platform: %v", err)
	}
}

func TestModuleTexts(t *testing.T) {
	dir := t.TempDir()
	sub := filepath.Join(dir, "sub")
	folders := map[string]bool{dir: true, sub: true}
	if err := os.MkdirAll(filepath.Join(dir, "licenses"), 0o700); err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("license.go", "package a")
	write("sub/code.go", "package sub")
	m := module{Path: "example.org/a", Version: "v1.0.0", Dir: dir}
	if text, err := moduleTexts(m, folders); err == nil || !strings.Contains(err.Error(), "example.org/a v1.0.0 has no licence") {
		t.Errorf("%q, %v", text, err)
	}
	write("LICENSE", "MIT\r\n\r\n")
	if text, err := moduleTexts(m, folders); err != nil || text != "MIT\n" {
		t.Errorf("%q, %v", text, err)
	}
	write("sub/Boost-LICENSE", "Boost")
	write("sub/Notice.txt", "noticed")
	write("other/LICENSE", "not linked")
	if text, err := moduleTexts(m, folders); err != nil || text != "[LICENSE]\n\nMIT\n\n[sub/Boost-LICENSE]\n\nBoost\n\n[sub/Notice.txt]\n\nnoticed\n" {
		t.Errorf("%q, %v", text, err)
	}
}
