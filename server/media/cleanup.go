package media

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"path"
	"slices"
	"strings"
	"time"

	"sohbet/models"
)

const (
	unnamedFor  = time.Hour        // how long a file is kept without a message that refers to it
	sweepEvery  = 10 * time.Minute // so a file is deleted at most 70 minutes after its upload
	removeBatch = 100
	listBatch   = 500
)

// Remove marks the files of deleted messages for deletion, except those that other messages refer to; Run deletes them. External URLs
// are ignored.
func (s *Service) Remove(urls []string) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for len(urls) > 0 {
		n := min(len(urls), listBatch)
		if _, err := s.store.MarkUnusedUploads(ctx, urls[:n], s.now()); err != nil {
			s.log.Error("uploads: failed to mark files of deleted messages; retrying in the next sweep", slog.Any("error", err))
			return
		}
		urls = urls[n:]
	}
	s.wake.Set()
}

// Run deletes unused files until ctx ends.
func (s *Service) Run(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	s.Sweep(ctx)
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
			s.deletePending(ctx)
		case <-tick.C:
			s.Sweep(ctx)
		}
	}
}

// Sweep deletes the files that no message referred to within an hour, remains of aborted uploads, and files without a record.
func (s *Service) Sweep(ctx context.Context) {
	since := s.now().Add(-unnamedFor)
	for more := true; more && ctx.Err() == nil; {
		var err error
		if _, more, err = s.store.MarkOldUnusedUploads(ctx, since, s.now()); err != nil {
			s.logFailure(ctx, "find unused files", err)
			return
		}
	}
	s.deletePending(ctx)
	for _, folder := range []string{Incoming, folders[Image], folders[Audio], folders[Any], thumbFolder} { // pictures before their thumbnails
		if err := s.sweepFolder(ctx, folder, since); err != nil {
			s.logFailure(ctx, "look for files without a record", err)
		}
	}
}

func (s *Service) logFailure(ctx context.Context, doing string, err error) {
	if ctx.Err() == nil {
		s.log.Error("uploads: failed to "+doing, slog.Any("error", err))
	}
}

// deletePending deletes the files marked for deletion. Those that cannot be deleted stay marked.
func (s *Service) deletePending(ctx context.Context) {
	tried := make(map[int64]bool) // not by time: the clock may have been set back since a file was marked
	for ctx.Err() == nil {
		list, err := s.store.UploadsToDelete(ctx, removeBatch)
		if err != nil {
			s.logFailure(ctx, "list files to delete", err)
			return
		}
		var gone []int64
		for _, u := range list {
			if tried[u.ID] {
				continue
			}
			tried[u.ID] = true
			if err := s.removeStored(ctx, u); err != nil {
				s.logFailure(ctx, "delete a file", err)
				if err := s.store.PostponeUpload(ctx, u.ID, s.now().Add(time.Second)); err != nil {
					s.logFailure(ctx, "postpone a file", err)
					return
				}
				continue
			}
			gone = append(gone, u.ID)
		}
		if err := s.store.DropUploads(ctx, gone); err != nil {
			s.logFailure(ctx, "delete the records of deleted files", err)
			return
		}
		if len(gone) == 0 {
			return
		}
	}
}

func (s *Service) removeStored(ctx context.Context, u models.Upload) error {
	switch {
	case u.Place != placeCloud:
		return s.local.removeUpload(u)
	case s.cloud == nil:
		return errors.New("a file is at Cloudinary, which is no longer configured")
	}
	return s.cloud.destroy(ctx, u)
}

// sweepFolder deletes old files without a record, which are left by a crash between storing the file and its record.
func (s *Service) sweepFolder(ctx context.Context, folder string, before time.Time) error {
	d, err := s.local.root.Open(folder)
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	for ctx.Err() == nil {
		entries, err := d.ReadDir(listBatch)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var old []string
		for _, e := range entries {
			if info, err := e.Info(); err == nil && e.Type().IsRegular() && info.ModTime().Before(before) {
				old = append(old, path.Join(folder, e.Name()))
			}
		}
		switch folder {
		case Incoming:
		case thumbFolder:
			old = slices.DeleteFunc(old, s.local.hasPicture)
		default:
			if old, err = s.withoutRecord(ctx, old); err != nil {
				return err
			}
		}
		for _, name := range old {
			if err := s.local.remove(name); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

// hasPicture reports whether the picture of a thumbnail exists.
func (l *local) hasPicture(thumb string) bool {
	stem := strings.TrimSuffix(path.Base(thumb), path.Ext(thumb))
	for _, ext := range []string{".jpg", ".png", ".gif", ".webp"} {
		if _, err := l.root.Stat(path.Join(folders[Image], stem+ext)); err == nil {
			return true
		}
	}
	return false
}

func (s *Service) withoutRecord(ctx context.Context, names []string) ([]string, error) {
	urls := make([]string, len(names))
	for i, name := range names {
		urls[i] = urlPrefix + name
	}
	list, err := s.store.RecordedUploads(ctx, urls)
	if err != nil {
		return nil, err
	}
	known := make(map[string]bool, len(list))
	for _, url := range list {
		known[url] = true
	}
	var none []string
	for i, name := range names {
		if !known[urls[i]] {
			none = append(none, name)
		}
	}
	return none, nil
}
