package assets

import (
	"fmt"
	"strings"
)

const lightDarkCall = "light-dark("

// LowerLightDark writes light-dark(DAY, NIGHT) in a style sheet as var(--l,DAY)var(--d,NIGHT), for browsers older than the function
// (Safari 17.5, Chrome 123, Firefox 120). base.css sets one of --l and --d to nothing and leaves the other without a value.
func LowerLightDark(css string) string {
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

// lightDarkParts finds the comma between the two arguments and the closing bracket; end is -1 where one is missing.
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
