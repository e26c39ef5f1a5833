package migrate

import (
	"gorm.io/gorm"

	"sohbet/models/names"
)

// namedThread has the columns of a thread that name its visitor.
type namedThread struct{ ID, DisplayName, PhoneNumber, Locale, SearchKey string }

// nameSteps repair the display names of threads.
var nameSteps = []Step{{id: "names_0001_visible", rewrite: nameInvisible}}

// nameInvisible renames threads that were stored with a name without visible characters.
func nameInvisible(tx *gorm.DB) error {
	var list []namedThread
	rows, err := tx.Raw("SELECT id, display_name, phone_number, locale FROM threads").Rows()
	if err != nil {
		return err
	}
	for rows.Next() {
		var t namedThread
		if err := rows.Scan(&t.ID, &t.DisplayName, &t.PhoneNumber, &t.Locale); err != nil {
			_ = rows.Close() // the scan error is more specific
			return err
		}
		if !names.Visible(t.DisplayName) {
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
		name := names.OfVisitor("", t.Locale)
		err := tx.Exec("UPDATE threads SET display_name = ?, search_key = ? WHERE id = ?", name, names.SearchKey(name, t.PhoneNumber), t.ID).Error
		if err != nil {
			return err
		}
	}
	return nil
}
