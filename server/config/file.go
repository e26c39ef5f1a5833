package config

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// fileRule explains to users how a line of the settings file is parsed.
const fileRule = "A value is everything after =, taken literally (also $, # and quotes); one pair of quotes around the whole value is removed."

// readFile reads the settings file; a missing file is treated as empty. Ambiguous values are refused: earlier versions, shells and
// other programs expand variables, end a value at a # or interpret backslashes. Errors name the line and the setting, never the value.
func readFile(path string) (map[string]string, error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return map[string]string{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("settings file: %w", err)
	}
	text, err := decodeText(raw)
	if err != nil {
		return nil, Invalid{fmt.Sprintf("%s cannot be read: %s", path, err)}
	}
	lines := strings.Split(strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n"), "\n")
	names := map[string]bool{}
	for _, line := range lines {
		if name, _, ok := assignment(line); ok {
			names[name] = true
		}
	}
	values := make(map[string]string, len(names))
	var wrong Invalid
	for i, line := range lines {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		name, value, ok := assignment(line)
		if !ok {
			wrong = append(wrong, fmt.Sprintf("%s, line %d, cannot be read: write NAME=value", path, i+1))
			continue
		}
		value, err := unquote(value, names)
		if _, twice := values[name]; twice && err == nil {
			err = errors.New("is set a second time; remove one of them")
		}
		if err != nil {
			wrong = append(wrong, fmt.Sprintf("%s, line %d: %s %s", path, i+1, name, err))
			continue
		}
		values[name] = value
	}
	if len(wrong) > 0 {
		return nil, wrong
	}
	return values, nil
}

var assigned = regexp.MustCompile(`^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_.-]*)\s*=(.*)$`)

// assignment parses a line.
func assignment(line string) (name, value string, ok bool) {
	m := assigned.FindStringSubmatch(line)
	if m == nil {
		return "", "", false
	}
	return m[1], m[2], true
}

var (
	insertion = regexp.MustCompile(`\$(?:\{([A-Za-z_][A-Za-z0-9_]*)[^}]*\}|([A-Za-z_][A-Za-z0-9_]*))`)
	comment   = regexp.MustCompile(`\s#`)
	escape    = regexp.MustCompile("\\\\[\"$`\\\\nrt]")
)

// unquote parses a value according to [fileRule]. names are all names set in the file.
func unquote(raw string, names map[string]bool) (string, error) {
	quote, value := byte(0), strings.TrimSpace(raw)
	if value != "" && (value[0] == '"' || value[0] == '\'') {
		quote = value[0]
		inner := value[1:]
		end := strings.LastIndexByte(inner, quote)
		switch {
		case end < 0:
			return "", errors.New("begins with a quote that does not end on its line; if the quote belongs to the value, put quotes of the other kind around it")
		case end != len(inner)-1:
			if rest := inner[end+1:]; comment.MatchString(rest) {
				return "", errCommentBehind
			}
			return "", errors.New("has a quote before its end; put quotes of the other kind around the whole value")
		}
		value = inner[:end]
		if strings.IndexByte(value, quote) >= 0 {
			return "", errors.New("has quotes within quotes of the same kind; put quotes of the other kind around the whole value")
		}
	} else if comment.MatchString(raw) {
		return "", errCommentBehind
	}
	if quote == '\'' {
		return value, nil
	}
	for _, m := range insertion.FindAllStringSubmatch(value, -1) {
		if name := m[1] + m[2]; names[name] {
			return "", fmt.Errorf("names $%s, which is not expanded: write out its value, or put the value in single quotes if $ is part of it", name)
		}
	}
	if quote == '"' && escape.MatchString(value) {
		return "", errors.New("has a backslash within double quotes; put single quotes around it, where a backslash means itself")
	}
	return value, nil
}

var errCommentBehind = errors.New("has a # after a space: put a comment on a line of its own, or, if it is part of the value, put single quotes around the whole value")

// decodeText converts a text to UTF-8: from UTF-8 with or without a byte order mark, or from UTF-16, which Windows editors and
// PowerShell's > write. Text in an 8-bit code page is refused.
func decodeText(raw []byte) (string, error) {
	var order binary.ByteOrder
	switch {
	case bytes.HasPrefix(raw, []byte{0xef, 0xbb, 0xbf}):
		raw = raw[3:]
	case bytes.HasPrefix(raw, []byte{0xff, 0xfe}):
		order, raw = binary.LittleEndian, raw[2:]
	case bytes.HasPrefix(raw, []byte{0xfe, 0xff}):
		order, raw = binary.BigEndian, raw[2:]
	case len(raw) > 1 && raw[1] == 0: // UTF-16 little-endian: the first character of a setting, comment or line end is ASCII
		order = binary.LittleEndian
	case len(raw) > 1 && raw[0] == 0:
		order = binary.BigEndian
	}
	if order != nil {
		units := make([]uint16, len(raw)/2)
		for i := range units {
			units[i] = order.Uint16(raw[2*i:])
		}
		raw = []byte(string(utf16.Decode(units)))
	}
	if at := firstInvalid(raw); at >= 0 {
		return "", fmt.Errorf("line %d is not UTF-8; save the file as UTF-8", 1+bytes.Count(raw[:at], []byte("\n")))
	}
	return string(raw), nil
}

// firstInvalid returns the index of the first invalid UTF-8 or NUL; -1 = none.
func firstInvalid(raw []byte) int {
	for i := 0; i < len(raw); {
		r, n := utf8.DecodeRune(raw[i:])
		if r == utf8.RuneError && n == 1 || r == 0 {
			return i
		}
		i += n
	}
	return -1
}

// envQuotes removes quotes around a value of the environment, which docker's --env-file and some hosting panels leave there, and warns.
// It keeps them in SECRET_KEY, because the stored messages are encrypted with a key that includes them.
func (c *Config) envQuotes(s *setting, value string) string {
	if len(value) < 3 || value[0] != value[len(value)-1] || value[0] != '"' && value[0] != '\'' || strings.Count(value, value[:1]) > 2 {
		return value
	}
	if s.name == "SECRET_KEY" {
		c.warn("SECRET_KEY is in quotes, which are part of the key: docker --env-file leaves them. To drop them, set the key without quotes, a comma and the key with quotes, and run sohbet rekey")
		return value
	}
	c.warn("%s is in quotes in the environment; they were removed: docker --env-file leaves them. Set it without quotes", s.name)
	return value[1 : len(value)-1]
}
