package commands

import (
	"os"
	"strings"

	"sohbet/assets/locales"
)

// Locale returns the language of the terminal, "tr" or "en", from the first of LC_ALL, LC_MESSAGES and LANG that is set (POSIX.1-2017,
// Base Definitions 8.2). It is "en" for every other language.
func Locale() string {
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if value := os.Getenv(name); value != "" {
			language := value[:len(value)-len(strings.TrimLeft(value, letters))]
			if strings.EqualFold(language, "tr") || strings.EqualFold(language, "turkish") {
				return "tr"
			}
			return "en"
		}
	}
	return "en"
}

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

// Text translates an English text to the language of the terminal.
func Text(english string) string {
	if text, ok := locales.TranslationsOf(Locale()).Commands[english]; ok {
		return text
	}
	return english
}
