package models

import (
	"context"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"sohbet/models/database"
)

// Column widths of uploads, in characters.
const (
	MaxFileName = 255
	MaxFileType = 100
)

// Upload is the record of one stored file. Messages refer to it by URL.
type Upload struct {
	ID            int64
	URL           string // where browsers load the file; unique
	Kind          string // image, audio, file
	Type          string // media type
	Name          string // name given by the sender: for display, never used as a path
	Size          int64  // bytes
	Width, Height int    // pixels of an image, 0 for others
	ThumbURL      string // "" = none
	Place         string // the file store that has it
	Path          string // path or id in that store
	CreatedAt     time.Time
	UsedAt        time.Time  // when it was uploaded, or last claimed for a message
	DeletedAt     *time.Time // set: the file is to be deleted and must no longer be served
	ThreadID      string     // the thread whose message referred to it first; "" = none yet
}

func (u *Upload) check() error {
	if u.URL == "" {
		return &InvalidError{Field: "url", Reason: "missing"}
	}
	for _, err := range [...]error{
		checkText("url", u.URL, MaxFileURL),
		checkText("kind", u.Kind, MaxKind),
		checkText("type", u.Type, MaxFileType),
		checkText("name", u.Name, MaxFileName),
		checkText("thumb_url", u.ThumbURL, MaxFileURL),
		checkText("place", u.Place, MaxKind),
		checkText("path", u.Path, MaxFileURL),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

// AddUpload records a stored file and returns the row. It returns ErrExists if the URL is taken.
func (s *Store) AddUpload(ctx context.Context, u Upload) (Upload, error) {
	if err := u.check(); err != nil {
		return Upload{}, err
	}
	u.ID, u.DeletedAt = 0, nil
	u.CreatedAt = stamp(u.CreatedAt)
	u.UsedAt = u.CreatedAt
	added := s.db.Write.WithContext(ctx).Clauses(clause.OnConflict{Columns: []clause.Column{{Name: "url"}}, DoNothing: true}).Create(&u)
	if added.Error != nil {
		return Upload{}, s.failed("record an upload", added.Error)
	}
	if added.RowsAffected == 0 {
		return Upload{}, ErrExists
	}
	return u, nil
}

// reachable matches uploads, except those to which only deleted messages refer.
const reachable = "(" + unreferenced + " OR EXISTS (SELECT 1 FROM messages WHERE messages.file_url = uploads.url AND messages.file_url <> '' AND " + visible + "))"

// Uploads returns the records of files by their URLs. Files to be deleted, and those of deleted messages, are left out.
func (s *Store) Uploads(ctx context.Context, urls []string) ([]Upload, error) {
	if len(urls) == 0 {
		return nil, nil
	}
	var list []Upload
	err := database.Retry(ctx, func() error {
		return s.db.Read.WithContext(ctx).Where("url IN ? AND deleted_at IS NULL", urls).Where(reachable).Find(&list).Error
	})
	return list, s.failed("read uploads", err)
}

// RenameUpload replaces the record with u's ID. It returns ErrNotFound if there is no such file or it is to be deleted.
func (s *Store) RenameUpload(ctx context.Context, u Upload) (Upload, error) {
	if err := u.check(); err != nil {
		return Upload{}, err
	}
	var changed int64
	err := database.Retry(ctx, func() error {
		done := s.db.Write.WithContext(ctx).Select("url", "type", "name", "size", "width", "height", "thumb_url").
			Where("id = ? AND deleted_at IS NULL", u.ID).Updates(&u)
		changed = done.RowsAffected
		return done.Error
	})
	if err == nil && changed == 0 {
		err = ErrNotFound
	}
	return u, s.failed("rename an upload", err)
}

// RecordedUploads returns those of the URLs that have a record, including files to be deleted.
func (s *Store) RecordedUploads(ctx context.Context, urls []string) ([]string, error) {
	if len(urls) == 0 {
		return nil, nil
	}
	var known []string
	err := database.Retry(ctx, func() error {
		return s.db.Read.WithContext(ctx).Model(&Upload{}).Where("url IN ?", urls).Pluck("url", &known).Error
	})
	return known, s.failed("read uploads", err)
}

// ClaimUpload records that a message of a thread is about to refer to a file, and returns its record: the file is kept at least as long
// as a new one, and is assigned to that thread if it had none. It returns ErrNotFound if there is no such file, if it is to be deleted
// or, unless shared, if it belongs to another thread.
func (s *Store) ClaimUpload(ctx context.Context, url, threadID string, shared bool, at time.Time) (Upload, error) {
	var list []Upload
	err := database.Retry(ctx, func() error {
		db := s.db.Write.WithContext(ctx).Model(&list).Clauses(clause.Returning{}).Where("url = ? AND deleted_at IS NULL", url)
		if !shared { // also check messages, for files uploaded before they were assigned to threads
			db = db.Where("thread_id = ? OR thread_id = '' AND NOT EXISTS (SELECT 1 FROM messages "+
				"WHERE messages.file_url = uploads.url AND messages.file_url <> '' AND messages.thread_id <> ?)", threadID, threadID)
		}
		return db.Updates(map[string]any{"used_at": stamp(at), "thread_id": gorm.Expr("CASE thread_id WHEN '' THEN ? ELSE thread_id END", threadID)}).Error
	})
	if err != nil {
		return Upload{}, s.failed("claim an upload", err)
	}
	if len(list) == 0 {
		return Upload{}, ErrNotFound
	}
	return list[0], nil
}

// unreferenced matches uploads that no message refers to; its last part is the condition of the partial index idx_messages_file_url.
const (
	unreferenced = "NOT " + referenced
	referenced   = "EXISTS (SELECT 1 FROM messages WHERE messages.file_url = uploads.url AND messages.file_url <> '')"
)

const unusedBatch = 500

// MarkUnusedUploads marks for deletion those of the files that no message refers to, and returns them.
func (s *Store) MarkUnusedUploads(ctx context.Context, urls []string, at time.Time) ([]Upload, error) {
	if len(urls) == 0 {
		return nil, nil
	}
	return s.markUnused(ctx, at, func(db *gorm.DB) *gorm.DB { return db.Where("url IN ?", urls) })
}

// MarkOldUnusedUploads marks for deletion a batch of files that were last used before a time and that no message refers to, and returns
// them. more reports whether there may be others.
func (s *Store) MarkOldUnusedUploads(ctx context.Context, since, at time.Time) (gone []Upload, more bool, err error) {
	var ids []int64
	err = database.Retry(ctx, func() error { return s.unusedQuery(ctx, since).Pluck("id", &ids).Error })
	if err != nil || len(ids) == 0 {
		return nil, false, s.failed("find unreferenced uploads", err)
	}
	// All conditions are checked again, because a message may have claimed one of them meanwhile.
	gone, err = s.markUnused(ctx, at, func(db *gorm.DB) *gorm.DB {
		return db.Where("id IN ? AND used_at < ?", ids, stamp(since))
	})
	return gone, len(ids) == unusedBatch && len(gone) > 0, err
}

func (s *Store) unusedQuery(ctx context.Context, since time.Time) *gorm.DB {
	return s.db.Read.WithContext(ctx).Model(&Upload{}).Where("deleted_at IS NULL AND used_at < ?", stamp(since)).
		Where(unreferenced).Order("id").Limit(unusedBatch)
}

func (s *Store) markUnused(ctx context.Context, at time.Time, which func(*gorm.DB) *gorm.DB) ([]Upload, error) {
	var gone []Upload
	err := database.Retry(ctx, func() error {
		gone = nil
		db := which(s.db.Write.WithContext(ctx).Model(&gone).Clauses(clause.Returning{}))
		return db.Where("deleted_at IS NULL").Where(unreferenced).Update("deleted_at", stamp(at)).Error
	})
	return gone, s.failed("mark unused uploads", err)
}

// UploadsToDelete returns files that are still to be deleted, those marked first at the front.
func (s *Store) UploadsToDelete(ctx context.Context, limit int) ([]Upload, error) {
	var list []Upload
	err := database.Retry(ctx, func() error {
		return s.db.Read.WithContext(ctx).Where("deleted_at IS NOT NULL").Order("deleted_at, id").Limit(limit).Find(&list).Error
	})
	return list, s.failed("read uploads to delete", err)
}

// PostponeUpload moves a file whose deletion failed behind the others.
func (s *Store) PostponeUpload(ctx context.Context, id int64, at time.Time) error {
	err := database.Retry(ctx, func() error {
		return s.db.Write.WithContext(ctx).Model(&Upload{}).Where("id = ? AND deleted_at IS NOT NULL", id).Update("deleted_at", stamp(at)).Error
	})
	return s.failed("postpone an upload", err)
}

// DropUploads deletes the records of deleted files.
func (s *Store) DropUploads(ctx context.Context, ids []int64) error {
	if len(ids) == 0 {
		return nil
	}
	err := database.Retry(ctx, func() error { return s.db.Write.WithContext(ctx).Where("id IN ?", ids).Delete(&Upload{}).Error })
	return s.failed("drop uploads", err)
}
