package commands

import (
	"fmt"
	"regexp"
	"strings"
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
				value = "boş"
			} else if shown, characters := strings.CutSuffix(value, " characters)"); characters {
				value = shown + " karakter)"
			}
			lines[i] = m[1] + " değeri " + value + ": " + sentence(m[3])
			continue
		}
		lines[i] = sentence(line)
	}
	return strings.Join(lines, "\n")
}

// settingProblem matches a line about a setting.
var settingProblem = regexp.MustCompile(`^(\w+) holds ("(?:[^"\\]|\\.)*"(?: \(\d+ characters\))?|nothing): (.*)$`)

// sentence translates all known sentences in a text.
func sentence(text string) string {
	for _, s := range sentences {
		if s.form == nil {
			text = strings.Replace(text, s.english, s.turkish, 1)
		} else if m := s.form.FindStringSubmatchIndex(text); m != nil {
			values := make([]any, 0, len(m)/2)
			for i := 2; i < len(m); i += 2 {
				values = append(values, text[m[i]:m[i+1]])
			}
			text = text[:m[0]] + fmt.Sprintf(s.turkish, values...) + text[m[1]:]
		}
	}
	return text
}

type translation struct {
	english, turkish string
	form             *regexp.Regexp // matches english if it contains formatting verbs
}

var sentences = func() []translation {
	list := make([]translation, 0, len(turkishSentences)/2)
	for i := 0; i < len(turkishSentences); i += 2 {
		s := translation{english: turkishSentences[i], turkish: turkishSentences[i+1]}
		if strings.Contains(s.english, "%") {
			form := regexp.QuoteMeta(s.english)
			form = strings.NewReplacer("%q", `("(?:[^"\\]|\\.)*")`, "%d", `(-?\d+)`, "%s", `(.+?)`).Replace(form)
			s.turkish = strings.NewReplacer("%q", "%s", "%d", "%s").Replace(s.turkish)
			if strings.HasSuffix(s.english, "%s") {
				form += "$"
			}
			s.form = regexp.MustCompile(form)
		}
		list = append(list, s)
	}
	return list
}()
