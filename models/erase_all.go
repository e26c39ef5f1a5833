package models

import (
	"context"
	"errors"

	"gorm.io/gorm"

	"sohbet/models/database"
)

// After all threads were deleted, SQLite can empty the table of messages as a whole: that frees its pages without writing them, while
// deleting rows writes the page of each row several times.
const (
	eraseAllLeast = 20_000  // messages; fewer are deleted row by row
	eraseAllPages = 300_000 // more would block other writers for longer than about a second
	eraseAllKept  = 2_000   // messages that are not deleted, at most
	eraseAllFiles = 20_000  // files of deleted messages, at most
	eraseAllEvery = 100     // transactions, after which it is tried again
)

// kept selects the messages that are not deleted; each of its parameters is the highest cleared_until.
const kept = "SELECT * FROM messages WHERE id > ? UNION ALL " +
	"SELECT m.* FROM threads t CROSS JOIN messages m ON m.thread_id = t.id AND m.id > t.cleared_until AND m.id <= ? WHERE t.cleared_until < ?"

// eraseAll deletes the rows of all deleted messages in one transaction if that is fast, and returns their number; 0 means that they have to
// be deleted in small transactions.
func (s *Store) eraseAll(ctx context.Context) (n int64, err error) {
	if s.db.Dialect != database.SQLite {
		return 0, nil
	}
	var pages, free int64
	read := s.db.Read.WithContext(ctx)
	if err := read.Raw("PRAGMA page_count").Scan(&pages).Error; err != nil {
		return 0, err
	}
	if err := read.Raw("PRAGMA freelist_count").Scan(&free).Error; err != nil || pages-free > eraseAllPages {
		return 0, err
	}
	var gone []Message // those with files
	err = database.Retry(ctx, func() error {
		n, gone, err = s.emptyMessages(ctx)
		return err
	})
	if err != nil || n == 0 {
		return 0, err
	}
	s.discard(gone)
	return n, nil
}

// emptyMessages empties the table of messages, except for those that are not deleted, and returns how many it deleted and those of them that
// have files.
func (s *Store) emptyMessages(ctx context.Context) (n int64, gone []Message, err error) {
	empty := func(tx *gorm.DB) error {
		var until, all, rest int64
		for _, q := range []struct {
			to   *int64
			sql  string
			args []any
		}{
			{&until, "SELECT coalesce(max(cleared_until), 0) FROM threads WHERE " + hidden, nil},
			{&all, "SELECT count(*) FROM (SELECT 1 FROM messages LIMIT ?)", []any{eraseAllLeast + eraseAllKept}},
			{&rest, "SELECT count(*) FROM (" + kept + " LIMIT ?)", []any{&until, &until, &until, eraseAllKept + 1}},
		} {
			if err := tx.Raw(q.sql, q.args...).Scan(q.to).Error; err != nil {
				return err
			}
		}
		if until == 0 || rest > eraseAllKept || all-rest < eraseAllLeast {
			return nil
		}
		if err := tx.Exec("CREATE TEMP TABLE kept_messages AS "+kept, until, until, until).Error; err != nil {
			return err
		}
		err := tx.Select("id", "file_path", "file_url").Where("file_url <> '' AND id NOT IN (SELECT id FROM kept_messages)").Limit(eraseAllFiles + 1).Find(&gone).Error
		if err != nil {
			return err
		}
		if len(gone) <= eraseAllFiles {
			emptied := tx.Exec("DELETE FROM messages") // any condition would make it delete row by row
			if emptied.Error != nil {
				return emptied.Error
			}
			n = emptied.RowsAffected - rest
			for _, sql := range []string{
				"INSERT INTO messages SELECT * FROM kept_messages",
				"DELETE FROM telegram_links WHERE message_id <> 0 AND message_id <= (SELECT cleared_until FROM threads WHERE threads.id = telegram_links.thread_id)",
			} {
				if err := tx.Exec(sql).Error; err != nil {
					return err
				}
			}
		}
		return tx.Exec("DROP TABLE kept_messages").Error
	}
	err = s.db.Write.WithContext(ctx).Connection(func(conn *gorm.DB) error {
		if err := conn.Exec("PRAGMA foreign_keys = off").Error; err != nil { // to check them SQLite would delete row by row
			return err
		}
		err := conn.Transaction(empty)
		return errors.Join(err, conn.WithContext(context.WithoutCancel(ctx)).Exec("PRAGMA foreign_keys = on").Error)
	})
	return n, gone, err
}
