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

// A page loads two files instead of thirty: its modules and its styles, each joined and minified by esbuild when the server
// starts (a tenth of a second). Doing it here and not in `make build` means that every binary sends the same few bytes, the one
// of a bare `go build` too, and that nothing made lies about in the tree. The sources stay served beside it, under their names.

// bundle is what a page loads besides its HTML, as addresses for <link> and <script>.
type bundle struct {
	Style  string
	Script string
	needs  needs
}

// bundled is every page's bundle, and their files by name, such as "page/visitor.js".
type bundled struct {
	pages map[string]bundle
	files map[string]*file
}

// bundles makes them all, once, when something first asks.
var bundles = sync.OnceValue(makeBundles)

func makeBundles() bundled {
	b := bundled{pages: map[string]bundle{}, files: map[string]*file{}}
	for page, parts := range pageParts {
		styles := parts.styles
		if !parts.fixed {
			styles = append([]string{"whole"}, styles...)
		}
		made := bundle{Style: b.style(page, styles)}
		var code []byte
		made.Script, code = b.script(page, parts)
		made.needs = needsOf(code)
		b.pages[page] = made
	}
	return b
}

const (
	bundleFolder = "page/"
	outFolder    = "/out/" // where esbuild believes that it writes
)

// style joins the style sheets of a page.
func (b bundled) style(page string, names []string) string {
	var source strings.Builder
	for _, name := range append([]string{"base"}, names...) {
		fmt.Fprintf(&source, "@import './css/%s.css';\n", name)
	}
	result := build(page, source.String(), api.LoaderCSS)
	name := bundleFolder + page + ".css"
	b.files[name] = madeFile(name, result.OutputFiles[0].Contents)
	return name
}

// script joins the modules of a page, and the Socket.IO client with them when the page talks to it and it is embedded. What is
// imported later, by import(), becomes files of its own, which take what they share with the first from it: esbuild's own splitting
// would cut that into a dozen files. code is all of it.
func (b bundled) script(page string, parts contents) (entry string, code []byte) {
	var source strings.Builder
	modules := parts.scripts
	if !parts.fixed {
		modules = append([]string{"theme"}, modules...)
	}
	for _, name := range modules {
		fmt.Fprintf(&source, "import './js/%s.js';\n", name)
	}
	var inject []string
	if parts.client && ClientEmbedded() {
		// Every free `io` in the modules becomes the one that this file exports.
		inject = []string{"vendor/" + clientModule}
	}
	l := later{page: page, used: map[string]map[string]bool{}}
	first := func() api.BuildResult {
		return build(page, source.String(), api.LoaderJS, func(o *api.BuildOptions) {
			o.Inject = inject
			o.Plugins = append([]api.Plugin{l.named()}, o.Plugins...)
		})
	}
	l.shared = inputsOf(first().Metafile, page)
	keep := func(file api.OutputFile) {
		name := bundleFolder + strings.TrimPrefix(file.Path, outFolder)
		b.files[name] = madeFile(name, file.Contents)
		code = append(code, file.Contents...)
	}
	for i := 0; i < len(l.modules); i++ { // one may name another
		slices.Sort(l.modules[i:])
		result := build(l.file(l.modules[i]), "export * from './"+l.modules[i]+"';\n", api.LoaderJS, func(o *api.BuildOptions) {
			o.Plugins = append([]api.Plugin{l.named(), l.taken()}, o.Plugins...)
		})
		keep(result.OutputFiles[0])
	}
	source.WriteString(l.exports())
	keep(first().OutputFiles[0])
	return bundleFolder + page + ".js", code
}

// build runs esbuild on a source that stands in the static folder. What it refuses cannot be served: the build is broken.
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

// fromEmbedded has esbuild read the embedded static folder, and the source under the name of the entry.
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

// lookup finds a static file: one of the bundles or one of the sources.
func lookup(name string) *file {
	if f := staticFiles[name]; f != nil {
		return f
	}
	if strings.HasPrefix(name, bundleFolder) {
		return bundles().files[name]
	}
	return nil
}
