package commands

import (
	"fmt"
	"regexp"
	"strings"

	"sohbet/assets/locales"
)

// Localized translates an English message of the settings, the database or a command to the language of the terminal. Unknown parts,
// such as the operating system's errors, stay as they are.
func Localized(text string) string {
	if Locale() == "en" {
		return text
	}
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if m := settingProblem.FindStringSubmatch(line); m != nil {
			value := m[2]
			if value == "nothing" {
				value = Text("nothing")
			} else if shown, characters := strings.CutSuffix(value, " characters)"); characters {
				value = shown + Text(" characters)")
			}
			lines[i] = fmt.Sprintf(Text("%s holds %s: "), m[1], value) + locales.Sentence(Locale(), m[3])
			continue
		}
		lines[i] = locales.Sentence(Locale(), line)
	}
	return strings.Join(lines, "\n")
}

// settingProblem matches a line about a setting.
var settingProblem = regexp.MustCompile(`^(\w+) holds ("(?:[^"\\]|\\.)*"(?: \(\d+ characters\))?|nothing): (.*)$`)
