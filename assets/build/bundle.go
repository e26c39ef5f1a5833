package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/evanw/esbuild/pkg/api"

	"sohbet/assets"
)

// A page loads two files instead of thirty: its modules and its styles, each joined and minified. The sources stay served too,
// under their names.

const (
	pageFolder = "page/"
	outFolder  = "/out/" // the folder that esbuild believes it writes to
)

// builder joins the sources of the folder assets.
type builder struct {
	sources fs.FS
	engines []api.Engine // that syntax is lowered for
	files   map[string][]byte
}

// buildAll returns the files of dist by name, without compressed forms, and what each page loads.
func buildAll(sources fs.FS) (files map[string][]byte, pages map[string]assets.Bundle, err error) {
	engines, err := targets(sources)
	if err != nil {
		return nil, nil, err
	}
	b := builder{sources, engines, map[string][]byte{}}
	pages = map[string]assets.Bundle{}
	for page, parts := range assets.Pages {
		bundle, err := b.page(page, parts)
		if err != nil {
			return nil, nil, fmt.Errorf("page %s: %w", page, err)
		}
		pages[page] = bundle
	}
	result, err := b.build("loader", "import './js/loader/main.js';\n", api.LoaderJS, func(o *api.BuildOptions) { o.Format = api.FormatIIFE })
	if err != nil {
		return nil, nil, fmt.Errorf("loader: %w", err)
	}
	b.files[pageFolder+"loader.js"] = result.OutputFiles[0].Contents
	return b.files, pages, nil
}

func (b *builder) page(page string, parts assets.PageParts) (made assets.Bundle, err error) {
	if err := b.style(page, parts); err != nil {
		return made, err
	}
	made = assets.Bundle{Styles: []string{pageFolder + page + ".css"}, Scripts: []string{pageFolder + page + ".js"}}
	code, err := b.script(page, parts, &made)
	if err != nil {
		return made, err
	}
	used := referencesIn(code)
	made.Texts = slices.DeleteFunc(assets.TextKeys(page), func(key string) bool { return !used.text(key) })
	shown, err := iconsShown(page, assets.Templates()[page])
	if err != nil {
		return made, err
	}
	made.Icons = slices.DeleteFunc(assets.IconNames(), func(name string) bool { return !used.quoted[name] && !shown[name] })
	return made, nil
}

// style joins the style sheets of a page.
func (b *builder) style(page string, parts assets.PageParts) error {
	var source strings.Builder
	for _, name := range parts.AllStyles() {
		fmt.Fprintf(&source, "@import './css/%s.css';\n", name)
	}
	result, err := b.build(page, source.String(), api.LoaderCSS)
	if err != nil {
		return err
	}
	b.files[pageFolder+page+".css"] = result.OutputFiles[0].Contents
	return nil
}

// script joins the modules of a page, and the Socket.IO client with them when the page uses it and it is there. What is imported
// by import() becomes files of its own, which take what they share with the first from it: esbuild's own splitting would cut
// that into a dozen files. code is all of it.
func (b *builder) script(page string, parts assets.PageParts, made *assets.Bundle) (code []byte, err error) {
	var source strings.Builder
	for _, name := range parts.AllScripts() {
		fmt.Fprintf(&source, "import './js/%s.js';\n", name)
	}
	var inject []string
	const client = "vendor/" + assets.ClientModule
	if _, err := fs.Stat(b.sources, "static/"+client); parts.UsesClient() && !errors.Is(err, fs.ErrNotExist) {
		// Every free `io` in the modules becomes the one that this file exports.
		inject = []string{client}
		made.HasClient = true
	}
	l := &lazyChunks{b: b, page: page, used: map[string]map[string]bool{}}
	first := func() (api.BuildResult, error) {
		return b.build(page, source.String(), api.LoaderJS, func(o *api.BuildOptions) {
			o.Inject = inject
			o.Plugins = append([]api.Plugin{l.renameImports()}, o.Plugins...)
		})
	}
	keep := func(file api.OutputFile) {
		b.files[pageFolder+strings.TrimPrefix(file.Path, outFolder)] = file.Contents
		code = append(code, file.Contents...)
	}
	result, err := first()
	if err != nil {
		return nil, err
	}
	if l.shared, err = inputsOf(result.Metafile); err != nil {
		return nil, err
	}
	for i := 0; i < len(l.modules); i++ { // one may name another
		slices.Sort(l.modules[i:])
		result, err := b.build(l.fileName(l.modules[i]), "export * from './"+l.modules[i]+"';\n", api.LoaderJS, func(o *api.BuildOptions) {
			o.Plugins = append([]api.Plugin{l.renameImports(), l.importShared()}, o.Plugins...)
		})
		if err != nil {
			return nil, err
		}
		keep(result.OutputFiles[0])
	}
	exports, err := l.exports()
	if err != nil {
		return nil, err
	}
	source.WriteString(exports)
	if result, err = first(); err != nil {
		return nil, err
	}
	keep(result.OutputFiles[0])
	return code, nil
}

// build runs esbuild on a source as if it were a file of the static folder.
func (b *builder) build(page, source string, loader api.Loader, more ...func(*api.BuildOptions)) (api.BuildResult, error) {
	ext := map[api.Loader]string{api.LoaderCSS: ".css", api.LoaderJS: ".js"}[loader]
	options := api.BuildOptions{
		EntryPointsAdvanced: []api.EntryPoint{{InputPath: "entry:" + ext, OutputPath: page}},
		Plugins:             []api.Plugin{b.readSources(ext, source, loader)},
		Bundle:              true,
		Format:              api.FormatESModule,
		Engines:             b.engines,
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
		return result, errors.New(where + e.Text)
	}
	return result, nil
}

// readSources has esbuild read the static folder, and the source under the name of the entry.
func (b *builder) readSources(ext, source string, loader api.Loader) api.Plugin {
	const space = "static"
	return api.Plugin{Name: "sources", Setup: func(p api.PluginBuild) {
		p.OnResolve(api.OnResolveOptions{Filter: ".*"}, func(a api.OnResolveArgs) (api.OnResolveResult, error) {
			name := a.Path
			switch {
			case a.Kind == api.ResolveCSSURLToken:
				return api.OnResolveResult{Path: name, External: true}, nil
			case strings.HasPrefix(name, "."):
				name = path.Join(path.Dir(a.Importer), name)
			}
			return api.OnResolveResult{Path: name, Namespace: space}, nil
		})
		p.OnLoad(api.OnLoadOptions{Filter: ".*", Namespace: space}, func(a api.OnLoadArgs) (api.OnLoadResult, error) {
			text := source
			if a.Path != "entry:"+ext {
				data, err := fs.ReadFile(b.sources, "static/"+a.Path)
				if err != nil {
					return api.OnLoadResult{}, err
				}
				text = string(data)
				if loader == api.LoaderCSS {
					text = assets.LowerLightDark(text)
				}
			}
			return api.OnLoadResult{Contents: &text, Loader: loader}, nil
		})
	}}
}
