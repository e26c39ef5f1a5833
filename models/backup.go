package models

import (
	"context"
	"errors"

	"gorm.io/gorm"

	"sohbet/models/database"
	"sohbet/models/dump"
)

// Dump writes a consistent snapshot of the database into an empty folder without blocking readers or writers. Encrypted texts are
// written as they are stored.
func (s *Store) Dump(ctx context.Context, dir string) error {
	return s.failed("dump the database", dump.Write(ctx, s.db, dir))
}

// Load replaces the contents of the database with a dump that Dump wrote into a folder, in one transaction: on failure nothing changes.
// Without force a database that holds any data is refused with ErrNotEmpty. A server running at the same time serves its cached data
// until it expires.
func (s *Store) Load(ctx context.Context, dir string, force bool) error {
	older, err := dump.Load(ctx, s.db, dir, force)
	if errors.Is(err, ErrNotEmpty) {
		return err
	}
	s.cache.forgetAll()
	if err == nil && len(older) > 0 {
		err = s.transaction(ctx, func(tx *gorm.DB) error {
			for _, step := range older {
				if err := step.Rewrite(tx); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err == nil {
		err = s.reencryption().EncryptExisting(ctx) // the dump may predate the encryption of these texts
	}
	if err == nil {
		err = s.eraseLoaded(ctx)
	}
	if err != nil {
		return s.failed("load a dump", err)
	}
	// Sessions ended after the dump was made must not become valid again.
	return s.EndAllSessions(ctx)
}

// eraseLoaded starts the job that deletes what was cleared or deleted, and still had rows, when a dump was made. Jobs are not in dumps:
// others would delete or rewrite what was just restored.
func (s *Store) eraseLoaded(ctx context.Context) error {
	var found []string
	if err := s.db.Read.WithContext(ctx).Model(&Thread{}).Where(hidden).Limit(1).Pluck("id", &found).Error; err != nil || len(found) == 0 {
		return err
	}
	_, err := s.StartJob(ctx, JobClearAll, "")
	return err
}

// Empty reports whether the database has no users, as on a fresh installation.
func (s *Store) Empty(ctx context.Context) (bool, error) {
	var users []User
	err := database.Retry(ctx, func() error { return s.db.Read.WithContext(ctx).Limit(1).Find(&users).Error })
	return len(users) == 0, s.failed("check whether the database is empty", err)
}
