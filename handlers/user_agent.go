package handlers

import (
	"strings"

	"github.com/mileusna/useragent"
)

const (
	maxUserAgent = 512 // bytes that are parsed
	maxWord      = 40  // maximum length of each result
)

// client extracts browser and platform from a User-Agent header, such as "Firefox 140" and "Android". Both may be empty.
func client(userAgent string) (browser, platform string) {
	if userAgent == "" {
		return "", ""
	}
	ua := useragent.Parse(strings.ToValidUTF8(userAgent[:min(len(userAgent), maxUserAgent)], ""))
	browser = strings.TrimPrefix(ua.Name, "Mobile ") // the platform is returned separately
	if major, _, _ := strings.Cut(ua.Version, "."); major != "" {
		browser += " " + major
	}
	return word(browser), word(ua.OS)
}

// word returns a copy of the beginning of a text, so that the whole header need not be kept in memory.
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
