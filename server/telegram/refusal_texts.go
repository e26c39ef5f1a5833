package telegram

import (
	"cmp"

	"sohbet/assets/locales"
	"sohbet/server/apperr"
)

// reason explains a refusal, whose message is in English, in the operator's language.
func reason(lang string, e *apperr.Error) string {
	return cmp.Or(locales.TranslationsOf(lang).Refusals[e.Code], e.Message)
}
