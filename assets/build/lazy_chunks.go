package main

import (
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

// lazyChunks are the modules that a page imports by import(), each of which becomes a file beside the page's first. A module that
// both use is in the first alone, which exports what is imported from it under its own name, so that a page that is open while
// the server is updated can load chunks of the new build.
//
// The same sources always give the same files: nothing here depends on the order in which esbuild, from several goroutines,
// calls the plugins.
type lazyChunks struct {
	b      *builder
	page   string
	shared []string // what the first file holds, sorted

	mu      sync.Mutex
	modules []string                   // such as "js/lib/emoji.js"
	used    map[string]map[string]bool // names that the first file has to export, by shared module
}

// file is the name of a chunk's file, without its folder and ".js".
func (l *lazyChunks) file(module string) string {
	return l.page + "-" + strings.TrimSuffix(path.Base(module), ".js")
}

// renameImports points import() to the files.
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
			return api.OnResolveResult{Path: "./" + l.file(module) + ".js", External: true}, nil
		})
	}}
}

// importShared points a lazy module's imports of what the first file holds to that file.
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

// exports is the source by which the first file exports what the chunks import.
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

// namesOf lists what one module imports from another; everything when it is not by name.
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

// inputsOf lists the modules that a page's first file was made of, sorted.
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
