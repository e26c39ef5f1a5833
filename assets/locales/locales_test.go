package locales

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestTextsAreComplete checks that all languages have the same keys, with the same placeholders.
func TestTextsAreComplete(t *testing.T) {
	placeholder := regexp.MustCompile(`\{\w+\}`)
	placeholders := func(text string) string {
		found := placeholder.FindAllString(text, -1)
		slices.Sort(found)
		return strings.Join(found, "")
	}
	for from, texts := range All {
		for to := range All {
			for section, entries := range texts {
				for key, s := range entries {
					other, ok := All[to][section][key]
					switch {
					case !ok:
						t.Errorf("%s lacks %s.%s", to, section, key)
					case strings.TrimSpace(s) == "":
						t.Errorf("%s: %s.%s is empty", from, section, key)
					case placeholders(s) != placeholders(other):
						t.Errorf("%s.%s has other placeholders in %s than in %s", section, key, from, to)
					}
				}
			}
		}
	}
}

func TestText(t *testing.T) {
	for _, c := range []struct {
		locale, key string
		pairs       []string
		want        string
	}{
		{"en", "telegram.threads", []string{"n", "3"}, "Open conversations (3):"},
		{"en-GB", "common.cancel", nil, "Cancel"},
		{"de", "common.cancel", nil, "Vazgeç"},
		{"en", "common.none", nil, ""},
		{"en", "none", nil, ""},
	} {
		if got := Text(c.locale, c.key, c.pairs...); got != c.want {
			t.Errorf("%s %s: %q", c.locale, c.key, got)
		}
	}
}
