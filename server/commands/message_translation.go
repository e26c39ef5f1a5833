package commands

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

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
			lines[i] = fmt.Sprintf(Text("%s holds %s: "), m[1], value) + sentence(m[3])
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
	for _, s := range sentences()[Locale()] {
		if s.form == nil {
			text = strings.Replace(text, s.english, s.local, 1)
		} else if m := s.form.FindStringSubmatchIndex(text); m != nil {
			values := make([]any, 0, len(m)/2)
			for i := 2; i < len(m); i += 2 {
				values = append(values, text[m[i]:m[i+1]])
			}
			text = text[:m[0]] + fmt.Sprintf(s.local, values...) + text[m[1]:]
		}
	}
	return text
}

type translation struct {
	english, local string
	form           *regexp.Regexp // matches english if it contains formatting verbs
}

// sentences are the translations to a language, the longest English first, because one may contain another.
var sentences = sync.OnceValue(func() map[string][]translation {
	all := map[string][]translation{}
	for locale := range locales.All {
		messages := locales.TranslationsOf(locale).Messages
		english := slices.SortedFunc(maps.Keys(messages), func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
		for _, english := range english {
			t := translation{english: english, local: messages[english]}
			if strings.Contains(english, "%") {
				form := strings.NewReplacer("%q", `("(?:[^"\\]|\\.)*")`, "%d", `(-?\d+)`, "%s", `(.+?)`).Replace(regexp.QuoteMeta(english))
				t.local = strings.NewReplacer("%q", "%s", "%d", "%s").Replace(t.local)
				if strings.HasSuffix(english, "%s") {
					form += "$"
				}
				t.form = regexp.MustCompile(form)
			}
			all[locale] = append(all[locale], t)
		}
	}
	return all
})
