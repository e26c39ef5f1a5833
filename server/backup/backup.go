// Package backup writes the database and the uploaded files to one archive, and restores them.
//
// The archive is a gzipped tar: manifest.json first, then database/ as written by models.Store.Dump, then uploads/. Texts stay
// encrypted; the keys are not included. A killed command leaves either the old state or the new one, and Sweep removes its other files.
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
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sohbet/models"
	"sohbet/server/disk"
	"sohbet/server/media"
)

const (
	format       = 1
	manifestName = "manifest.json"
	databaseDir  = "database"
	uploadsDir   = "uploads"
	uploadsURL   = "/uploads/" // prefix of the URLs of files in the uploads folder

	backupCommand, restoreCommand = "backup", "restore"
)

type manifest struct {
	Sohbet    int       `json:"sohbet_backup"` // format version
	Database  string    `json:"database"`      // sqlite or postgres
	CreatedAt time.Time `json:"created_at"`
}

// Report describes an archive.
type Report struct {
	Files   int   // uploaded files
	Missing int   // files that the database refers to, and that the uploads folder did not have
	Bytes   int64 // size of the archive
}

// afterSnapshot is called between the snapshot of the database and the packing of files; tests replace it.
var afterSnapshot = func() {}

// Write writes an archive of the store and the uploads folder (which need not exist); a server may run at the same time. The file gets
// its name only once it is complete, and is readable only by its owner.
func Write(ctx context.Context, file string, store *models.Store, uploads string) (r Report, err error) {
	w, err := newWork(filepath.Dir(uploads), backupCommand)
	if err != nil {
		return r, fmt.Errorf("backup: %w", err)
	}
	defer func() { err = errors.Join(err, w.remove()) }()
	folder, err := w.makeFolder(file)
	if err != nil {
		return r, fmt.Errorf("backup: %w", err)
	}
	dump := filepath.Join(folder, databaseDir)
	if err := os.Mkdir(dump, 0o700); err != nil {
		return r, fmt.Errorf("backup: %w", err)
	}
	// A file may be deleted between the snapshot of the database and its turn, so each gets a second name first. Files that are
	// uploaded later than that are still there when it is their turn.
	kept := w.path(uploadsDir)
	if err := linkFiles(ctx, uploads, kept); err != nil {
		return r, fmt.Errorf("backup: %w", err)
	}
	named := make(map[string]bool) // the files that the snapshot refers to, by path in the uploads folder
	err = store.Dump(ctx, dump, func(url string) {
		if name, ours := strings.CutPrefix(url, uploadsURL); ours && placed.MatchString(path.Join(uploadsDir, name)) {
			named[name] = true
		}
	})
	if err != nil {
		return r, err
	}
	afterSnapshot()
	part := filepath.Join(folder, "archive")
	out, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return r, fmt.Errorf("backup: %w", err)
	}
	p := &packer{dump: dump, uploads: uploads, kept: kept, named: named}
	err = p.pack(ctx, &disk.Gradual{File: out}, manifest{format, store.Dialect(), time.Now().UTC()})
	r.Files, r.Missing = p.files, p.missing
	if err == nil {
		err = out.Sync()
	}
	if info, e := out.Stat(); e == nil {
		r.Bytes = info.Size()
	}
	if err = errors.Join(err, out.Close()); err == nil {
		err = os.Rename(part, file)
	}
	if err == nil {
		err = syncFolder(filepath.Dir(file))
	}
	if err != nil {
		return r, fmt.Errorf("backup: %w", err)
	}
	return r, nil
}

// linkFiles gives every file of a folder a second name in another one. On a file system without hard links it does nothing.
func linkFiles(ctx context.Context, from, to string) error {
	return eachFile(ctx, from, func(file, name string) error {
		link := filepath.Join(to, filepath.FromSlash(name))
		err := os.Link(file, link)
		if errors.Is(err, fs.ErrNotExist) { // the first in its folder, or just deleted
			if err := os.MkdirAll(filepath.Dir(link), 0o700); err != nil {
				return err
			}
			err = os.Link(file, link)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fs.SkipAll
		}
		return nil
	})
}

// eachFile calls f for the regular files in a folder and its subfolders, except unfinished uploads, with their names relative to it.
func eachFile(ctx context.Context, dir string, f func(file, name string) error) error {
	return filepath.WalkDir(dir, func(file string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && entry.IsDir() && entry.Name() == media.Incoming {
			return fs.SkipDir
		}
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		name, err := filepath.Rel(dir, file)
		if err != nil {
			return err
		}
		return f(file, filepath.ToSlash(name))
	})
}

// packer writes an archive.
type packer struct {
	dump, uploads, kept string          // folders
	named               map[string]bool // files that the dump refers to; those packed are removed

	archive        *tar.Writer
	files, missing int
}

func (p *packer) pack(ctx context.Context, out io.Writer, m manifest) error {
	zip, err := gzip.NewWriterLevel(out, gzip.BestSpeed)
	if err != nil {
		return err
	}
	p.archive = tar.NewWriter(zip)
	head, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if err := p.archive.WriteHeader(&tar.Header{Name: manifestName, Mode: 0o600, Size: int64(len(head)), ModTime: m.CreatedAt}); err != nil {
		return err
	}
	if _, err := p.archive.Write(head); err != nil {
		return err
	}
	err = eachFile(ctx, p.dump, func(file, name string) error {
		_, err := p.add(file, path.Join(databaseDir, name))
		return err
	})
	if err != nil {
		return err
	}
	if err := p.packUploads(ctx); err != nil {
		return err
	}
	return errors.Join(p.archive.Close(), zip.Close())
}

func (p *packer) packUploads(ctx context.Context) error {
	upload := func(file, name string) error {
		added, err := p.add(file, path.Join(uploadsDir, name))
		if added {
			p.files++
			delete(p.named, name)
		}
		return err
	}
	if err := eachFile(ctx, p.uploads, upload); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(p.named)) { // deleted since the snapshot
		if err := upload(filepath.Join(p.kept, filepath.FromSlash(name)), name); err != nil {
			return err
		}
	}
	p.missing = len(p.named)
	return nil
}

// add adds a file; added is false if it was deleted.
func (p *packer) add(file, name string) (added bool, err error) {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return false, err
	}
	header := &tar.Header{Name: name, Mode: 0o600, Size: info.Size(), ModTime: info.ModTime()}
	if err := p.archive.WriteHeader(header); err != nil {
		return false, err
	}
	_, err = io.CopyN(p.archive, f, info.Size())
	return err == nil, err
}
