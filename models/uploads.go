package models

import (
	"context"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// Column widths of uploads, in characters.
const (
	MaxFileName = 255
	MaxFileType = 100
)

// Upload is the record of one stored file. A message names it by URL.
type Upload struct {
	ID            int64
	URL           string // where browsers load it; unique
	Kind          string // image, audio, file
	Type          string // media type
	Name          string // as its sender called it: shown, never used as a path
	Size          int64  // bytes
	Width, Height int    // pixels of an image, 0 for others
	ThumbURL      string // "" = none
	Place         string // which store has it
	Path          string // how that store calls it
	CreatedAt     time.Time
	UsedAt        time.Time  // when it came, or when a message was last going to name it
	DeletedAt     *time.Time // set: to be taken away, nobody is to see it any more
	ThreadID      string     // the thread whose message named it first; "" = none has
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

// AddUpload records a stored file and returns the row. ErrExists if the URL is taken.
func (s *Store) AddUpload(ctx context.Context, u Upload) (Upload, error) {
	if err := u.check(); err != nil {
		return Upload{}, err
	}
	u.ID, u.DeletedAt = 0, nil
	u.CreatedAt = stamp(u.CreatedAt)
	u.UsedAt = u.CreatedAt
	added := s.write.WithContext(ctx).Clauses(clause.OnConflict{Columns: []clause.Column{{Name: "url"}}, DoNothing: true}).Create(&u)
	if added.Error != nil {
		return Upload{}, s.failed("record an upload", added.Error)
	}
	if added.RowsAffected == 0 {
		return Upload{}, ErrExists
	}
	return u, nil
}

// Uploads returns what is recorded of files by their URLs. Those that are to be taken away are left out.
func (s *Store) Uploads(ctx context.Context, urls []string) ([]Upload, error) {
	if len(urls) == 0 {
		return nil, nil
	}
	var list []Upload
	err := again(ctx, func() error {
		return s.read.WithContext(ctx).Where("url IN ? AND deleted_at IS NULL", urls).Find(&list).Error
	})
	return list, s.failed("read uploads", err)
}

// RenameUpload replaces what is recorded of the file with u's ID. ErrNotFound if there is no such file, or not any more.
func (s *Store) RenameUpload(ctx context.Context, u Upload) (Upload, error) {
	if err := u.check(); err != nil {
		return Upload{}, err
	}
	var changed int64
	err := again(ctx, func() error {
		done := s.write.WithContext(ctx).Select("url", "type", "name", "size", "width", "height", "thumb_url").
			Where("id = ? AND deleted_at IS NULL", u.ID).Updates(&u)
		changed = done.RowsAffected
		return done.Error
	})
	if err == nil && changed == 0 {
		err = ErrNotFound
	}
	return u, s.failed("rename an upload", err)
}

// RecordedUploads returns those of the URLs that there is a record of, be the file to stay or to go.
func (s *Store) RecordedUploads(ctx context.Context, urls []string) ([]string, error) {
	if len(urls) == 0 {
		return nil, nil
	}
	var known []string
	err := again(ctx, func() error {
		return s.read.WithContext(ctx).Model(&Upload{}).Where("url IN ?", urls).Pluck("url", &known).Error
	})
	return known, s.failed("read uploads", err)
}

// ClaimUpload says that a message of a thread is going to name a file, and returns its record: the file stays at least as long as
// a new one, and is that thread's if it was no other's. ErrNotFound if there is no such file, or not any more, or, unless shared,
// if another thread has it.
func (s *Store) ClaimUpload(ctx context.Context, url, threadID string, shared bool, at time.Time) (Upload, error) {
	var list []Upload
	err := again(ctx, func() error {
		db := s.write.WithContext(ctx).Model(&list).Clauses(clause.Returning{}).Where("url = ? AND deleted_at IS NULL", url)
		if !shared { // messages of before files had threads are asked too
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

// unnamed is the condition that no message names a file; its last part is that of idx_messages_file_url.
const unnamed = "NOT EXISTS (SELECT 1 FROM messages WHERE messages.file_url = uploads.url AND messages.file_url <> '')"

const unnamedBatch = 500

// CondemnUploads marks those of the files that no message names as to be taken away, and returns them.
func (s *Store) CondemnUploads(ctx context.Context, urls []string, at time.Time) ([]Upload, error) {
	if len(urls) == 0 {
		return nil, nil
	}
	return s.condemn(ctx, at, func(db *gorm.DB) *gorm.DB { return db.Where("url IN ?", urls) })
}

// CondemnUnnamed marks a batch of files that nobody had a use for since a time and that no message names, and returns
// them. more says that there may be others.
func (s *Store) CondemnUnnamed(ctx context.Context, since, at time.Time) (gone []Upload, more bool, err error) {
	var ids []int64
	err = again(ctx, func() error { return s.unnamedQuery(ctx, since).Pluck("id", &ids).Error })
	if err != nil || len(ids) == 0 {
		return nil, false, s.failed("find unnamed uploads", err)
	}
	// A message may have come for one of them meanwhile, so everything is asked once more.
	gone, err = s.condemn(ctx, at, func(db *gorm.DB) *gorm.DB {
		return db.Where("id IN ? AND used_at < ?", ids, stamp(since))
	})
	return gone, len(ids) == unnamedBatch && len(gone) > 0, err
}

func (s *Store) unnamedQuery(ctx context.Context, since time.Time) *gorm.DB {
	return s.read.WithContext(ctx).Model(&Upload{}).Where("deleted_at IS NULL AND used_at < ?", stamp(since)).
		Where(unnamed).Order("id").Limit(unnamedBatch)
}

func (s *Store) condemn(ctx context.Context, at time.Time, which func(*gorm.DB) *gorm.DB) ([]Upload, error) {
	var gone []Upload
	err := again(ctx, func() error {
		gone = nil
		db := which(s.write.WithContext(ctx).Model(&gone).Clauses(clause.Returning{}))
		return db.Where("deleted_at IS NULL").Where(unnamed).Update("deleted_at", stamp(at)).Error
	})
	return gone, s.failed("condemn uploads", err)
}

// Condemned returns files that are still to be taken away, those that wait longest first.
func (s *Store) Condemned(ctx context.Context, limit int) ([]Upload, error) {
	var list []Upload
	err := again(ctx, func() error {
		return s.read.WithContext(ctx).Where("deleted_at IS NOT NULL").Order("deleted_at, id").Limit(limit).Find(&list).Error
	})
	return list, s.failed("read condemned uploads", err)
}

// PostponeUpload puts a file that could not be taken away behind the others that wait.
func (s *Store) PostponeUpload(ctx context.Context, id int64, at time.Time) error {
	err := again(ctx, func() error {
		return s.write.WithContext(ctx).Model(&Upload{}).Where("id = ? AND deleted_at IS NOT NULL", id).Update("deleted_at", stamp(at)).Error
	})
	return s.failed("postpone an upload", err)
}

// DropUploads deletes the records of files that are gone.
func (s *Store) DropUploads(ctx context.Context, ids []int64) error {
	if len(ids) == 0 {
		return nil
	}
	err := again(ctx, func() error { return s.write.WithContext(ctx).Where("id IN ?", ids).Delete(&Upload{}).Error })
	return s.failed("drop uploads", err)
}
