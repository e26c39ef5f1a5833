package reencrypt

import (
	"context"
	"fmt"

	"gorm.io/gorm"

	"sohbet/models/database"
	"sohbet/models/names"
)

// EncryptExisting encrypts page URLs, page titles and shortcuts that an earlier version stored unencrypted. It works in small independent
// transactions, so it may be interrupted at any time and run by several processes.
func (x *Texts) EncryptExisting(ctx context.Context) error {
	sealed := 0
	for _, batch := range [...]func(context.Context) (int, error){x.sealPages, x.sealShortcuts} {
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
	x.Log.Info("encrypted page URLs, page titles and shortcuts that an earlier version stored unencrypted", "rows", sealed)
	if x.DB.Dialect == database.Postgres { // autovacuum removes the old rows
		return nil
	}
	return x.DB.Write.WithContext(ctx).Exec("PRAGMA wal_checkpoint(TRUNCATE)").Error
}

// readablePage is an unencrypted page as stored by an earlier version.
type readablePage struct{ ID, PageURL, PageTitle string }

func (x *Texts) sealPages(ctx context.Context) (n int, err error) {
	var list []readablePage
	err = x.transaction(ctx, func(tx *gorm.DB) error {
		list = nil
		// The condition of the partial index idx_threads_readable.
		err := tx.Table("threads").Select("id", "page_url", "page_title").Where("page_url <> '' OR page_title <> ''").Order("id").Limit(batchRows).Scan(&list).Error
		if err != nil {
			return err
		}
		for _, row := range list {
			url, err := x.Cipher.Seal(row.PageURL)
			if err != nil {
				return err
			}
			title, err := x.Cipher.Seal(row.PageTitle)
			if err != nil {
				return err
			}
			// A value that was written encrypted meanwhile is newer.
			err = tx.Exec(`UPDATE threads SET page_url = '', page_title = '',
				sealed_page_url = CASE sealed_page_url WHEN '' THEN ? ELSE sealed_page_url END,
				sealed_page_title = CASE sealed_page_title WHEN '' THEN ? ELSE sealed_page_title END WHERE id = ?`, url, title, row.ID).Error
			if err != nil {
				return err
			}
		}
		return nil
	})
	return len(list), err
}

func (x *Texts) sealShortcuts(ctx context.Context) (n int, err error) {
	var list []struct {
		ID       int64
		Shortcut string
	}
	err = x.transaction(ctx, func(tx *gorm.DB) error {
		list = nil
		if err := tx.Table("canned_replies").Select("id", "shortcut").Where("shortcut <> ''").Limit(batchRows).Scan(&list).Error; err != nil {
			return err
		}
		for _, row := range list {
			sealed, err := x.Cipher.Seal(row.Shortcut)
			if err != nil {
				return err
			}
			err = tx.Exec("UPDATE canned_replies SET shortcut = '', sealed_shortcut = ?, folded = ? WHERE id = ?",
				sealed, x.Shortcuts.Hash(names.Fold(row.Shortcut)), row.ID).Error
			if err != nil {
				return err
			}
		}
		return nil
	})
	return len(list), err
}

// transaction is one that overwrites the old contents of rewritten rows in SQLite's file with zeros.
func (x *Texts) transaction(ctx context.Context, f func(tx *gorm.DB) error) error {
	if x.DB.Dialect == database.Postgres {
		return x.DB.Transaction(ctx, f)
	}
	return x.DB.Write.WithContext(ctx).Connection(func(db *gorm.DB) error {
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
