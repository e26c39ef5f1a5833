// Package locales holds all texts that people see, by language: those of pages, of sign-in, of the Telegram bot, of the doctor and of the
// command line. A language has a file NAME.json of texts by section and name, and, except for English, a file NAME.messages.json of
// translations of the English texts of the command line, the settings and refusals.
package locales

import (
	"embed"
	"encoding/json"
	"strings"
	"sync"
)

// Fallback is the language used for a text that another language lacks, and for everything if no setting says otherwise.
const Fallback = "tr"

// Texts are the texts of one language by section ("visitor") and name. Words in braces are placeholders.
type Texts map[string]map[string]string

// Translations maps English texts to those of a language.
type Translations struct {
	Commands map[string]string // whole texts of the command line
	Messages map[string]string // parts of messages about settings and the database; %d, %s and %q stand for values
	Refusals map[string]string // by error code, in general terms; English messages are more specific
}

//go:embed *.json
var files embed.FS

// All maps languages to their texts.
var All = map[string]Texts{"tr": read[Texts]("tr.json"), "en": read[Texts]("en.json")}

var turkish = sync.OnceValue(func() Translations { return read[Translations]("tr.messages.json") })

func read[T any](name string) (t T) {
	data, err := files.ReadFile(name)
	if err == nil {
		err = json.Unmarshal(data, &t)
	}
	if err != nil {
		panic("locales: " + name + ": " + err.Error())
	}
	return t
}

// Files returns the contents of all files, joined in the order of their names.
func Files() []byte {
	var all []byte
	entries, _ := files.ReadDir(".") // an embedded folder can be read
	for _, entry := range entries {
		data, _ := files.ReadFile(entry.Name())
		all = append(append(all, entry.Name()...), data...)
	}
	return all
}

// Lookup returns a text by "section.name" for a language tag such as "en" or "en-GB", in the fallback language if its own lacks it.
func Lookup(locale, key string) (string, bool) {
	language, _, _ := strings.Cut(locale, "-")
	section, name, _ := strings.Cut(key, ".")
	if s, ok := All[language][section][name]; ok {
		return s, true
	}
	s, ok := All[Fallback][section][name]
	return s, ok
}

// Text returns a text by "section.name", "" if there is none. pairs are names of placeholders and their values.
func Text(locale, key string, pairs ...string) string {
	text, _ := Lookup(locale, key)
	if len(pairs) == 0 {
		return text
	}
	replaced := make([]string, len(pairs))
	for i := 0; i < len(pairs); i += 2 {
		replaced[i], replaced[i+1] = "{"+pairs[i]+"}", pairs[i+1]
	}
	return strings.NewReplacer(replaced...).Replace(text)
}

// TranslationsOf returns the translations to a language; none for English.
func TranslationsOf(locale string) Translations {
	if locale == "tr" {
		return turkish()
	}
	return Translations{}
}
