package telegram

import (
	"cmp"
	"slices"
	"strings"
	"unicode/utf16"

	tele "gopkg.in/telebot.v3"
)

// insertion is text that replaces an entity; at is in UTF-16 units.
type insertion struct {
	at, order int
	text      string
}

// The order of insertions at the same position.
const (
	orderAddress = iota
	orderBlockEnd
	orderBlockStart
	orderQuote
)

// plainText converts a text with entities (https://core.telegram.org/bots/api#messageentity) to equivalent text without markup: the URL
// of a link follows its words in parentheses, and each line of a quote begins with "> ".
func plainText(text string, entities tele.Entities) string {
	if len(entities) == 0 {
		return text
	}
	units := utf16.Encode([]rune(text))
	var list []insertion
	add := func(at, order int, text string) {
		in := insertion{at, order, text}
		if !slices.Contains(list, in) { // entities may cover the same lines
			list = append(list, in)
		}
	}
	for i, e := range entities {
		start, end := max(e.Offset, 0), min(e.Offset+e.Length, len(units))
		for end > start && isSpace(units[end-1]) {
			end--
		}
		if start >= end {
			continue
		}
		switch e.Type {
		case "text_link":
			continued := slices.ContainsFunc(entities[i+1:], func(next tele.MessageEntity) bool {
				return next.Type == e.Type && next.URL == e.URL && next.Offset == e.Offset+e.Length
			})
			if word := string(utf16.Decode(units[start:end])); e.URL != "" && !continued && !sameAddress(word, e.URL) {
				add(end, orderAddress, " ("+e.URL+")")
			}
		case "blockquote", "expandable_blockquote", "pre":
			if start > 0 && units[start-1] != '\n' {
				add(start, orderBlockStart, "\n")
			}
			if end < len(units) && units[end] != '\n' {
				add(end, orderBlockEnd, "\n")
			}
			if e.Type == "pre" {
				break
			}
			add(start, orderQuote, "> ")
			for at := start + 1; at < end; at++ {
				if units[at-1] == '\n' {
					add(at, orderQuote, "> ")
				}
			}
		}
	}
	slices.SortStableFunc(list, func(a, b insertion) int { return cmp.Or(a.at-b.at, a.order-b.order) })
	var out strings.Builder
	at := 0
	for _, in := range list {
		out.WriteString(string(utf16.Decode(units[at:in.at])) + in.text)
		at = in.at
	}
	out.WriteString(string(utf16.Decode(units[at:])))
	return out.String()
}

func isSpace(unit uint16) bool { return unit == ' ' || unit == '\n' || unit == '\t' || unit == '\r' }

// sameAddress reports whether the words of a link already show its URL.
func sameAddress(word, address string) bool {
	bare := func(s string) string {
		s = strings.TrimPrefix(strings.TrimPrefix(strings.ToLower(s), "http://"), "https://")
		return strings.TrimSuffix(s, "/")
	}
	return bare(word) == bare(address)
}

// textOf returns the text of a message for the visitor: the quoted text, then its own.
func textOf(m *tele.Message) string {
	text := withoutTags(plainText(m.Text, m.Entities) + plainText(m.Caption, m.CaptionEntities) + shownAs(m))
	if m.Quote == nil || !m.Quote.Manual {
		return text
	}
	quote := withoutTags(plainText(m.Quote.Text, m.Quote.Entities))
	if quote == "" {
		return text
	}
	return strings.TrimSpace("> " + strings.ReplaceAll(quote, "\n", "\n> ") + "\n" + text)
}
