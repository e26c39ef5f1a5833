package models

import (
	"context"
	"time"

	"gorm.io/gorm"
)

const rekeyBatch = 300 // rows per transaction

// Rekeyed is the result of Rekey.
type Rekeyed struct {
	Checked    int64 // texts and previews checked
	Rewritten  int64 // of those, re-encrypted with the first key
	Unreadable int64 // of those, decrypted by no key and left unchanged
}

// sealedText is one encrypted text.
type sealedText struct {
	ID    any // primary key of its row
	Token string
	Named int64 // id of the message it belongs to, for the log; 0 = none
}

// Rekey re-encrypts with the first key every text that was encrypted with another, in small transactions with pauses as long as they
// took, so that a server can run at the same time. Texts written meanwhile by a server with the same first key need no re-encryption.
// It may be interrupted and run again.
func (s *Store) Rekey(ctx context.Context) (Rekeyed, error) {
	var sum Rekeyed
	var last int64
	err := s.rekey(ctx, &sum, "UPDATE messages SET content_text = ? WHERE id = ? AND content_text = ?", func() (rows []sealedText, err error) {
		var list []Message
		err = s.read.WithContext(ctx).Select("id", "content_text").Where("id > ?", last).Order("id").Limit(rekeyBatch).Find(&list).Error
		for _, m := range list {
			last = m.ID
			rows = append(rows, sealedText{ID: m.ID, Token: m.ContentText, Named: m.ID})
		}
		return rows, err
	})
	if err != nil {
		return sum, s.failed("rekey messages", err)
	}
	lastThread := ""
	err = s.rekey(ctx, &sum, "UPDATE threads SET last_message = ? WHERE id = ? AND last_message = ?", func() (rows []sealedText, err error) {
		var list []Thread
		err = s.read.WithContext(ctx).Select("id", "last_message", "last_message_id").Where("id > ?", lastThread).Order("id").Limit(rekeyBatch).Find(&list).Error
		for _, t := range list {
			lastThread = t.ID
			rows = append(rows, sealedText{ID: t.ID, Token: t.LastMessage, Named: t.LastMessageID})
		}
		return rows, err
	})
	if err != nil {
		return sum, s.failed("rekey threads", err)
	}
	if err := s.rekeyEmails(ctx); err != nil {
		return sum, s.failed("rekey e-mail addresses", err)
	}
	if err := s.renameShortcuts(ctx); err != nil {
		return sum, s.failed("rekey shortcuts", err)
	}
	for _, c := range sealedColumns {
		if err := s.rekeyColumn(ctx, &sum, c.table, c.column); err != nil {
			return sum, s.failed("rekey "+c.table, err)
		}
	}
	return sum, nil
}

// sealedColumns are the encrypted columns that are empty in most rows or belong to small tables.
var sealedColumns = [...]struct{ table, column string }{
	{"threads", "email"}, {"threads", "rating_comment"}, {"notes", "content_text"}, {"canned_replies", "content_text"},
	{"canned_replies", "sealed_shortcut"}, {"threads", "sealed_page_url"}, {"threads", "sealed_page_title"},
	{"push_subscriptions", "sealed"}, {"server_keys", "private_seal"},
}

// rekeyColumn is rekey for one of sealedColumns.
func (s *Store) rekeyColumn(ctx context.Context, sum *Rekeyed, table, column string) error {
	last, first := any(nil), true
	return s.rekey(ctx, sum, "UPDATE "+table+" SET "+column+" = ? WHERE id = ? AND "+column+" = ?", func() ([]sealedText, error) {
		db := s.read.WithContext(ctx).Table(table).Select("id", column).Where(column + " <> ''").Order("id").Limit(rekeyBatch)
		if !first {
			db = db.Where("id > ?", last)
		}
		found, err := db.Rows()
		if err != nil {
			return nil, err
		}
		defer found.Close()
		var rows []sealedText
		for found.Next() {
			var row sealedText
			if err := found.Scan(&row.ID, &row.Token); err != nil {
				return nil, err
			}
			last, first = row.ID, false
			rows = append(rows, row)
		}
		return rows, found.Err()
	})
}

// rekey processes batches from next until it returns none. update stores a token only if the row still has the old one.
func (s *Store) rekey(ctx context.Context, sum *Rekeyed, update string, next func() ([]sealedText, error)) error {
	for {
		rows, err := next()
		if err != nil || len(rows) == 0 {
			return err
		}
		var changed []sealedText
		old := make(map[any]string)
		for _, row := range rows {
			if row.Token == "" {
				continue
			}
			sum.Checked++
			if _, ok := with(s.texts.keys[:1], row.Token); ok {
				continue
			}
			text, ok := with(s.texts.keys[1:], row.Token)
			if !ok {
				sum.Unreadable++
				s.texts.report(row.Named)
				continue
			}
			old[row.ID] = row.Token
			if row.Token, err = s.texts.seal(text); err != nil {
				return err
			}
			changed = append(changed, row)
		}
		if len(changed) == 0 {
			continue
		}
		start := time.Now()
		var written int64
		err = s.transaction(ctx, func(tx *gorm.DB) error {
			written = 0
			for _, row := range changed {
				done := tx.Exec(update, row.Token, row.ID, old[row.ID])
				if done.Error != nil {
					return done.Error
				}
				written += done.RowsAffected
			}
			return nil
		})
		sum.Rewritten += written
		if err != nil {
			return err
		}
		if err := pause(ctx, time.Since(start)); err != nil {
			return err
		}
	}
}

// pause waits for d or until ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
