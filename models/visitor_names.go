package models

import (
	"strings"
	"unicode"

	"gorm.io/gorm"
)

// invisible are code points that show nothing by themselves: white space, marks, controls, and code points that renderers ignore
// (Default_Ignorable_Code_Point of the Unicode Character Database).
var invisible = []*unicode.RangeTable{
	unicode.M, unicode.Z, unicode.White_Space, unicode.Cc, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector,
}

// VisibleName reports whether a name has a visible character.
func VisibleName(name string) bool {
	return strings.ContainsFunc(name, func(r rune) bool {
		const brailleBlank, nullNotehead = '\u2800', '\U0001D159' // blank glyphs that Unicode classifies as symbols
		return r != brailleBlank && r != nullNotehead && !unicode.In(r, invisible...)
	})
}

// VisitorName returns the name to show for a visitor: their own or, when that has no visible character, a generic one in the language
// of locale.
func VisitorName(name, locale string) string {
	switch {
	case VisibleName(name):
		return name
	case locale == "" || strings.HasPrefix(locale, "tr"):
		return "Ziyaretçi"
	}
	return "Visitor"
}

// nameSteps repair the display names of threads.
var nameSteps = []step{{id: "names_0001_visible", run: nameInvisible}}

// nameInvisible renames threads that were stored with a name without visible characters.
func nameInvisible(tx *gorm.DB) error {
	var list []threadRow
	rows, err := tx.Raw("SELECT id, display_name, phone_number, locale FROM threads").Rows()
	if err != nil {
		return err
	}
	for rows.Next() {
		var t threadRow
		if err := rows.Scan(&t.ID, &t.DisplayName, &t.PhoneNumber, &t.Locale); err != nil {
			_ = rows.Close() // the scan error is more specific
			return err
		}
		if !VisibleName(t.DisplayName) {
			list = append(list, t)
		}
	}
	if err := rows.Close(); err != nil {
		return err
	}
	if err := rows.Err(); err != nil {
		return err
	}
	for _, t := range list {
		name := VisitorName("", t.Locale)
		err := tx.Exec("UPDATE threads SET display_name = ?, search_key = ? WHERE id = ?", name, searchKey(name, t.PhoneNumber), t.ID).Error
		if err != nil {
			return err
		}
	}
	return nil
}
