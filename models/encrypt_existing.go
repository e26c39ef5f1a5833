package models

import (
	"context"
	"fmt"

	"gorm.io/gorm"
)

const sealBatch = 300 // rows per transaction

// sealReadable encrypts page URLs, page titles and shortcuts that an earlier version stored unencrypted. It works in small independent
// transactions, so it may be interrupted at any time and run by several processes.
func (s *Store) sealReadable(ctx context.Context) error {
	sealed := 0
	for _, batch := range [...]func(context.Context) (int, error){s.sealPages, s.sealShortcuts} {
		for {
			n, err := batch(ctx)
			if err != nil {
				return fmt.Errorf("encrypt texts that an earlier version stored unencrypted: %w", err)
			}
			if n == 0 {
				break
			}
			sealed += n
		}
	}
	if sealed == 0 {
		return nil
	}
	s.log.Info("encrypted page URLs, page titles and shortcuts that an earlier version stored unencrypted", "rows", sealed)
	if s.dialect == dialectPostgres { // autovacuum removes the old rows
		return nil
	}
	return s.write.WithContext(ctx).Exec("PRAGMA wal_checkpoint(TRUNCATE)").Error
}

// readablePage is an unencrypted page as stored by an earlier version.
type readablePage struct{ ID, PageURL, PageTitle string }

func (s *Store) sealPages(ctx context.Context) (n int, err error) {
	var list []readablePage
	err = s.sealing(ctx, func(tx *gorm.DB) error {
		list = nil
		// The condition of the partial index idx_threads_readable.
		err := tx.Table("threads").Select("id", "page_url", "page_title").Where("page_url <> '' OR page_title <> ''").Order("id").Limit(sealBatch).Scan(&list).Error
		if err != nil {
			return err
		}
		for _, row := range list {
			t := Thread{PageURL: row.PageURL, PageTitle: row.PageTitle}
			if err := t.sealPage(s.texts); err != nil {
				return err
			}
			// A value that was written encrypted meanwhile is newer.
			err := tx.Exec(`UPDATE threads SET page_url = '', page_title = '',
				sealed_page_url = CASE sealed_page_url WHEN '' THEN ? ELSE sealed_page_url END,
				sealed_page_title = CASE sealed_page_title WHEN '' THEN ? ELSE sealed_page_title END WHERE id = ?`, t.PageURL, t.PageTitle, row.ID).Error
			if err != nil {
				return err
			}
		}
		return nil
	})
	return len(list), err
}

func (s *Store) sealShortcuts(ctx context.Context) (n int, err error) {
	var list []struct {
		ID       int64
		Shortcut string
	}
	err = s.sealing(ctx, func(tx *gorm.DB) error {
		list = nil
		if err := tx.Table("canned_replies").Select("id", "shortcut").Where("shortcut <> ''").Limit(sealBatch).Scan(&list).Error; err != nil {
			return err
		}
		for _, row := range list {
			sealed, err := s.texts.seal(row.Shortcut)
			if err != nil {
				return err
			}
			err = tx.Exec("UPDATE canned_replies SET shortcut = '', sealed_shortcut = ?, folded = ? WHERE id = ?",
				sealed, s.shortcuts.name(fold(row.Shortcut)), row.ID).Error
			if err != nil {
				return err
			}
		}
		return nil
	})
	return len(list), err
}

// sealing is a transaction that overwrites the old contents of rewritten rows in SQLite's file with zeros.
func (s *Store) sealing(ctx context.Context, f func(tx *gorm.DB) error) error {
	if s.dialect == dialectPostgres {
		return s.transaction(ctx, f)
	}
	return s.write.WithContext(ctx).Connection(func(db *gorm.DB) error {
		var before string
		if err := db.Raw("PRAGMA secure_delete").Scan(&before).Error; err != nil {
			return err
		}
		if err := db.Exec("PRAGMA secure_delete = on").Error; err != nil {
			return err
		}
		defer db.WithContext(context.WithoutCancel(ctx)).Exec("PRAGMA secure_delete = " + before)
		return db.Transaction(f)
	})
}
