package assets

import (
	"io/fs"
	"path"
	"regexp"
	"sort"
)

// importFrom finds the relative imports of a module; ours are all static and on lines of their own.
var importFrom = regexp.MustCompile(`(?m)^(?:import|export) .*from '(\.{1,2}/[^']+)';$`)

// modulesOf returns every module that an entry module imports, directly or not,
// so that a page can ask for all of them at once instead of one level after the other.
func modulesOf(entry string) []string {
	seen := map[string]bool{entry: true}
	for open := []string{entry}; len(open) > 0; {
		name := open[0]
		open = open[1:]
		source, err := fs.ReadFile(embedded, "static/"+name)
		if err != nil {
			panic("assets: module " + name + ": " + err.Error())
		}
		for _, match := range importFrom.FindAllSubmatch(source, -1) {
			if next := path.Join(path.Dir(name), string(match[1])); !seen[next] {
				seen[next] = true
				open = append(open, next)
			}
		}
	}
	delete(seen, entry)
	names := make([]string, 0, len(seen))
	for name := range seen {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}
