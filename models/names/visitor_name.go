package names

import (
	"strings"
	"unicode"
)

// invisible are code points that show nothing by themselves: white space, marks, controls, and code points that renderers ignore
// (Default_Ignorable_Code_Point of the Unicode Character Database).
var invisible = []*unicode.RangeTable{
	unicode.M, unicode.Z, unicode.White_Space, unicode.Cc, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector,
}

// Visible reports whether a name has a visible character.
func Visible(name string) bool {
	return strings.ContainsFunc(name, func(r rune) bool {
		const brailleBlank, nullNotehead = '\u2800', '\U0001D159' // blank glyphs that Unicode classifies as symbols
		return r != brailleBlank && r != nullNotehead && !unicode.In(r, invisible...)
	})
}

// OfVisitor returns the name to show for a visitor: their own or, when that has no visible character, a generic one in the language
// of locale.
func OfVisitor(name, locale string) string {
	switch {
	case Visible(name):
		return name
	case locale == "" || strings.HasPrefix(locale, "tr"):
		return "Ziyaretçi"
	}
	return "Visitor"
}
