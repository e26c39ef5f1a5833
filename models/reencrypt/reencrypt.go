// Package reencrypt rewrites stored texts: with the first key those encrypted with another, and encrypted those that an earlier version
// stored unencrypted.
package reencrypt

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"

	"sohbet/models/database"
	"sohbet/models/encryption"
	"sohbet/models/keycheck"
	"sohbet/models/names"
)

const batchRows = 300 // per transaction

// Texts are the encrypted texts of a database.
type Texts struct {
	DB     *database.DB
	Cipher *encryption.Cipher
	// Emails and Shortcuts hash the values by which encrypted rows are found.
	Emails, Shortcuts *encryption.Hasher
	Log               *slog.Logger
}

// Result is the result of Rekey.
type Result struct {
	Checked    int64 `json:"checked"`    // texts and previews checked
	Rewritten  int64 `json:"rewritten"`  // of those, re-encrypted with the first key
	Unreadable int64 `json:"unreadable"` // of those, decrypted by no key and left unchanged
}

// State is how far an interrupted Rekey came.
type State struct {
	Column string `json:"column"` // the one it was working on
	After  any    `json:"after"`  // its last row that was checked; nil = none
	Result
}

// column is an encrypted column, with the column that holds the id of the message to name in the log; "" = none.
type column struct{ table, name, message string }

func (c column) String() string { return c.table + "." + c.name }

// rows is the condition of the rows to rewrite; a check value says which key texts were encrypted with, until all are rewritten.
func (c column) rows() string {
	if c.table == "server_keys" {
		return keycheck.Others
	}
	return c.name + " <> ''"
}

var columns = [...]column{
	{"messages", "content_text", "id"}, {"threads", "last_message", "last_message_id"},
	{"threads", "email", ""}, {"threads", "rating_comment", ""}, {"notes", "content_text", ""}, {"canned_replies", "content_text", ""},
	{"canned_replies", "sealed_shortcut", ""}, {"threads", "sealed_page_url", ""}, {"threads", "sealed_page_title", ""},
	{"agents", "email", ""}, {"agents", "password_hash", ""}, {"agents", "admin_username", ""}, {"agents", "admin_password_hash", ""},
	{"agents", "totp_secret", ""}, {"agents", "telegram_id", ""}, {"settings", "value", ""},
	{"invitations", "email", ""}, {"audit_entries", "actor", ""}, {"audit_entries", "address", ""},
	{"passkeys", "name", ""}, {"passkeys", "credential", ""}, {"sessions", "details", ""},
	{"push_subscriptions", "sealed", ""}, {"server_keys", "private_seal", ""},
}

// Rekey re-encrypts with the first key every text that was encrypted with another, in small transactions with pauses as long as they
// took, so that a server can run at the same time. Texts written meanwhile by a server with the same first key need no re-encryption.
// It continues from the state of an interrupted call with the same first key, and calls report after each transaction.
func (x *Texts) Rekey(ctx context.Context, state State, report func(State)) (Result, error) {
	if err := x.rehashEmails(ctx); err != nil {
		return state.Result, fmt.Errorf("e-mail addresses: %w", err)
	}
	if err := x.rehashShortcuts(ctx); err != nil {
		return state.Result, fmt.Errorf("shortcuts: %w", err)
	}
	rest := columns[:]
	if i := slices.IndexFunc(rest, func(c column) bool { return c.String() == state.Column }); i >= 0 {
		rest = rest[i:]
		if id, ok := state.After.(float64); ok { // from JSON
			state.After = int64(id)
		}
	} else {
		state.After = nil
	}
	for _, c := range rest {
		state.Column = c.String()
		if err := x.rekey(ctx, &state, c, report); err != nil {
			return state.Result, fmt.Errorf("%s of %s: %w", c.name, c.table, err)
		}
		state.After = nil
	}
	return state.Result, nil
}

// sealedText is one encrypted text.
type sealedText struct {
	id      any // primary key of its row
	token   string
	fresh   string // the text encrypted with the first key
	message int64  // id of the message to name in the log; 0 = none
}

// read returns the next rows of a column after an id; nil = from the start. Empty texts are left out.
func (x *Texts) read(ctx context.Context, c column, after any) ([]sealedText, error) {
	message := c.message
	if message == "" {
		message = "0"
	}
	db := x.DB.Read.WithContext(ctx).Table(c.table).Select("id, " + c.name + ", " + message).Where(c.rows()).Order("id").Limit(batchRows)
	if after != nil {
		db = db.Where("id > ?", after)
	}
	found, err := db.Rows()
	if err != nil {
		return nil, err
	}
	defer found.Close()
	var rows []sealedText
	for found.Next() {
		var row sealedText
		if err := found.Scan(&row.id, &row.token, &row.message); err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, found.Err()
}

// rekey re-encrypts one column. A token is stored only if the row still has the old one.
func (x *Texts) rekey(ctx context.Context, sum *State, c column, report func(State)) error {
	update := "UPDATE " + c.table + " SET " + c.name + " = ? WHERE id = ? AND " + c.name + " = ?"
	for {
		rows, err := x.read(ctx, c, sum.After)
		if err != nil || len(rows) == 0 {
			return err
		}
		var changed []sealedText
		for _, row := range rows {
			sum.Checked++
			fresh, readable, err := x.Cipher.Reseal(row.token, row.message)
			if err != nil {
				return err
			}
			if !readable {
				sum.Unreadable++
			}
			if fresh != row.token {
				row.fresh = fresh
				changed = append(changed, row)
			}
		}
		last := rows[len(rows)-1].id
		if len(changed) == 0 {
			sum.After = last
			report(*sum)
			continue
		}
		start := time.Now()
		var written int64
		err = x.DB.Transaction(ctx, func(tx *gorm.DB) error {
			written = 0
			for _, row := range changed {
				done := tx.Exec(update, row.fresh, row.id, row.token)
				if done.Error != nil {
					return done.Error
				}
				written += done.RowsAffected
			}
			return nil
		})
		if err == nil {
			sum.Rewritten, sum.After = sum.Rewritten+written, last
			report(*sum)
			err = database.Pause(ctx, time.Since(start))
		}
		if err != nil {
			return err
		}
	}
}

// rehashEmails hashes with the current key the e-mail addresses that were hashed with an earlier one.
func (x *Texts) rehashEmails(ctx context.Context) error {
	last := ""
	for {
		var list []struct{ ID, Email, EmailHash string }
		err := x.DB.Read.WithContext(ctx).Table("threads").Select("id", "email", "email_hash").
			Where("id > ? AND email <> ''", last).Order("id").Limit(batchRows).Find(&list).Error
		if err != nil || len(list) == 0 {
			return err
		}
		last = list[len(list)-1].ID
		start := time.Now()
		err = x.DB.Transaction(ctx, func(tx *gorm.DB) error {
			for _, row := range list {
				email, readable := x.Cipher.Open(row.Email)
				hash := x.Emails.Hash(strings.ToLower(email))
				if !readable || hash == row.EmailHash {
					continue
				}
				if err := tx.Exec("UPDATE threads SET email_hash = ? WHERE id = ? AND email = ?", hash, row.ID, row.Email).Error; err != nil {
					return err
				}
			}
			return nil
		})
		if err == nil {
			err = database.Pause(ctx, time.Since(start))
		}
		if err != nil {
			return err
		}
	}
}

// rehashShortcuts hashes with the current key the shortcuts that were hashed with an earlier one.
func (x *Texts) rehashShortcuts(ctx context.Context) error {
	return x.DB.Transaction(ctx, func(tx *gorm.DB) error {
		var list []struct {
			ID                     int64
			SealedShortcut, Folded string
		}
		if err := tx.Table("canned_replies").Select("id", "sealed_shortcut", "folded").Find(&list).Error; err != nil {
			return err
		}
		for _, row := range list {
			shortcut, readable := x.Cipher.Open(row.SealedShortcut)
			hash := x.Shortcuts.Hash(names.Fold(shortcut))
			if !readable || hash == row.Folded {
				continue
			}
			err := tx.Exec("UPDATE canned_replies SET folded = ? WHERE id = ? AND sealed_shortcut = ?", hash, row.ID, row.SealedShortcut).Error
			if err != nil {
				return err
			}
		}
		return nil
	})
}
