package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"regexp"

	"github.com/evanw/esbuild/pkg/api"
)

var browserLine = regexp.MustCompile(`^(chrome|edge|firefox|safari|ios_saf) >= (\d+(?:\.\d+)?)$`)

// targets are the oldest browsers that the pages and the widget support, from "browserslist" in package.json.
func targets(sources fs.FS) ([]api.Engine, error) {
	data, err := fs.ReadFile(sources, "package.json")
	if err != nil {
		return nil, err
	}
	var pkg struct{ Browserslist []string }
	if err := json.Unmarshal(data, &pkg); err != nil {
		return nil, fmt.Errorf("package.json: %w", err)
	}
	return enginesOf(pkg.Browserslist)
}

// enginesOf translates lines of a browserslist, each of the form "NAME >= VERSION", into targets of esbuild.
func enginesOf(lines []string) ([]api.Engine, error) {
	names := map[string]api.EngineName{
		"chrome": api.EngineChrome, "edge": api.EngineEdge, "firefox": api.EngineFirefox, "safari": api.EngineSafari, "ios_saf": api.EngineIOS,
	}
	var engines []api.Engine
	for _, line := range lines {
		m := browserLine.FindStringSubmatch(line)
		if m == nil {
			return nil, fmt.Errorf("package.json: browserslist: %q: want NAME >= VERSION", line)
		}
		engines = append(engines, api.Engine{Name: names[m[1]], Version: m[2]})
	}
	if len(engines) == 0 {
		return nil, fmt.Errorf("package.json: browserslist is empty")
	}
	return engines, nil
}
