package migrate

import (
	"gorm.io/gorm"

	"sohbet/models/names"
)

// listSteps order the list of threads by last message and fold the names in its search keys.
var listSteps = []Step{
	{
		id: "list_0001_last_message",
		statements: []string{
			`DROP INDEX idx_threads_listed`,
			`DROP INDEX idx_threads_waiting`,
			`CREATE INDEX idx_threads_listed ON threads (last_message_at, id) WHERE last_message_at IS NOT NULL`,
			`CREATE INDEX idx_threads_waiting ON threads (last_message_at, id) WHERE waiting_since IS NOT NULL`,
		},
		rewrite: unlistHalfDeleted,
	},
	{id: "list_0002_search_keys", rewrite: foldSearchKeys},
}

// unlistHalfDeleted removes from the list the threads whose deletion was interrupted by a shutdown.
func unlistHalfDeleted(tx *gorm.DB) error {
	return tx.Exec("UPDATE threads SET last_message_at = NULL WHERE message_count = 0 AND last_message_at IS NOT NULL").Error
}

// foldSearchKeys recomputes the search keys of names with accents.
func foldSearchKeys(tx *gorm.DB) error {
	const batch = 1000
	last := ""
	for {
		var list []namedThread
		err := tx.Table("threads").Select("id", "display_name", "phone_number", "search_key").Where("id > ?", last).Order("id").Limit(batch).Find(&list).Error
		if err != nil || len(list) == 0 {
			return err
		}
		last = list[len(list)-1].ID
		for _, row := range list {
			key := names.SearchKey(row.DisplayName, row.PhoneNumber)
			if key == row.SearchKey {
				continue
			}
			if err := tx.Exec("UPDATE threads SET search_key = ? WHERE id = ?", key, row.ID).Error; err != nil {
				return err
			}
		}
	}
}
