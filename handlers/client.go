package handlers

import (
	"strings"

	"github.com/mileusna/useragent"
)

const (
	maxUserAgent = 512 // bytes that are looked at
	maxWord      = 40  // of what is made of them
)

// client gives words for what a browser says it is: "Firefox 140" and "Android". Both may be empty.
func client(userAgent string) (browser, platform string) {
	if userAgent == "" {
		return "", ""
	}
	ua := useragent.Parse(strings.ToValidUTF8(userAgent[:min(len(userAgent), maxUserAgent)], ""))
	browser = strings.TrimPrefix(ua.Name, "Mobile ") // what it runs on is the other word
	if major, _, _ := strings.Cut(ua.Version, "."); major != "" {
		browser += " " + major
	}
	return word(browser), word(ua.OS)
}

// word is a copy of the beginning of a text, so that the text itself need not be kept.
func word(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' {
			return -1
		}
		return r
	}, strings.TrimSpace(text))
	if runes := []rune(text); len(runes) > maxWord {
		text = string(runes[:maxWord])
	}
	return strings.Clone(text)
}
