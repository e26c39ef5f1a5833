package handlers

import (
	"bytes"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"sohbet/server/apperr"
)

// Reasons for which a text cannot be stored as it was sent.
const (
	brokenUTF8    = "is not valid UTF-8 text"
	loneSurrogate = "holds half of a surrogate pair, which is no character"
	holdsNUL      = "holds a NUL character, which cannot be stored"
)

// textFault is a text of a request that cannot be stored as it was sent.
type textFault struct{ field, reason string }

func (f textFault) err() error {
	if f.field == "" {
		return apperr.Invalid("", "The input "+f.reason+".")
	}
	return apperr.Invalid(f.field, f.field+" "+f.reason+".")
}

// faultOf returns why a decoded text cannot be stored, "" if it can.
func faultOf(text string) string {
	switch {
	case !utf8.ValidString(text):
		return brokenUTF8
	case strings.IndexByte(text, 0) >= 0:
		return holdsNUL
	}
	return ""
}

// CheckQuery refuses a URL whose query has texts that can neither be stored nor compared with stored ones.
func CheckQuery(query url.Values) error { return checkValues(query) }

// checkValues refuses the values of a form or query that cannot be stored.
func checkValues(values url.Values) error {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		for _, text := range append([]string{name}, values[name]...) {
			if reason := faultOf(text); reason != "" {
				return textFault{strings.ReplaceAll(strings.ToValidUTF8(name, ""), "\x00", ""), reason}.err()
			}
		}
	}
	return nil
}

// suspicious are the beginnings of the escapes that may be faults: those of surrogates and of NUL.
var suspicious = [][]byte{[]byte(`\ud`), []byte(`\uD`), []byte(`\u0000`)}

// jsonFaults finds the texts in valid JSON that cannot be stored: encoding/json would replace invalid UTF-8 and lone surrogates by U+FFFD
// without an error. It returns the faults, one for each field, and the JSON with what is wrong replaced by white space.
func jsonFaults(raw []byte) ([]textFault, []byte) {
	escaped := bytes.IndexByte(raw, '\\') >= 0
	if utf8.Valid(raw) && (!escaped || !slices.ContainsFunc(suspicious, func(s []byte) bool { return bytes.Contains(raw, s) })) {
		return nil, raw
	}
	s := faultScanner{raw: raw, clean: raw}
	s.scan()
	return s.faults, s.clean
}

// faultScanner reads valid JSON once, from left to right.
type faultScanner struct {
	raw, clean []byte // clean is a copy of raw once there is a fault
	faults     []textFault
	path       []pathElement
}

// pathElement is an object or array that the scanner is in.
type pathElement struct {
	object, key bool   // key: the next string is a key
	name        string // of the current field
}

func (s *faultScanner) scan() {
	for i := 0; i < len(s.raw); i++ {
		top := len(s.path) - 1
		switch s.raw[i] {
		case '{', '[':
			object := s.raw[i] == '{'
			s.path = append(s.path, pathElement{object: object, key: object})
		case '}', ']':
			s.path = s.path[:max(top, 0)]
		case ',':
			if top >= 0 {
				s.path[top].key = s.path[top].object
			}
		case '"':
			end := s.text(i + 1)
			if top >= 0 && s.path[top].key {
				s.path[top].key, s.path[top].name = false, string(s.raw[i+1:min(end, i+1+maxName)])
			}
			i = end
		}
	}
}

// field returns the name of the current field: "email", or "identity.id" in an object. Deeper names are left out.
func (s *faultScanner) field() string {
	name := ""
	for _, p := range s.path[:min(len(s.path), 2)] {
		if p.key { // the key itself is wrong
			break
		}
		if p.object && name != "" {
			name += "."
		}
		name += p.name
	}
	return name
}

// text checks the string that begins at i and returns the position of its closing quote.
func (s *faultScanner) text(i int) int {
	for i < len(s.raw) && s.raw[i] != '"' {
		size, reason := 1, ""
		switch c := s.raw[i]; {
		case c == '\\':
			size, reason = s.escape(i)
		case c >= utf8.RuneSelf:
			var r rune
			if r, size = utf8.DecodeRune(s.raw[i:]); r == utf8.RuneError && size == 1 {
				reason = brokenUTF8
			}
		}
		if reason != "" {
			s.note(textFault{s.field(), reason}, i, size)
		}
		i += size
	}
	return i
}

// escape returns the length of the escape at i, and what is wrong with it.
func (s *faultScanner) escape(i int) (size int, reason string) {
	const length = len(`\u0000`)
	r, ok := unit(s.raw[i:])
	switch {
	case !ok:
		return 2, ""
	case r == 0:
		return length, holdsNUL
	case r < 0xd800 || r > 0xdfff:
		return length, ""
	}
	if low, ok := unit(s.raw[min(i+length, len(s.raw)):]); ok && r < 0xdc00 && 0xdc00 <= low && low <= 0xdfff {
		return 2 * length, ""
	}
	return length, loneSurrogate
}

// unit returns the UTF-16 code unit of an escape such as \u00e4.
func unit(raw []byte) (r uint64, ok bool) {
	if len(raw) < 6 || raw[0] != '\\' || raw[1] != 'u' {
		return 0, false
	}
	r, err := strconv.ParseUint(string(raw[2:6]), 16, 32)
	return r, err == nil
}

// note records a fault and blanks it. An escape becomes a tab, which no URL may have, so that only white space is left of it.
func (s *faultScanner) note(f textFault, i, size int) {
	if !slices.ContainsFunc(s.faults, func(other textFault) bool { return other.field == f.field }) && len(s.faults) < maxFaults {
		s.faults = append(s.faults, f)
	}
	if &s.clean[0] == &s.raw[0] {
		s.clean = bytes.Clone(s.raw)
	}
	if size == 1 {
		s.clean[i] = ' '
		return
	}
	copy(s.clean[i:i+size], `\t    `)
}

// maxFaults bounds the fields that are named, and maxName their length in bytes; a payload has fewer, and shorter ones.
const (
	maxFaults = 32
	maxName   = 64
)
