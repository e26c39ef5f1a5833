package assets

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/evanw/esbuild/pkg/api"
)

// A page loads two files instead of thirty: esbuild joins and minifies its modules and its style sheets when the server starts
// (0.1 s). Bundling at start instead of in `make build` means that a plain `go build` also gets bundles, and that no generated
// files lie in the tree. The source files stay available under their own names.

// bundle holds the static paths of the files that a page loads besides its HTML.
type bundle struct {
	Style      string
	Script     string
	references references
}

// bundled holds every page's bundle, and the files of all bundles by name, such as "page/visitor.js".
type bundled struct {
	pages map[string]bundle
	files map[string]*file
}

// bundles builds all bundles at the first call.
var bundles = sync.OnceValue(makeBundles)

func makeBundles() bundled {
	b := bundled{pages: map[string]bundle{}, files: map[string]*file{}}
	for page, parts := range pageParts {
		styles := parts.styles
		if !parts.minimal {
			styles = append([]string{"theme-and-brand"}, styles...)
		}
		made := bundle{Style: b.style(page, styles)}
		var code []byte
		made.Script, code = b.script(page, parts)
		made.references = referencesIn(code)
		b.pages[page] = made
	}
	return b
}

const (
	bundleFolder = "page/"
	outFolder    = "/out/" // esbuild's output directory; nothing is written there
)

// style bundles the style sheets of a page and returns the file's name.
func (b bundled) style(page string, names []string) string {
	var source strings.Builder
	for _, name := range append([]string{"base"}, names...) {
		fmt.Fprintf(&source, "@import './css/%s.css';\n", name)
	}
	result := build(page, source.String(), api.LoaderCSS)
	name := bundleFolder + page + ".css"
	b.files[name] = generatedFile(name, result.OutputFiles[0].Contents)
	return name
}

// script bundles the modules of a page, together with the Socket.IO client if the page uses it and it is embedded. Modules
// imported by import() become files of their own, which import shared modules from the page's script: esbuild's own code
// splitting would produce a dozen files. code is the contents of all of them.
func (b bundled) script(page string, parts contents) (entry string, code []byte) {
	var source strings.Builder
	modules := parts.scripts
	if !parts.minimal {
		modules = append([]string{"theme"}, modules...)
	}
	for _, name := range modules {
		fmt.Fprintf(&source, "import './js/%s.js';\n", name)
	}
	var inject []string
	if parts.client && ClientEmbedded() {
		// Replaces the global `io` in the modules by the export of this file.
		inject = []string{"vendor/" + clientModule}
	}
	l := lazyChunks{page: page, used: map[string]map[string]bool{}}
	buildScript := func() api.BuildResult {
		return build(page, source.String(), api.LoaderJS, func(o *api.BuildOptions) {
			o.Inject = inject
			o.Plugins = append([]api.Plugin{l.redirectImports()}, o.Plugins...)
		})
	}
	l.shared = inputModules(buildScript().Metafile, page)
	keep := func(file api.OutputFile) {
		name := bundleFolder + strings.TrimPrefix(file.Path, outFolder)
		b.files[name] = generatedFile(name, file.Contents)
		code = append(code, file.Contents...)
	}
	for i := 0; i < len(l.modules); i++ { // a chunk may import another chunk
		slices.Sort(l.modules[i:])
		result := build(l.fileName(l.modules[i]), "export * from './"+l.modules[i]+"';\n", api.LoaderJS, func(o *api.BuildOptions) {
			o.Plugins = append([]api.Plugin{l.redirectImports(), l.importShared()}, o.Plugins...)
		})
		keep(result.OutputFiles[0])
	}
	source.WriteString(l.exports())
	keep(buildScript().OutputFiles[0])
	return bundleFolder + page + ".js", code
}

// build runs esbuild on a source text that imports files of the static folder. It panics on errors: then this build of the server
// is broken.
func build(page, source string, loader api.Loader, more ...func(*api.BuildOptions)) api.BuildResult {
	ext := map[api.Loader]string{api.LoaderCSS: ".css", api.LoaderJS: ".js"}[loader]
	options := api.BuildOptions{
		EntryPointsAdvanced: []api.EntryPoint{{InputPath: "entry:" + ext, OutputPath: page}},
		Plugins:             []api.Plugin{fromEmbedded(ext, source, loader)},
		Bundle:              true,
		Format:              api.FormatESModule,
		Engines:             supported,
		Charset:             api.CharsetUTF8,
		MinifyWhitespace:    true,
		MinifyIdentifiers:   true,
		MinifySyntax:        true,
		Metafile:            true,
		Outdir:              outFolder,
		AbsWorkingDir:       "/",
		LogLevel:            api.LogLevelSilent,
	}
	for _, change := range more {
		change(&options)
	}
	result := api.Build(options)
	if len(result.Errors) > 0 {
		e := result.Errors[0]
		where := ""
		if e.Location != nil {
			where = fmt.Sprintf("%s:%d: ", e.Location.File, e.Location.Line)
		}
		panic("assets: bundle of page " + page + ": " + where + e.Text)
	}
	return result
}

// fromEmbedded is a plugin that makes esbuild read from the embedded static folder; the entry point is the given source.
func fromEmbedded(ext, source string, loader api.Loader) api.Plugin {
	const space = "static"
	return api.Plugin{Name: "embedded", Setup: func(b api.PluginBuild) {
		b.OnResolve(api.OnResolveOptions{Filter: ".*"}, func(a api.OnResolveArgs) (api.OnResolveResult, error) {
			name := a.Path
			switch {
			case a.Kind == api.ResolveCSSURLToken:
				return api.OnResolveResult{Path: name, External: true}, nil
			case strings.HasPrefix(name, "."):
				name = path.Join(path.Dir(a.Importer), name)
			}
			return api.OnResolveResult{Path: name, Namespace: space}, nil
		})
		b.OnLoad(api.OnLoadOptions{Filter: ".*", Namespace: space}, func(a api.OnLoadArgs) (api.OnLoadResult, error) {
			text := source
			if a.Path != "entry:"+ext {
				data, err := fs.ReadFile(embedded, "static/"+a.Path)
				if err != nil {
					return api.OnLoadResult{}, err
				}
				text = string(data)
				if loader == api.LoaderCSS {
					text = lowerLightDark(text)
				}
			}
			return api.OnLoadResult{Contents: &text, Loader: loader}, nil
		})
	}}
}

// lookup returns a static file, a source file or part of a bundle; nil if there is none.
func lookup(name string) *file {
	if f := staticFiles[name]; f != nil {
		return f
	}
	if strings.HasPrefix(name, bundleFolder) {
		return bundles().files[name]
	}
	return nil
}
