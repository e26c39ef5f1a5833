package models

import (
	"strings"
	"unicode"

	"gorm.io/gorm"
)

// invisible are code points that show nothing by themselves: white space, marks, controls, and what programs that cannot show it
// leave out (Default_Ignorable_Code_Point of the Unicode Character Database).
var invisible = []*unicode.RangeTable{
	unicode.M, unicode.Z, unicode.White_Space, unicode.Cc, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector,
}

// VisibleName reports whether a name shows anything.
func VisibleName(name string) bool {
	return strings.ContainsFunc(name, func(r rune) bool {
		const brailleBlank, nullNotehead = '\u2800', '\U0001D159' // blanks that Unicode counts as symbols
		return r != brailleBlank && r != nullNotehead && !unicode.In(r, invisible...)
	})
}

// VisitorName is how a visitor is called: by their name or, when that shows nothing, by a word in the language of locale.
func VisitorName(name, locale string) string {
	switch {
	case VisibleName(name):
		return name
	case locale == "" || strings.HasPrefix(locale, "tr"):
		return "Ziyaretçi"
	}
	return "Visitor"
}

// nameSteps give names to threads.
var nameSteps = []step{{id: "names_0001_visible", run: nameInvisible}}

// nameInvisible renames threads that were stored under a name that shows nothing.
func nameInvisible(tx *gorm.DB) error {
	var list []threadRow
	rows, err := tx.Raw("SELECT id, display_name, phone_number, locale FROM threads").Rows()
	if err != nil {
		return err
	}
	for rows.Next() {
		var t threadRow
		if err := rows.Scan(&t.ID, &t.DisplayName, &t.PhoneNumber, &t.Locale); err != nil {
			_ = rows.Close() // the scan's error tells more
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
