package models

import (
	"crypto/rand"
	"encoding/base32"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// fold lowers s for comparing shortcuts. Databases differ in what lower() does outside ASCII, and
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

// unaccented are letters whose accent is part of the letter, so that Unicode does not decompose them.
var unaccented = strings.NewReplacer("ø", "o", "ł", "l", "đ", "d", "ð", "d", "ħ", "h", "ŧ", "t", "ß", "ss", "æ", "ae", "œ", "oe", "þ", "th")

// foldName lowers a name for searching and takes its accents off: NFKD (UAX #15) without the marks that belong to no script.
func foldName(s string) string {
	return unaccented.Replace(strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) && unicode.Is(unicode.Inherited, r) {
			return -1
		}
		return r
	}, norm.NFKD.String(fold(s))))
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
	return foldName(displayName) + "\n" + foldName(phoneNumber) + "\n" + digits(phoneNumber)
}

var likeEscaper = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)

// maxSearchWords bounds a statement; further words of a query do not narrow the search.
const maxSearchWords = 16

func likePattern(s string) string { return "%" + likeEscaper.Replace(s) + "%" }

// searchWords returns the words of a query, of which a search key must hold each, in any order; none for a blank query.
func searchWords(query string) []string {
	words := strings.Fields(query)
	return words[:min(len(words), maxSearchWords)]
}

// phoneDigits returns the digits of a query that looks like a phone number, without the zeros with which numbers begin inside a country
// or abroad; "" for any other.
func phoneDigits(query string) string {
	d := strings.TrimLeft(digits(query), "0")
	if len(d) < 3 || strings.Trim(query, "0123456789 +-()./") != "" {
		return ""
	}
	return d
}

var handleEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// newHandle makes a username: 80 random bits, never the same twice.
func newHandle() string {
	var b [10]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return "visitor-" + handleEncoding.EncodeToString(b[:])
}
