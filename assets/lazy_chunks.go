package assets

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/evanw/esbuild/pkg/api"
)

// lazyChunks collects the modules that a page loads by import(). Each becomes a chunk, a file next to the page's script. A module that
// both use is only in the script, which exports what chunks need under the names from the source. Thus a page that stays open
// while the server is updated can load chunks of the new build.
//
// Every process must generate the same files from the same sources, because a page from one process may load its chunks from
// another. Nothing here may depend on the order in which esbuild calls the plugins, which it does from several goroutines.
type lazyChunks struct {
	page   string
	shared []string // modules in the page's script, sorted

	mu      sync.Mutex
	modules []string                   // such as "js/lib/upload.js"
	used    map[string]map[string]bool // names that the page's script has to export, by shared module
}

// chunkNames are the names of chunks that differ from their module's name. Pages of earlier builds that are still open request their
// chunks by these names, so a chunk keeps its name when its module is renamed.
var chunkNames = map[string]string{
	"js/console/push-click.js":      "pressed",
	"js/lib/emoji-picker.js":        "emoji",
	"js/lib/inline-media.js":        "inline",
	"js/lib/picture-viewer.js":      "viewer",
	"js/lib/prepare-file.js":        "files",
	"js/lib/reload-after-update.js": "renew",
	"js/lib/service-worker.js":      "worker",
	"js/lib/unread-badge.js":        "badge",
	"js/lib/voice-player.js":        "player",
	"js/lib/voice-recorder.js":      "recorder",
	"js/visitor/prompts.js":         "offers",
	"js/widget/visitor-details.js":  "facts",
}

// fileName is the name of a chunk's file, without folder and ".js".
func (l *lazyChunks) fileName(module string) string {
	return l.page + "-" + cmp.Or(chunkNames[module], strings.TrimSuffix(path.Base(module), ".js"))
}

// redirectImports is a plugin that replaces the path in import() by the chunk's file, and records the module.
func (l *lazyChunks) redirectImports() api.Plugin {
	return api.Plugin{Name: "chunks", Setup: func(b api.PluginBuild) {
		b.OnResolve(api.OnResolveOptions{Filter: `^\.`}, func(a api.OnResolveArgs) (api.OnResolveResult, error) {
			if a.Kind != api.ResolveJSDynamicImport {
				return api.OnResolveResult{}, nil
			}
			module := path.Join(path.Dir(a.Importer), a.Path)
			l.mu.Lock()
			defer l.mu.Unlock()
			if !slices.Contains(l.modules, module) {
				l.modules = append(l.modules, module)
			}
			return api.OnResolveResult{Path: "./" + l.fileName(module) + ".js", External: true}, nil
		})
	}}
}

// importShared is a plugin that makes a chunk import shared modules from the page's script instead of bundling them again.
func (l *lazyChunks) importShared() api.Plugin {
	const space = "shared"
	return api.Plugin{Name: space, Setup: func(b api.PluginBuild) {
		b.OnResolve(api.OnResolveOptions{Filter: `^\.`}, func(a api.OnResolveArgs) (api.OnResolveResult, error) {
			if a.Namespace == space {
				return api.OnResolveResult{Path: a.Path, External: true}, nil
			}
			module := path.Join(path.Dir(a.Importer), a.Path)
			if a.Kind == api.ResolveJSDynamicImport || !l.isShared(module) {
				return api.OnResolveResult{}, nil
			}
			return api.OnResolveResult{Path: a.Importer + " " + module, Namespace: space, SideEffects: api.SideEffectsFalse}, nil
		})
		b.OnLoad(api.OnLoadOptions{Filter: ".*", Namespace: space}, func(a api.OnLoadArgs) (api.OnLoadResult, error) {
			importer, module, _ := strings.Cut(a.Path, " ")
			l.mu.Lock()
			defer l.mu.Unlock()
			if l.used[module] == nil {
				l.used[module] = map[string]bool{}
			}
			var names []string
			for _, name := range importedNames(importer, module) {
				l.used[module][name] = true
				names = append(names, name)
			}
			text := fmt.Sprintf("export { %s } from './%s.js';\n", strings.Join(names, ", "), l.page)
			return api.OnLoadResult{Contents: &text, Loader: api.LoaderJS}, nil
		})
	}}
}

func (l *lazyChunks) isShared(module string) bool {
	_, ok := slices.BinarySearch(l.shared, module)
	return ok
}

// exports returns the export statements that the page's script needs for its chunks.
func (l *lazyChunks) exports() string {
	var lines strings.Builder
	from := map[string]string{}
	for _, module := range l.shared {
		if l.used[module] == nil {
			continue
		}
		var names []string
		for _, name := range exportedNames(module) {
			if l.used[module][name] {
				if other := from[name]; other != "" {
					panic(fmt.Sprintf("assets: page %s: %s and %s both export %s to chunks", l.page, other, module, name))
				}
				from[name] = module
				names = append(names, name)
			}
		}
		if len(names) > 0 {
			fmt.Fprintf(&lines, "export { %s } from './%s';\n", strings.Join(names, ", "), module)
		}
	}
	return lines.String()
}

var namedImport = regexp.MustCompile(`(?m)^import \{([^}]*)\} from '([^']+)';$`)

// importedNames lists the names that one module imports from another; all exports if the import is not a list of names.
func importedNames(importer, module string) []string {
	source, _ := fs.ReadFile(embedded, "static/"+importer) // fails for the entry point, which is no file
	var names []string
	for _, m := range namedImport.FindAllSubmatch(source, -1) {
		if path.Join(path.Dir(importer), string(m[2])) != module {
			continue
		}
		for name := range strings.SplitSeq(string(m[1]), ",") {
			name, _, _ = strings.Cut(strings.TrimSpace(name), " as ")
			if name != "" && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	if names == nil {
		return exportedNames(module)
	}
	return names
}

// metafile is the part of esbuild's metafile that is used here.
type metafile struct {
	Outputs map[string]struct {
		Inputs  map[string]struct{}
		Exports []string
	}
}

func parseMetafile(text, what string) metafile {
	var m metafile
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		panic("assets: bundle of " + what + ": " + err.Error())
	}
	return m
}

// inputModules lists the modules in a page's script according to its metafile, sorted.
func inputModules(text, page string) []string {
	var modules []string
	for _, output := range parseMetafile(text, "page "+page).Outputs {
		for name := range output.Inputs {
			modules = append(modules, strings.TrimPrefix(name, "static:"))
		}
	}
	slices.Sort(modules)
	return slices.Compact(modules)
}

// exportedNames lists the names that a module exports.
func exportedNames(module string) []string {
	source, err := fs.ReadFile(embedded, "static/"+module)
	if err != nil {
		panic("assets: module " + module + ": " + err.Error())
	}
	result := api.Build(api.BuildOptions{
		Stdin: &api.StdinOptions{Contents: string(source)}, Format: api.FormatESModule, Metafile: true, LogLevel: api.LogLevelSilent,
	})
	var names []string
	for _, output := range parseMetafile(result.Metafile, module).Outputs {
		names = append(names, output.Exports...)
	}
	slices.Sort(names)
	return names
}
