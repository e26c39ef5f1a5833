// Command collect writes the licence texts of the Go standard library, of every module that is linked into Sohbet, and of what browsers
// get, to server/licenses/dist. Run by `go generate ./server/licenses`, in the folder server/licenses.
//
// Usage: collect [OS/ARCH...]
//
// Without arguments the modules are those of a build with the present settings of the go command, otherwise those of static builds for
// all of the platforms.
package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"sohbet/server/licenses"
)

const (
	top     = "../.." // the folder of go.mod
	browser = top + "/assets/static/vendor/licenses.txt"
)

func main() {
	notices, err := collect(os.Args[1:])
	if err == nil {
		err = os.WriteFile(filepath.Join("dist", licenses.FileName), []byte(notices), 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "server/licenses/collect:", err)
		os.Exit(1)
	}
}

// collect returns the notices for builds for the platforms.
func collect(platforms []string) (string, error) {
	root, err := goCommand(nil, "env", "GOROOT")
	if err != nil {
		return "", err
	}
	standard, err := standardLibrary(strings.TrimSpace(string(root)))
	if err != nil {
		return "", err
	}
	folders := map[module]map[string]bool{}
	environments := [][]string{nil}
	if len(platforms) > 0 {
		environments = nil
	}
	for _, platform := range platforms {
		system, architecture, _ := strings.Cut(platform, "/")
		environments = append(environments, []string{"GOOS=" + system, "GOARCH=" + architecture, "CGO_ENABLED=0"})
	}
	for _, environment := range environments {
		if err := linked(environment, folders); err != nil {
			return "", err
		}
	}
	byText := map[string][]string{standard: {licenses.StandardLibrary()}}
	for m, packages := range folders {
		text, err := moduleTexts(m, packages)
		if err != nil {
			return "", err
		}
		byText[text] = append(byText[text], m.Path+" "+m.Version)
	}
	var sections []string
	for text, names := range byText {
		slices.Sort(names)
		sections = append(sections, strings.Join(names, "\n")+"\n\n"+text)
	}
	slices.Sort(sections)
	client, err := os.ReadFile(browser)
	switch {
	case err == nil:
		sections = append(sections, string(client))
	case !errors.Is(err, fs.ErrNotExist): // built without npm, browsers load the client from its CDN
		return "", err
	}
	return "Sohbet contains this software, under these licences:\n\n" + strings.Join(sections, "\n"+licenses.Rule+"\n"), nil
}

// module is a linked module. Dir is where its files are.
type module struct {
	Path, Version, Dir string
}

// linked adds the folders of all packages that a build links, by module.
func linked(environment []string, folders map[module]map[string]bool) error {
	list, err := goCommand(environment, "list", "-deps", "-json=Dir,Module", ".")
	if err != nil {
		return err
	}
	for decoder := json.NewDecoder(bytes.NewReader(list)); ; {
		var p struct {
			Dir    string
			Module *struct {
				module
				Main    bool
				Replace *module
			}
		}
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if p.Module == nil || p.Module.Main { // the standard library has no module
			continue
		}
		m := p.Module.module
		if p.Module.Replace != nil {
			m = *p.Module.Replace
		}
		if folders[m] == nil {
			folders[m] = map[string]bool{}
		}
		for dir := p.Dir; len(dir) >= len(m.Dir); dir = filepath.Dir(dir) {
			folders[m][dir] = true
		}
	}
}

// licence matches names of files with licences, notices and patent grants.
var licence = regexp.MustCompile(`(?i)^((un)?licen[cs]e|copying|copyright|notice|patents|third[-_]party)|-licen[cs]e(\.\w+)?$`)

// moduleTexts returns the texts in the folders of a module's linked packages and in those above, each named by its path if there are several.
func moduleTexts(m module, folders map[string]bool) (string, error) {
	var files []string
	for dir := range folders {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return "", err
		}
		for _, entry := range entries {
			if !entry.IsDir() && licence.MatchString(entry.Name()) && filepath.Ext(entry.Name()) != ".go" {
				files = append(files, filepath.Join(dir, entry.Name()))
			}
		}
	}
	if len(files) == 0 {
		return "", fmt.Errorf("%s %s has no licence file in %s", m.Path, m.Version, m.Dir)
	}
	slices.Sort(files)
	var texts []string
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		text := clean(data)
		if len(files) > 1 {
			name, err := filepath.Rel(m.Dir, file)
			if err != nil {
				return "", err
			}
			text = "[" + filepath.ToSlash(name) + "]\n\n" + text
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, "\n"), nil
}

// standardLibrary returns the licence of the Go distribution, which some Linux distributions install elsewhere.
func standardLibrary(root string) (string, error) {
	data, err := os.ReadFile(filepath.Join(root, "LICENSE"))
	if errors.Is(err, fs.ErrNotExist) {
		return "BSD-3-Clause: " + licenses.StandardLibraryLicense + "\n", nil
	}
	return clean(data), err
}

// clean makes line ends and white space at the end uniform, so that equal licences are printed once.
func clean(text []byte) string {
	return strings.TrimSpace(strings.ReplaceAll(string(text), "\r\n", "\n")) + "\n"
}

func goCommand(environment []string, args ...string) ([]byte, error) {
	cmd := exec.Command(cmp.Or(os.Getenv("GO"), "go"), args...)
	cmd.Dir = top
	cmd.Env = append(os.Environ(), environment...)
	var problem strings.Builder
	cmd.Stderr = &problem
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, problem.String())
	}
	return out, nil
}
