// Package licenses prints the licences of Sohbet and of the third-party software that is linked into the binary.
//
// `go generate ./server/licenses` (server/licenses/collect) copies the texts from the module cache into dist, which is embedded and not
// committed. A program built without it lists the modules with addresses of their texts.
package licenses

import (
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"runtime"
	"runtime/debug"
	"strings"
)

//go:generate go run ./collect

// The folder may be empty; its .keep file only keeps it in Git.
//
//go:embed all:dist
var generated embed.FS

// FileName is the name of the collected notices in the folder dist.
const FileName = "notices.txt"

// Rule separates the notices of one licence from the next.
var Rule = strings.Repeat("-", 80)

// Write writes Sohbet's own licence and the notices of third-party software.
func Write(w io.Writer, own string) error {
	notices, err := fs.ReadFile(generated, "dist/"+FileName)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var modules []*debug.Module
	if info, ok := debug.ReadBuildInfo(); ok {
		modules = info.Deps
	}
	_, err = io.WriteString(w, render(own, string(notices), modules))
	return err
}

// StandardLibraryLicense is the address of the licence of the Go standard library.
const StandardLibraryLicense = "https://go.dev/LICENSE"

// StandardLibrary returns the name and version of the Go standard library.
func StandardLibrary() string { return "Go standard library " + runtime.Version() }

// render appends the linked modules that the notices do not name, because the program was built without collecting them, or with other
// versions since.
func render(own, notices string, linked []*debug.Module) string {
	var b strings.Builder
	b.WriteString(own)
	if notices != "" {
		b.WriteString("\n" + Rule + "\n" + notices)
	}
	missing := ""
	if standard := StandardLibrary(); !strings.Contains(notices, "\n"+standard+"\n") {
		missing = standard + "  " + StandardLibraryLicense + "\n"
	}
	for _, module := range linked {
		if module.Replace != nil {
			module = module.Replace
		}
		if !strings.Contains(notices, "\n"+module.Path+" "+module.Version+"\n") {
			missing += fmt.Sprintf("%s %s  https://pkg.go.dev/%[1]s@%[2]s?tab=licenses\n", module.Path, module.Version)
		}
	}
	if missing != "" {
		b.WriteString("\n" + Rule + "\nThis program was built without these licence texts (make build adds them). Read them here:\n\n" + missing)
	}
	return b.String()
}
