package models

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"

	"sohbet/models/database"
	"sohbet/models/names"
)

// CannedReply is a prepared text that agents insert into an answer by its shortcut.
type CannedReply struct {
	ID          int64
	Shortcut    string `gorm:"column:sealed_shortcut"`
	Folded      string // keyed hash of the folded shortcut; unique
	ContentText string
	UpdatedAt   time.Time
}

// MaxShortcut is the maximum length of a shortcut in runes, MaxCanned the maximum number of canned replies.
const (
	MaxShortcut = 32
	MaxCanned   = 500
)

// CannedReplies returns all canned replies, ordered by shortcut.
func (s *Store) CannedReplies(ctx context.Context) ([]CannedReply, error) {
	var list []CannedReply
	if err := database.Retry(ctx, func() error { return s.db.Read.WithContext(ctx).Find(&list).Error }); err != nil {
		return nil, s.failed("read canned replies", err)
	}
	for i := range list {
		list[i] = s.decryptCanned(list[i])
	}
	slices.SortFunc(list, func(a, b CannedReply) int {
		return cmp.Or(strings.Compare(names.Fold(a.Shortcut), names.Fold(b.Shortcut)), cmp.Compare(a.ID, b.ID))
	})
	return list, nil
}

func (s *Store) decryptCanned(c CannedReply) CannedReply {
	c.UpdatedAt, c.Shortcut, c.ContentText = c.UpdatedAt.UTC(), s.cipher.Text(c.Shortcut, 0), s.cipher.Text(c.ContentText, 0)
	return c
}

// SaveCanned inserts a reply, or updates the one with c.ID if that is set. It returns ErrExists if another reply has the shortcut,
// ErrNotFound if no reply has that ID, and an *InvalidError if there are MaxCanned already.
func (s *Store) SaveCanned(ctx context.Context, c CannedReply) (CannedReply, error) {
	names := s.shortcuts.All(names.Fold(c.Shortcut))
	c.UpdatedAt, c.Folded = stamp(c.UpdatedAt), names[0]
	for _, err := range [...]error{checkText("shortcut", c.Shortcut, MaxShortcut), checkText("text", c.ContentText, MaxContentText)} {
		if err != nil {
			return CannedReply{}, err
		}
	}
	for _, text := range [...]*string{&c.Shortcut, &c.ContentText} {
		sealed, err := s.cipher.Seal(*text)
		if err != nil {
			return CannedReply{}, err
		}
		*text = sealed
	}
	err := s.transaction(ctx, func(tx *gorm.DB) error {
		if err := s.lockTable(tx, "canned_replies"); err != nil { // otherwise two processes could both find the shortcut free
			return err
		}
		var all []CannedReply
		if err := tx.Select("id", "folded").Find(&all).Error; err != nil {
			return err
		}
		known := false
		for _, other := range all {
			known = known || other.ID == c.ID
			if slices.Contains(names, other.Folded) && other.ID != c.ID {
				return ErrExists
			}
		}
		switch {
		case c.ID == 0 && len(all) >= MaxCanned:
			return &InvalidError{Field: "shortcut", Reason: "there are 500 canned replies already"}
		case c.ID == 0:
			err := tx.Raw(`INSERT INTO canned_replies (shortcut, sealed_shortcut, folded, content_text, updated_at) VALUES ('', ?, ?, ?, ?) RETURNING id`,
				c.Shortcut, c.Folded, c.ContentText, c.UpdatedAt).Scan(&c.ID).Error
			if err != nil {
				return err
			}
			return checkNewID(c.ID)
		case !known:
			return ErrNotFound
		}
		return tx.Select("sealed_shortcut", "folded", "content_text", "updated_at").Where("id = ?", c.ID).Updates(&c).Error
	})
	if err != nil {
		return CannedReply{}, s.failed("store a canned reply", err)
	}
	return s.decryptCanned(c), nil
}

// DeleteCanned deletes a reply. It returns ErrNotFound if there is none.
func (s *Store) DeleteCanned(ctx context.Context, id int64) error {
	var deleted int64
	err := database.Retry(ctx, func() error {
		done := s.db.Write.WithContext(ctx).Where("id = ?", id).Delete(&CannedReply{})
		deleted = done.RowsAffected
		return done.Error
	})
	if err == nil && deleted == 0 {
		err = ErrNotFound
	}
	return s.failed("delete a canned reply", err)
}
