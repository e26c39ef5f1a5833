package telegram

import (
	"strings"

	tele "gopkg.in/telebot.v3"

	"sohbet/assets/locales"
)

// localized returns a text. pairs are placeholders and their values; values must be HTML.
func localized(lang, key string, pairs ...string) string {
	return locales.Text(lang, "telegram."+key, pairs...)
}

// language returns the language in which the bot answers a user.
func (b *Bridge) language(u *tele.User) string {
	switch {
	case u == nil || u.LanguageCode == "":
		return b.locale
	case strings.HasPrefix(strings.ToLower(u.LanguageCode), "tr"):
		return "tr"
	}
	return "en"
}
