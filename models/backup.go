package models

import (
	"context"
	"crypto/rand"
	"errors"

	"gorm.io/gorm"

	"sohbet/models/database"
	"sohbet/models/dump"
	"sohbet/models/keycheck"
)

// Dump writes a consistent snapshot of the database into an empty folder without blocking readers or writers. Encrypted texts are
// written as they are stored. It calls file with the URL of each uploaded file that the snapshot refers to.
func (s *Store) Dump(ctx context.Context, dir string, file func(url string)) error {
	return s.failed("dump the database", dump.Write(ctx, s.db, dir, file))
}

// LoadOptions say how to load a dump.
type LoadOptions struct {
	// Force replaces the data of a database that is not empty.
	Force bool
	// MissingKeys loads a dump even if keys are missing that its texts were encrypted with.
	MissingKeys bool
	// Name, if set, is stored in the same transaction, see LastLoad.
	Name string
}

// stateLastLoad is the row of security_state with the name of the last dump that was loaded.
const stateLastLoad = "last load"

// Load replaces the contents of the database with a dump that Dump wrote into a folder, on either kind of database and by this or an
// older version, in one transaction: on failure nothing changes. Without Force a database that holds any data is refused with
// ErrNotEmpty, and without MissingKeys a dump whose keys are missing with a [*keycheck.Error]. A server running at the same time serves
// its cached data until it expires.
func (s *Store) Load(ctx context.Context, dir string, o LoadOptions) error {
	generation, missing, complete := rand.Text(), error(nil), true
	err := dump.Load(ctx, s.db, dir, dump.Options{Force: o.Force, Within: func(tx *gorm.DB) error {
		found, err := keycheck.Examine(tx, s.cipher)
		if err != nil {
			return err
		}
		complete = found.Complete()
		if missing = found.Problem("the backup"); missing != nil && !o.MissingKeys {
			return missing
		}
		if missing == nil {
			if err := found.Record(tx, s.cipher); err != nil {
				return err
			}
		}
		if o.Name != "" {
			err := tx.Exec("INSERT INTO security_state (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value", stateLastLoad, o.Name).Error
			if err != nil {
				return err
			}
		}
		// Open pages know later revisions than those of the dump.
		if err := tx.Exec("UPDATE threads SET rev = ? WHERE rev < ?", s.Now().UnixMilli(), s.Now().UnixMilli()).Error; err != nil {
			return err
		}
		return endAllSessions(tx, generation) // sessions ended after the dump was made must not become valid again
	}})
	if errors.Is(err, ErrNotEmpty) {
		return err
	}
	s.cache.forgetAll()
	if err == nil {
		s.missingKeys = missing
		s.cipher.SetComplete(complete)
		err = errors.Join(s.sessionsEnded(ctx, generation), s.loadAgents(ctx), s.loadSettings(ctx))
	}
	if err == nil && missing == nil {
		err = s.reencryption().EncryptExisting(ctx) // the dump may predate the encryption of these texts
	}
	if err == nil {
		err = s.eraseLoaded(ctx)
	}
	return s.failed("load a dump", err)
}

// LastLoad returns the name with which a dump was last loaded; "" = none.
func (s *Store) LastLoad(ctx context.Context) (string, error) {
	var names []string
	err := database.Retry(ctx, func() error {
		return s.db.Read.WithContext(ctx).Table("security_state").Where("name = ?", stateLastLoad).Pluck("value", &names).Error
	})
	if err != nil || len(names) == 0 {
		return "", s.failed("read the last restore", err)
	}
	return names[0], nil
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
