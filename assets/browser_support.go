package assets

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/evanw/esbuild/pkg/api"
)

// supported lists the oldest supported browser versions, from "browserslist" in package.json.
var supported = mustEngines()

var browserLine = regexp.MustCompile(`^(chrome|edge|firefox|safari|ios_saf) >= (\d+(?:\.\d+)?)$`)

func mustEngines() []api.Engine {
	data, err := embedded.ReadFile("package.json")
	if err != nil {
		panic("assets: package.json: " + err.Error())
	}
	var pkg struct{ Browserslist []string }
	if err := json.Unmarshal(data, &pkg); err != nil {
		panic("assets: package.json: " + err.Error())
	}
	engines, err := enginesOf(pkg.Browserslist)
	if err != nil {
		panic(err.Error())
	}
	return engines
}

// enginesOf converts browserslist lines of the form "NAME >= VERSION" to esbuild targets.
func enginesOf(lines []string) ([]api.Engine, error) {
	names := map[string]api.EngineName{
		"chrome": api.EngineChrome, "edge": api.EngineEdge, "firefox": api.EngineFirefox, "safari": api.EngineSafari, "ios_saf": api.EngineIOS,
	}
	var engines []api.Engine
	for _, line := range lines {
		m := browserLine.FindStringSubmatch(line)
		if m == nil {
			return nil, fmt.Errorf("assets: package.json: browserslist: %q: want NAME >= VERSION", line)
		}
		engines = append(engines, api.Engine{Name: names[m[1]], Version: m[2]})
	}
	if len(engines) == 0 {
		return nil, fmt.Errorf("assets: package.json: browserslist is empty")
	}
	return engines, nil
}

const lightDarkCall = "light-dark("

// lowerLightDark rewrites light-dark(LIGHT, DARK) in a style sheet as var(--l,LIGHT)var(--d,DARK), for browsers without that
// function (before Safari 17.5, Chrome 123, Firefox 120). base.css sets one of --l and --d to the empty value and leaves the
// other one invalid, so that its fallback applies.
func lowerLightDark(css string) string {
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(css, lightDarkCall)
		out.WriteString(before)
		if !found {
			return out.String()
		}
		comma, end := lightDarkParts(rest)
		if end < 0 {
			out.WriteString(lightDarkCall)
			css = rest
			continue
		}
		fmt.Fprintf(&out, "var(--l,%s)var(--d,%s)", strings.TrimSpace(rest[:comma]), strings.TrimSpace(rest[comma+1:end]))
		css = rest[end+1:]
	}
}

// lightDarkParts finds the comma between the two arguments and the closing bracket; end is -1 if either is missing.
func lightDarkParts(rest string) (comma, end int) {
	depth := 0
	for i, c := range rest {
		switch {
		case c == '(':
			depth++
		case c == ',' && depth == 0 && comma == 0:
			comma = i
		case c == ')' && depth == 0 && comma > 0:
			return comma, i
		case c == ')':
			depth--
		}
	}
	return 0, -1
}
