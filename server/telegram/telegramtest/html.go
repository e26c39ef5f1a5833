package telegramtest

import (
	"strconv"
	"strings"
	"unicode/utf16"
)

// tags maps each HTML tag that Telegram supports to the type of the entity it makes.
var tags = map[string]string{
	"b": "bold", "strong": "bold", "i": "italic", "em": "italic", "u": "underline", "ins": "underline",
	"s": "strikethrough", "strike": "strikethrough", "del": "strikethrough", "tg-spoiler": "spoiler", "span": "spoiler",
	"a": "text_link", "code": "code", "pre": "pre", "blockquote": "blockquote",
}

type openTag struct {
	name   string
	entity Entity
}

// parseHTML parses Telegram's HTML as strictly as Telegram does: an unknown, unclosed or wrongly nested tag is an error, a stray
// ampersand is not. Offsets in errors are in bytes, those of entities in UTF-16 code units.
func parseHTML(s string) (string, []Entity, *refusal) {
	var out strings.Builder
	var open []openTag
	var entities []Entity
	length := 0
	for i := 0; i < len(s); {
		switch s[i] {
		case '&':
			r, n := decodeEntity(s[i:])
			out.WriteString(r)
			length += units(r)
			i += n
		case '<':
			end := strings.IndexByte(s[i:], '>')
			if name, _, _ := strings.Cut(s[i+1:], " "); end < 0 && name != "" && len(name) < len(s)-i-1 && tags[name] == "" {
				return "", nil, bad("can't parse entities: Unsupported start tag \"%s\" at byte offset %d", name, i)
			}
			if end < 0 {
				return "", nil, bad("can't parse entities: Unclosed start tag at byte offset %d", i)
			}
			tag := s[i+1 : i+end]
			if name, closing := strings.CutPrefix(tag, "/"); closing {
				if len(open) == 0 {
					return "", nil, bad("can't parse entities: Unexpected end tag at byte offset %d", i)
				}
				last := open[len(open)-1]
				if name = strings.ToLower(strings.TrimSpace(name)); name != "" && name != last.name {
					return "", nil, bad("can't parse entities: Unmatched end tag at byte offset %d, expected \"</%s>\", found \"</%s>\"", i, last.name, name)
				}
				open = open[:len(open)-1]
				if last.entity.Length = length - last.entity.Offset; last.entity.Length > 0 && (last.name != "a" || last.entity.URL != "") {
					entities = append(entities, last.entity)
				}
			} else {
				t, no := startTag(tag, i, length)
				if no != nil {
					return "", nil, no
				}
				open = append(open, t)
			}
			i += end + 1
		default:
			next := strings.IndexAny(s[i:], "<&")
			if next < 0 {
				next = len(s) - i
			}
			out.WriteString(s[i : i+next])
			length += units(s[i : i+next])
			i += next
		}
	}
	if len(open) > 0 {
		return "", nil, bad("can't parse entities: Can't find end tag corresponding to start tag \"%s\"", open[len(open)-1].name)
	}
	return out.String(), entities, nil
}

// startTag parses the text between < and > of a start tag.
func startTag(tag string, at, offset int) (openTag, *refusal) {
	name, attributes, _ := strings.Cut(tag, " ")
	name = strings.ToLower(name)
	kind, ok := tags[name]
	if !ok {
		return openTag{}, bad("can't parse entities: Unsupported start tag \"%s\" at byte offset %d", name, at)
	}
	t := openTag{name: name, entity: Entity{Type: kind, Offset: offset}}
	attributes = strings.TrimSpace(attributes)
	switch {
	case name == "a":
		if value, ok := strings.CutPrefix(attributes, "href="); ok {
			t.entity.URL = plain(strings.Trim(value, `"'`))
		}
	case name == "span" && strings.Trim(strings.TrimPrefix(attributes, "class="), `"'`) != "tg-spoiler":
		return openTag{}, bad("can't parse entities: Tag \"span\" must have class \"tg-spoiler\" at byte offset %d", at)
	}
	return t, nil
}

// decodeEntity decodes the character reference at the beginning of s and returns it with its length in bytes; an ampersand that begins
// no known reference stands for itself.
func decodeEntity(s string) (string, int) {
	end := strings.IndexByte(s, ';')
	if end < 0 || end > 10 {
		return "&", 1
	}
	switch name := s[1:end]; {
	case name == "lt":
		return "<", end + 1
	case name == "gt":
		return ">", end + 1
	case name == "amp":
		return "&", end + 1
	case name == "quot":
		return `"`, end + 1
	case strings.HasPrefix(name, "#"):
		number, base := name[1:], 10
		if hex, ok := strings.CutPrefix(number, "x"); ok {
			number, base = hex, 16
		}
		if n, err := strconv.ParseUint(number, base, 32); err == nil && n > 0 && n <= 0x10FFFF && !utf16.IsSurrogate(rune(n)) {
			return string(rune(n)), end + 1
		}
	}
	return "&", 1
}

// plain decodes every character reference in s.
func plain(s string) string {
	var out strings.Builder
	for i := 0; i < len(s); {
		if s[i] != '&' {
			out.WriteByte(s[i])
			i++
			continue
		}
		r, n := decodeEntity(s[i:])
		out.WriteString(r)
		i += n
	}
	return out.String()
}
