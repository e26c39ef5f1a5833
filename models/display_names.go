package models

import (
	"context"

	"sohbet/models/database"
)

// DisplayNames returns the display names of those of the threads that are stored.
func (s *Store) DisplayNames(ctx context.Context, ids []string) (map[string]string, error) {
	names := make(map[string]string, len(ids))
	var found []struct{ ID, DisplayName string }
	err := database.Retry(ctx, func() error {
		return s.db.Read.WithContext(ctx).Model(&threadRow{}).Select("id, display_name").Where("id IN ?", ids).Find(&found).Error
	})
	for _, t := range found {
		names[t.ID] = t.DisplayName
	}
	return names, s.failed("read names", err)
}
