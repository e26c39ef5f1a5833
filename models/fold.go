package models

import (
	"crypto/rand"
	"encoding/base32"
	"strings"
	"unicode"
)

// fold lowers s for comparing names. Databases differ in what lower() does outside ASCII, and
// Turkish has four letters i; here all four are one, so İPEK, ipek, IPEK and ıpek meet.
func fold(s string) string {
	return strings.Map(func(r rune) rune {
		switch r {
		case 'İ', 'I', 'ı':
			return 'i'
		case '\u0307': // the dot that lower-casing İ leaves behind elsewhere
			return -1
		}
		return unicode.ToLower(r)
	}, s)
}

func digits(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, s)
}

// searchKey is what a thread can be found by: its name and its phone number, the latter also
// without spaces and signs.
func searchKey(displayName, phoneNumber string) string {
	return fold(displayName) + "\n" + fold(phoneNumber) + "\n" + digits(phoneNumber)
}

var likeEscaper = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)

// searchPatterns returns the LIKE patterns (escape character \) of which one must match. A line
// break cannot be part of a name's match, so it is taken as a space.
func searchPatterns(query string) []string {
	query = strings.TrimSpace(strings.ReplaceAll(query, "\n", " "))
	if query == "" {
		return nil
	}
	patterns := []string{"%" + likeEscaper.Replace(fold(query)) + "%"}
	if strings.Trim(query, "0123456789 +-()./") == "" {
		if d := digits(query); len(d) >= 3 && d != query {
			patterns = append(patterns, "%"+d+"%")
		}
	}
	return patterns
}

var handleEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// newHandle makes a username: 80 random bits, never the same twice.
func newHandle() string {
	var b [10]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return "visitor-" + handleEncoding.EncodeToString(b[:])
}
