package chat

import (
	"net/url"
	"strings"
	"unicode/utf8"

	"sohbet/models"
	"sohbet/models/names"
	"sohbet/server/apperr"
)

// Profile is what a visitor's client reports about the visitor.
type Profile struct {
	DisplayName, PhoneNumber, PageURL, PageTitle, Locale string

	Email string // used only with a signed identity
}

// texts returns the texts that are stored for a profile.
func (p Profile) texts() []string {
	return []string{p.DisplayName, p.DisplayName, p.PhoneNumber, p.PageURL, p.PageTitle, p.Locale, p.Email} // the name is stored twice: also in the search key
}

// fit shortens or removes values that check would refuse, for a profile supplied by the embedding site: the visitor cannot correct it.
func (p *Profile) fit() {
	clean := func(text string) string {
		return strings.Join(strings.Fields(strings.ReplaceAll(strings.ToValidUTF8(text, ""), "\x00", " ")), " ")
	}
	p.DisplayName, p.PhoneNumber, p.Email = clean(p.DisplayName), clean(p.PhoneNumber), strings.TrimSpace(p.Email)
	if name := []rune(p.DisplayName); len(name) > models.MaxDisplayName {
		p.DisplayName = string(name[:models.MaxDisplayName])
	}
	if utf8.RuneCountInString(p.PhoneNumber) > models.MaxPhoneNumber {
		p.PhoneNumber = ""
	}
	if !validEmail(p.Email) {
		p.Email = ""
	}
}

// check normalizes a profile. Values that the visitor typed must be valid; values that the browser added are shortened or removed.
func (p *Profile) check(named bool) error {
	p.DisplayName = strings.Join(strings.Fields(p.DisplayName), " ")
	p.PhoneNumber = strings.TrimSpace(p.PhoneNumber)
	switch {
	case named && p.DisplayName == "":
		return apperr.Invalid("display_name", "Please tell us your name.")
	case utf8.RuneCountInString(p.DisplayName) > models.MaxDisplayName:
		return apperr.Invalid("display_name", "The name is too long: it may have 100 characters at most.")
	case utf8.RuneCountInString(p.PhoneNumber) > models.MaxPhoneNumber:
		return apperr.Invalid("phone_number", "The phone number is too long: it may have 20 characters at most.")
	case p.Email != "" && !validEmail(p.Email):
		return apperr.Invalid("email", "This is not an e-mail address.")
	case strings.ContainsRune(p.DisplayName, 0):
		return apperr.Invalid("display_name", "The name holds a NUL character, which cannot be stored.")
	case strings.ContainsRune(p.PhoneNumber, 0):
		return apperr.Invalid("phone_number", "The phone number holds a NUL character, which cannot be stored.")
	}
	if named {
		p.DisplayName = names.OfVisitor(p.DisplayName, p.Locale)
	}
	p.PageURL, p.PageTitle = webAddress(p.PageURL), pageTitle(p.PageTitle)
	if len(p.Locale) > models.MaxLocale || strings.ContainsRune(p.Locale, 0) {
		p.Locale = ""
	}
	return nil
}

// webAddress returns an http or https URL unchanged, and "" for anything else.
func webAddress(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || len(address) > models.MaxPageURL || !utf8.ValidString(address) {
		return ""
	}
	return address
}

// pageTitle returns a page's title as one line, truncated to the column width.
func pageTitle(title string) string {
	title = strings.Join(strings.Fields(strings.ReplaceAll(strings.ToValidUTF8(title, ""), "\x00", "")), " ")
	if runes := []rune(title); len(runes) > models.MaxPageTitle {
		title = string(runes[:models.MaxPageTitle-1]) + "…"
	}
	return title
}
