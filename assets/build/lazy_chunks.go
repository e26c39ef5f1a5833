package main

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
// The same sources must always give the same files, because a page from one process may load its chunks from another. Nothing
// here may depend on the order in which esbuild calls the plugins, which it does from several goroutines.
type lazyChunks struct {
	b      *builder
	page   string
	shared []string // modules in the page's script, sorted

	mu      sync.Mutex
	modules []string                   // such as "js/lib/upload.js"
	used    map[string]map[string]bool // names that the page's script has to export, by shared module
}

// chunkNames are the names of chunks that differ from their module's name. Pages of earlier builds that are still open request their
// chunks by these names, so a chunk keeps its name when its module is renamed.
var chunkNames = map[string]string{
	"js/console/push-click.js":           "pressed",
	"js/lib/emoji-picker.js":             "emoji",
	"js/lib/inline-media.js":             "inline",
	"js/lib/notification-sound.js":       "sound",
	"js/lib/picture-viewer.js":           "viewer",
	"js/lib/prepare-file.js":             "files",
	"js/lib/register-service-worker.js":  "worker",
	"js/lib/reload-after-update.js":      "renew",
	"js/lib/unread-badge.js":             "badge",
	"js/lib/voice-player.js":             "player",
	"js/lib/voice-recorder.js":           "recorder",
	"js/visitor/state-prompts.js":        "offers",
	"js/widget/check-visitor-details.js": "facts",
}

// fileName is the name of a chunk's file, without folder and ".js".
func (l *lazyChunks) fileName(module string) string {
	return l.page + "-" + cmp.Or(chunkNames[module], strings.TrimSuffix(path.Base(module), ".js"))
}

// renameImports is a plugin that replaces the path in import() by the chunk's file, and records the module.
func (l *lazyChunks) renameImports() api.Plugin {
	return api.Plugin{Name: "rename", Setup: func(p api.PluginBuild) {
		p.OnResolve(api.OnResolveOptions{Filter: `^\.`}, func(a api.OnResolveArgs) (api.OnResolveResult, error) {
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

// importShared is a plugin for building a chunk: modules that the page's script already contains are imported from that script instead of
// being copied into the chunk.
func (l *lazyChunks) importShared() api.Plugin {
	const space = "shared"
	return api.Plugin{Name: space, Setup: func(p api.PluginBuild) {
		p.OnResolve(api.OnResolveOptions{Filter: `^\.`}, func(a api.OnResolveArgs) (api.OnResolveResult, error) {
			if a.Namespace == space {
				return api.OnResolveResult{Path: a.Path, External: true}, nil
			}
			module := path.Join(path.Dir(a.Importer), a.Path)
			if a.Kind == api.ResolveJSDynamicImport || !l.holds(module) {
				return api.OnResolveResult{}, nil
			}
			return api.OnResolveResult{Path: a.Importer + " " + module, Namespace: space, SideEffects: api.SideEffectsFalse}, nil
		})
		p.OnLoad(api.OnLoadOptions{Filter: ".*", Namespace: space}, func(a api.OnLoadArgs) (api.OnLoadResult, error) {
			importer, module, _ := strings.Cut(a.Path, " ")
			l.mu.Lock()
			defer l.mu.Unlock()
			if l.used[module] == nil {
				l.used[module] = map[string]bool{}
			}
			names, err := l.namesOf(importer, module)
			if err != nil {
				return api.OnLoadResult{}, err
			}
			for _, name := range names {
				l.used[module][name] = true
			}
			text := fmt.Sprintf("export { %s } from './%s.js';\n", strings.Join(names, ", "), l.page)
			return api.OnLoadResult{Contents: &text, Loader: api.LoaderJS}, nil
		})
	}}
}

func (l *lazyChunks) holds(module string) bool {
	_, ok := slices.BinarySearch(l.shared, module)
	return ok
}

// exports is the code by which the page's script exports what its chunks import.
func (l *lazyChunks) exports() (string, error) {
	var lines strings.Builder
	from := map[string]string{}
	for _, module := range l.shared {
		if l.used[module] == nil {
			continue
		}
		var names []string
		exported, err := l.exportsOf(module)
		if err != nil {
			return "", err
		}
		for _, name := range exported {
			if l.used[module][name] {
				if other := from[name]; other != "" {
					return "", fmt.Errorf("%s and %s both export %s to lazy chunks", other, module, name)
				}
				from[name] = module
				names = append(names, name)
			}
		}
		if len(names) > 0 {
			fmt.Fprintf(&lines, "export { %s } from './%s';\n", strings.Join(names, ", "), module)
		}
	}
	return lines.String(), nil
}

var namedImport = regexp.MustCompile(`(?m)^import \{([^}]*)\} from '([^']+)';$`)

// namesOf lists the names that one module imports from another; all exports, if it does not import by name.
func (l *lazyChunks) namesOf(importer, module string) ([]string, error) {
	source, _ := fs.ReadFile(l.b.sources, "static/"+importer) // the source of an entry is no file
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
		return l.exportsOf(module)
	}
	return names, nil
}

// metafile is the part of esbuild's that is read here.
type metafile struct {
	Outputs map[string]struct {
		Inputs  map[string]struct{}
		Exports []string
	}
}

// inputsOf lists the modules in a page's script, sorted.
func inputsOf(meta string) ([]string, error) {
	var m metafile
	if err := json.Unmarshal([]byte(meta), &m); err != nil {
		return nil, err
	}
	var modules []string
	for _, output := range m.Outputs {
		for name := range output.Inputs {
			modules = append(modules, strings.TrimPrefix(name, "static:"))
		}
	}
	slices.Sort(modules)
	return slices.Compact(modules), nil
}

// exportsOf lists the names that a module exports, sorted.
func (l *lazyChunks) exportsOf(module string) ([]string, error) {
	source, err := fs.ReadFile(l.b.sources, "static/"+module)
	if err != nil {
		return nil, err
	}
	result := api.Build(api.BuildOptions{
		Stdin: &api.StdinOptions{Contents: string(source)}, Format: api.FormatESModule, Metafile: true, LogLevel: api.LogLevelSilent,
	})
	var m metafile
	if err := json.Unmarshal([]byte(result.Metafile), &m); err != nil {
		return nil, fmt.Errorf("%s: %w", module, err)
	}
	var names []string
	for _, output := range m.Outputs {
		names = append(names, output.Exports...)
	}
	slices.Sort(names)
	return names, nil
}
