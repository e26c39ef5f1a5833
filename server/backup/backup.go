// Package backup writes the database and the uploaded files to one archive, and restores them.
//
// The archive is a gzipped tar: manifest.json first, then database/ as written by models.Store.Dump, then uploads/. Texts stay
// encrypted; the keys are not included.
package backup

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"time"

	"sohbet/models"
	"sohbet/server/media"
)

const (
	format       = 1
	manifestName = "manifest.json"
	databaseDir  = "database"
	uploadsDir   = "uploads"
)

type manifest struct {
	Sohbet    int       `json:"sohbet_backup"` // format version
	Database  string    `json:"database"`      // sqlite or postgres
	CreatedAt time.Time `json:"created_at"`
}

// Report describes an archive.
type Report struct {
	Files int   // uploaded files
	Bytes int64 // size of the archive
}

// Write writes an archive of the store and the uploads folder (which need not exist); a server may run at the same time. The file gets
// its name only once it is complete, and is readable only by its owner.
func Write(ctx context.Context, file string, store *models.Store, uploads string) (r Report, err error) {
	work, err := os.MkdirTemp(filepath.Dir(file), ".sohbet-backup-")
	if err != nil {
		return r, fmt.Errorf("backup: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	dump := filepath.Join(work, databaseDir)
	if err := os.Mkdir(dump, 0o700); err != nil {
		return r, fmt.Errorf("backup: %w", err)
	}
	// The database comes first: every file it refers to was uploaded before, and so is included.
	if err := store.Dump(ctx, dump); err != nil {
		return r, err
	}
	part := filepath.Join(work, "archive")
	out, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return r, fmt.Errorf("backup: %w", err)
	}
	r.Files, err = pack(ctx, out, manifest{format, store.Dialect(), time.Now().UTC()}, dump, uploads)
	if err == nil {
		err = out.Sync()
	}
	if info, e := out.Stat(); e == nil {
		r.Bytes = info.Size()
	}
	if err = errors.Join(err, out.Close()); err == nil {
		err = os.Rename(part, file)
	}
	if err != nil {
		return r, fmt.Errorf("backup: %w", err)
	}
	return r, nil
}

func pack(ctx context.Context, out io.Writer, m manifest, dump, uploads string) (files int, err error) {
	zip, err := gzip.NewWriterLevel(out, gzip.BestSpeed)
	if err != nil {
		return 0, err
	}
	archive := tar.NewWriter(zip)
	head, err := json.Marshal(m)
	if err != nil {
		return 0, err
	}
	if err := archive.WriteHeader(&tar.Header{Name: manifestName, Mode: 0o600, Size: int64(len(head)), ModTime: m.CreatedAt}); err != nil {
		return 0, err
	}
	if _, err := archive.Write(head); err != nil {
		return 0, err
	}
	if _, err := packFolder(ctx, archive, dump, databaseDir); err != nil {
		return 0, err
	}
	if files, err = packFolder(ctx, archive, uploads, uploadsDir); err != nil {
		return 0, err
	}
	return files, errors.Join(archive.Close(), zip.Close())
}

// packFolder adds the regular files in dir and its subfolders under name, except unfinished uploads. Files that are deleted while it
// runs are skipped.
func packFolder(ctx context.Context, archive *tar.Writer, dir, name string) (files int, err error) {
	err = filepath.WalkDir(dir, func(file string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && entry.IsDir() && entry.Name() == media.Incoming {
			return fs.SkipDir // unfinished uploads
		}
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		f, err := os.Open(file)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		info, err := f.Stat()
		if err != nil {
			return err
		}
		inside, err := filepath.Rel(dir, file)
		if err != nil {
			return err
		}
		files++
		header := &tar.Header{Name: path.Join(name, filepath.ToSlash(inside)), Mode: 0o600, Size: info.Size(), ModTime: info.ModTime()}
		if err := archive.WriteHeader(header); err != nil {
			return err
		}
		_, err = io.CopyN(archive, f, info.Size())
		return err
	})
	return files, err
}
