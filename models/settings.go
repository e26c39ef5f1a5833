package models

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"sohbet/models/database"
)

// MaxSetting is the maximum length of a setting's value in runes.
const MaxSetting = 10_000

// setting is a setting that an owner changed.
type setting struct {
	ID        int64
	Name      string
	Value     string // encrypted
	AgentID   AgentID
	UpdatedAt time.Time
}

// settings is this process's in-memory copy of the table.
type settings struct {
	loading sync.Mutex // held while reading, replacing and telling, so that an older reading does not replace a newer one

	mu      sync.Mutex
	values  map[string]string
	changed func(map[string]string) // see OnSettings; may be nil
}

// OnSettings sets a function that is called with all settings that owners have set, by name: at once, and whenever a process changed one.
func (s *Store) OnSettings(changed func(map[string]string)) {
	s.settings.loading.Lock()
	defer s.settings.loading.Unlock()
	s.settings.mu.Lock()
	s.settings.changed = changed
	s.settings.mu.Unlock()
	changed(s.Settings())
}

// Settings returns the settings that owners have set, by name. It answers from memory; changes by another process are visible here within
// pollInterval.
func (s *Store) Settings() map[string]string {
	s.settings.mu.Lock()
	defer s.settings.mu.Unlock()
	return maps.Clone(s.settings.values)
}

// ChangeSettings stores settings on behalf of an agent, 0 for a command; "" removes one. All are changed or none.
func (s *Store) ChangeSettings(ctx context.Context, by AgentID, changes map[string]string) error {
	names := slices.Sorted(maps.Keys(changes))
	for _, name := range names {
		if err := checkText("value", changes[name], MaxSetting); err != nil {
			return err
		}
	}
	err := s.transaction(ctx, func(tx *gorm.DB) error {
		for _, name := range names {
			if changes[name] == "" {
				if err := tx.Where("name = ?", name).Delete(&setting{}).Error; err != nil {
					return err
				}
				continue
			}
			token, err := s.cipher.Seal(changes[name])
			if err != nil {
				return err
			}
			row := setting{Name: name, Value: token, AgentID: by, UpdatedAt: stamp(s.Now())}
			replace := clause.OnConflict{Columns: []clause.Column{{Name: "name"}}, DoUpdates: clause.AssignmentColumns([]string{"value", "agent_id", "updated_at"})}
			if err := tx.Clauses(replace).Create(&row).Error; err != nil {
				return err
			}
		}
		return markChanged(tx, stateSettings)
	})
	if err != nil {
		return s.failed("store settings", err)
	}
	s.notify(TopicSecurity)
	s.reload(ctx, s.loadSettings)
	return nil
}

// settingsIn reads all settings. A value that no key decrypts is left out.
func (s *Store) settingsIn(db *gorm.DB) (map[string]string, error) {
	var rows []setting
	if err := db.Find(&rows).Error; err != nil {
		return nil, err
	}
	values := make(map[string]string, len(rows))
	for _, row := range rows {
		value, ok := s.cipher.Open(row.Value)
		if !ok {
			s.cipher.Field(row.Value, "settings") // logs it
			continue
		}
		values[row.Name] = value
	}
	return values, nil
}

// loadSettings reloads the in-memory settings from the table, and tells about changes.
func (s *Store) loadSettings(ctx context.Context) error {
	s.settings.loading.Lock()
	defer s.settings.loading.Unlock()
	var values map[string]string
	err := database.Retry(ctx, func() (err error) {
		values, err = s.settingsIn(s.db.Read.WithContext(ctx))
		return err
	})
	if err != nil {
		return s.failed("read settings", err)
	}
	s.settings.mu.Lock()
	same := maps.Equal(s.settings.values, values)
	s.settings.values = values
	changed := s.settings.changed
	s.settings.mu.Unlock()
	if !same && changed != nil {
		changed(maps.Clone(values))
	}
	return nil
}
