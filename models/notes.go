package models

import (
	"context"
	"errors"
	"slices"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"sohbet/models/database"
)

// Note is an internal note of the team on a thread. Notes have a table of their own, so that no query that reads messages for a visitor
// can return one.
type Note struct {
	ID          int64
	ThreadID    string
	ClientID    string // chosen by the sender; unique within the thread unless empty
	ContentText string
	Author      string  // the name of the agent when it was written
	AgentID     AgentID // 0 = the team
	AfterID     int64   // the thread's newest message when the note was written; 0 = none
	CreatedAt   time.Time
	UnseenBy    AgentIDs // the agents that it notifies and that have not seen it; at most MaxMentions
}

// MaxAuthor is the maximum length of an author's name in runes, MaxNotes the maximum number of notes returned for a thread.
const (
	MaxAuthor = 100
	MaxNotes  = 500
)

// AddNote stores a note and fills in its ID and AfterID. If the thread already has a note with that client_id, it returns the stored
// note and false.
func (s *Store) AddNote(ctx context.Context, n Note) (Note, bool, error) {
	n, err := s.sealNote(n)
	if err != nil {
		return Note{}, false, err
	}
	var row Note
	added := false
	err = s.transaction(ctx, func(tx *gorm.DB) error {
		threads, err := lockThreads(tx, []string{n.ThreadID})
		if err != nil {
			return err
		}
		if len(threads) == 0 {
			return ErrNotFound
		}
		if n.ClientID != "" {
			err := tx.Where("thread_id = ? AND client_id = ?", n.ThreadID, n.ClientID).Take(&row).Error
			if !errors.Is(err, gorm.ErrRecordNotFound) {
				return err
			}
		}
		row, added = n, true
		return insertNote(tx, &row, threads[0])
	})
	if err != nil {
		return Note{}, false, s.failed("store a note", err)
	}
	return s.decryptNote(row), added, nil
}

// sealNote checks a new note and encrypts its text.
func (s *Store) sealNote(n Note) (Note, error) {
	n.CreatedAt = stamp(n.CreatedAt)
	for _, err := range [...]error{
		checkText("client_id", n.ClientID, MaxClientID), checkText("text", n.ContentText, MaxContentText), checkText("author", n.Author, MaxAuthor),
	} {
		if err != nil {
			return Note{}, err
		}
	}
	var err error
	n.ContentText, err = s.cipher.Seal(n.ContentText)
	return n, err
}

// insertNote stores an encrypted note on a locked thread, and fills in its ID and AfterID.
func insertNote(tx *gorm.DB, n *Note, t Thread) error {
	n.ID, n.AfterID = 0, t.LastMessageID
	if err := tx.Create(n).Error; err != nil {
		return err
	}
	return checkNewID(n.ID)
}

func (s *Store) decryptNote(n Note) Note {
	n.CreatedAt = n.CreatedAt.UTC()
	n.ContentText = s.cipher.Text(n.ContentText, 0)
	return n
}

// Notes returns the newest MaxNotes notes of a thread, oldest first.
func (s *Store) Notes(ctx context.Context, threadID string) ([]Note, error) {
	var list []Note
	err := database.Retry(ctx, func() error {
		return s.db.Read.WithContext(ctx).Where("thread_id = ?", threadID).Order("id DESC").Limit(MaxNotes).Find(&list).Error
	})
	if err != nil {
		return nil, s.failed("read notes", err)
	}
	slices.Reverse(list)
	for i := range list {
		list[i] = s.decryptNote(list[i])
	}
	return list, nil
}

// DeleteNote deletes a note of a thread. It returns ErrNotFound if there is none.
func (s *Store) DeleteNote(ctx context.Context, threadID string, id int64) error {
	var deleted int64
	err := database.Retry(ctx, func() error {
		done := s.db.Write.WithContext(ctx).Where("id = ? AND thread_id = ?", id, threadID).Delete(&Note{})
		deleted = done.RowsAffected
		return done.Error
	})
	if err == nil && deleted == 0 {
		err = ErrNotFound
	}
	return s.failed("delete a note", err)
}

// ExpireNotes deletes a batch of notes stored before a time and returns them with only ID and ThreadID filled in. more reports whether
// there may be others.
func (s *Store) ExpireNotes(ctx context.Context, before time.Time) (gone []Note, more bool, err error) {
	err = s.transaction(ctx, func(tx *gorm.DB) error {
		gone = nil
		old := tx.Session(&gorm.Session{NewDB: true}).Model(&Note{}).Select("id").Where("created_at < ?", stamp(before)).Order("created_at").Limit(expireBatch)
		return tx.Clauses(clause.Returning{Columns: []clause.Column{{Name: "id"}, {Name: "thread_id"}}}).Where("id IN (?)", old).Delete(&gone).Error
	})
	return gone, len(gone) == expireBatch, s.failed("delete old notes", err)
}
