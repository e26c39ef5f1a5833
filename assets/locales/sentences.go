package locales

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// Sentence translates all known sentences in an English message about settings, the database or a command. Unknown parts stay as they are.
func Sentence(locale, text string) string {
	for _, s := range sentences()[locale] {
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
	for locale := range All {
		messages := TranslationsOf(locale).Messages
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
