// Package names compares and checks names that visitors and agents type: search keys of threads, folding of case and accents, and
// whether a name shows anything.
package names

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Fold lowercases s for comparing shortcuts. Databases differ in what lower() does outside ASCII, and Turkish has four letters i; all
// four map to one here, so that İPEK, ipek, IPEK and ıpek are equal.
func Fold(s string) string {
	return strings.Map(func(r rune) rune {
		switch r {
		case 'İ', 'I', 'ı':
			return 'i'
		case '\u0307': // combining dot above, which lowercasing İ leaves behind
			return -1
		}
		return unicode.ToLower(r)
	}, s)
}

// unaccented maps letters whose diacritic is not decomposed by Unicode normalization.
var unaccented = strings.NewReplacer("ø", "o", "ł", "l", "đ", "d", "ð", "d", "ħ", "h", "ŧ", "t", "ß", "ss", "æ", "ae", "œ", "oe", "þ", "th")

// FoldAccents lowercases a name for searching and removes its accents: NFKD (UAX #15) without combining marks of script Inherited.
func FoldAccents(s string) string {
	return unaccented.Replace(strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) && unicode.Is(unicode.Inherited, r) {
			return -1
		}
		return r
	}, norm.NFKD.String(Fold(s))))
}

func digits(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, s)
}

// SearchKey is the text that thread search matches against: name and phone number, the latter also as digits only.
func SearchKey(displayName, phoneNumber string) string {
	return FoldAccents(displayName) + "\n" + FoldAccents(phoneNumber) + "\n" + digits(phoneNumber)
}

var likeEscaper = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)

// maxSearchWords limits the size of the statement; further words of a query are ignored.
const maxSearchWords = 16

// LikePattern matches texts that contain s, with \ as the escape character of LIKE.
func LikePattern(s string) string { return "%" + likeEscaper.Replace(s) + "%" }

// SearchWords returns the words of a query, nil for a blank query. A search key must contain each of them, in any order.
func SearchWords(query string) []string {
	words := strings.Fields(query)
	return words[:min(len(words), maxSearchWords)]
}

// PhoneDigits returns the digits of a query that looks like a phone number, without leading zeros (trunk or international prefix); ""
// for any other query.
func PhoneDigits(query string) string {
	d := strings.TrimLeft(digits(query), "0")
	if len(d) < 3 || strings.Trim(query, "0123456789 +-()./") != "" {
		return ""
	}
	return d
}
