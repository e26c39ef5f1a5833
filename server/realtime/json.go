package realtime

import "encoding/json"

// maxDepth is the maximum nesting of an argument, like that of encoding/json.
const maxDepth = 9_999

// splitArray appends the elements of a JSON array to args without decoding them, and reports whether text is a valid JSON array of at most maxArgs
// elements. It is on the hot path of every event, so it checks and splits in one pass. The text must be valid UTF-8.
func splitArray(args []any, text []byte) ([]any, bool) {
	if len(text) == 0 || text[0] != '[' {
		return nil, false
	}
	i := skipSpace(text, 1)
	if i < len(text) && text[i] == ']' {
		return args, skipSpace(text, i+1) == len(text)
	}
	for {
		end := skipValue(text, i)
		if end < 0 || len(args) == maxArgs {
			return nil, false
		}
		args = append(args, json.RawMessage(text[i:end:end]))
		if i = skipSpace(text, end); i == len(text) {
			return nil, false
		}
		switch text[i] {
		case ',':
			i = skipSpace(text, i+1)
		case ']':
			return args, skipSpace(text, i+1) == len(text)
		default:
			return nil, false
		}
	}
}

// skipValue returns the end of the JSON value that begins at i, or -1 if there is none.
func skipValue(text []byte, i int) int {
	var few [32]byte
	open := few[:0] // the closing brackets that are missing, outermost first
	for {
		if i >= len(text) {
			return -1
		}
		opened := false
		switch c := text[i]; c {
		case '{', '[':
			i = skipSpace(text, i+1)
			if i == len(text) || len(open) == maxDepth {
				return -1
			}
			closing := c + 2 // in ASCII
			switch {
			case text[i] == closing:
				i++
			case c == '{':
				i = skipKey(text, i)
				fallthrough
			default:
				open = append(open, closing)
				opened = true
			}
		case '"':
			i = skipString(text, i)
		case 't':
			i = skipWord(text, i, "true")
		case 'f':
			i = skipWord(text, i, "false")
		case 'n':
			i = skipWord(text, i, "null")
		default:
			i = skipNumber(text, i)
		}
		if i < 0 {
			return -1
		}
		for !opened {
			if len(open) == 0 {
				return i
			}
			closing := open[len(open)-1]
			if i = skipSpace(text, i); i == len(text) {
				return -1
			}
			switch text[i] {
			case closing:
				open = open[:len(open)-1]
				i++
			case ',':
				opened = true // another value follows
				if i = skipSpace(text, i+1); closing == '}' {
					i = skipKey(text, i)
				}
				if i < 0 {
					return -1
				}
			default:
				return -1
			}
		}
	}
}

// skipKey returns the beginning of the value behind the key at i.
func skipKey(text []byte, i int) int {
	if i == len(text) || text[i] != '"' {
		return -1
	}
	if i = skipString(text, i); i < 0 {
		return -1
	}
	if i = skipSpace(text, i); i == len(text) || text[i] != ':' {
		return -1
	}
	return skipSpace(text, i+1)
}

func skipSpace(text []byte, i int) int {
	for i < len(text) && (text[i] == ' ' || text[i] == '\n' || text[i] == '\t' || text[i] == '\r') {
		i++
	}
	return i
}

func skipWord(text []byte, i int, word string) int {
	if len(text)-i < len(word) || string(text[i:i+len(word)]) != word {
		return -1
	}
	return i + len(word)
}

func skipString(text []byte, i int) int {
	for i++; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			return i + 1
		case c < ' ':
			return -1
		case c == '\\':
			if i++; i == len(text) {
				return -1
			}
			switch text[i] {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			case 'u':
				if len(text)-i < 5 {
					return -1
				}
				for _, h := range text[i+1 : i+5] {
					if !('0' <= h && h <= '9' || 'a' <= h|0x20 && h|0x20 <= 'f') {
						return -1
					}
				}
				i += 4
			default:
				return -1
			}
		}
	}
	return -1
}

func skipNumber(text []byte, i int) int {
	if i < len(text) && text[i] == '-' {
		i++
	}
	start := i
	if i = skipDigits(text, i); i == start || i > start+1 && text[start] == '0' {
		return -1
	}
	if i < len(text) && text[i] == '.' {
		fraction := i + 1
		if i = skipDigits(text, fraction); i == fraction {
			return -1
		}
	}
	if i < len(text) && text[i]|0x20 == 'e' {
		if i++; i < len(text) && (text[i] == '+' || text[i] == '-') {
			i++
		}
		exponent := i
		if i = skipDigits(text, exponent); i == exponent {
			return -1
		}
	}
	return i
}

func skipDigits(text []byte, i int) int {
	for i < len(text) && '0' <= text[i] && text[i] <= '9' {
		i++
	}
	return i
}
