package backup

import (
	"archive/tar"
	"compress/flate"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"sohbet/models"
	"sohbet/models/keycheck"
	"sohbet/server/disk"
)

// ErrNotEmpty means that there is data that a restore would replace.
var ErrNotEmpty = errors.New("the database or the uploads folder is not empty; --force replaces the existing data")

// Options say how to restore.
type Options struct {
	// Force replaces existing data.
	Force bool
	// Unreadable restores texts of which the keys are missing.
	Unreadable bool
}

// Restore restores an archive written by Write, by this or an older version and from either kind of database. The whole archive is
// unpacked and checked before anything is changed; then files are added to the existing ones, whose names differ; last, the database
// changes in one transaction. On failure the existing data is unchanged, and the added files are deleted again.
func Restore(ctx context.Context, file string, store *models.Store, uploads string, o Options) (r Report, err error) {
	if !o.Force {
		if err := mustBeEmpty(ctx, store, uploads); err != nil {
			return r, err
		}
	}
	// The work folder is next to the uploads, normally on the same file system, so that files can be renamed into place.
	w, err := newWork(filepath.Dir(uploads), restoreCommand)
	if err != nil {
		return r, fmt.Errorf("restore: %w", err)
	}
	unknown := false // whether the database was changed
	defer func() {
		if !unknown {
			err = errors.Join(err, w.remove())
		}
	}()
	content := w.path("content")
	if err := os.Mkdir(content, 0o700); err != nil {
		return r, fmt.Errorf("restore: %w", err)
	}
	if r.Bytes, err = unpack(ctx, file, content); err != nil {
		return r, fmt.Errorf("restore: %w", err)
	}
	added, err := w.addFiles(filepath.Join(content, uploadsDir), uploads)
	r.Files = len(added)
	if err == nil {
		err = store.Load(ctx, filepath.Join(content, databaseDir), models.LoadOptions{Force: o.Force, MissingKeys: o.Unreadable, Name: w.name()})
	}
	if err == nil {
		return r, nil
	}
	// A connection may break after the database has committed and before it says so.
	done, failed := store.LastLoad(context.WithoutCancel(ctx))
	switch {
	case failed != nil:
		unknown = true // the next Sweep finds out
		err = errors.Join(err, failed)
	case done != w.name():
		err = errors.Join(err, removeAdded(uploads, added))
	}
	var missing *keycheck.Error
	switch {
	case errors.Is(err, models.ErrNotEmpty):
		return r, ErrNotEmpty
	case errors.As(err, &missing) && missing.Some:
		return r, errPartOfTheKeys
	case errors.As(err, &missing):
		return r, errOtherKey
	}
	return r, fmt.Errorf("restore: %w", err)
}

var (
	errOtherKey = errors.New("SECRET_KEY is not the key of this backup, so none of its texts could be read: set the key of the server that was backed up. " +
		"If the key is lost, --unreadable restores the rest")
	errPartOfTheKeys = errors.New("SECRET_KEY lacks a key of this backup, so a part of its texts could not be read: append that key after a comma. " +
		"If it is lost, --unreadable restores the rest")
)

func mustBeEmpty(ctx context.Context, store *models.Store, uploads string) error {
	empty, err := store.Empty(ctx)
	if err != nil {
		return err
	}
	if !empty {
		return ErrNotEmpty
	}
	err = filepath.WalkDir(uploads, func(_ string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && !entry.IsDir() {
			return ErrNotEmpty
		}
		return err
	})
	return err
}

// unpack reads the archive to its end, which verifies its checksum, and extracts it into an empty folder.
func unpack(ctx context.Context, file, into string) (size int64, err error) {
	f, err := os.Open(file)
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	if info.Size() == 0 {
		return 0, fmt.Errorf("%s is empty: %s", file, useAnother)
	}
	in := &archiveReader{ctx: ctx, file: f}
	reading := manifestName
	zip, err := gzip.NewReader(in)
	if err != nil {
		return 0, in.explain(file, reading, err)
	}
	archive := tar.NewReader(zip)
	var m manifest
	for first := true; ; first = false {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		header, err := archive.Next()
		if errors.Is(err, io.EOF) && !first {
			left, err := io.Copy(io.Discard, io.LimitReader(zip, maxTail+1)) // reads to the checksum
			if err != nil {
				return 0, in.explain(file, "its end", err)
			}
			if left > maxTail {
				return 0, fmt.Errorf("%s holds more after its end: it is damaged, or not a Sohbet backup", file)
			}
			return info.Size(), m.holds(filepath.Join(into, databaseDir))
		}
		if err != nil {
			if first && errors.Is(err, tar.ErrHeader) {
				return 0, errNoBackup
			}
			return 0, in.explain(file, "what follows "+reading, err)
		}
		if first {
			if m, err = readManifest(header, archive); err != nil {
				return 0, err
			}
			continue
		}
		reading = header.Name
		content := &contentReader{Reader: archive}
		if err := unpackFile(header, content, into); content.err != nil {
			return 0, in.explain(file, reading, content.err)
		} else if err != nil {
			return 0, fmt.Errorf("%q: %w", header.Name, err)
		}
	}
}

var errNoBackup = errors.New("this is not a Sohbet backup")

func readManifest(header *tar.Header, content io.Reader) (m manifest, err error) {
	if header.Name != manifestName || json.NewDecoder(io.LimitReader(content, 1<<16)).Decode(&m) != nil || m.Sohbet < 1 {
		return m, errNoBackup
	}
	if m.Sohbet > format {
		return m, errors.New("this backup was made by a newer Sohbet: restore it with that version")
	}
	return m, nil
}

// holds checks that the unpacked database is of the kind that the manifest names.
func (m manifest) holds(dir string) error {
	kinds := map[string]string{"chat.db": "sqlite", "tables.json": "postgres"}
	for name, kind := range kinds {
		if _, err := os.Stat(filepath.Join(dir, name)); (err == nil) != (m.Database == kind) {
			return errNoBackup
		}
	}
	return nil
}

const useAnother = "copy it again, or use another backup"

// archiveReader reads the archive until ctx ends, and counts.
type archiveReader struct {
	ctx  context.Context
	file io.Reader
	at   int64
}

func (r *archiveReader) Read(b []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := r.file.Read(b)
	r.at += int64(n)
	return n, err
}

// explain says what is wrong with an archive that cannot be read on.
func (r *archiveReader) explain(file, reading string, err error) error {
	var corrupt flate.CorruptInputError
	switch {
	case r.ctx.Err() != nil:
		return r.ctx.Err()
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%s is cut off: it ends at byte %d, inside %s; %s", file, r.at, reading, useAnother)
	case errors.Is(err, gzip.ErrChecksum):
		return fmt.Errorf("%s is damaged: its checksum is wrong, so bytes of it have changed since it was written; %s", file, useAnother)
	case errors.Is(err, gzip.ErrHeader) && r.at <= maxTail && reading == manifestName:
		return fmt.Errorf("%s is another kind of file: %w", file, errNoBackup)
	case errors.As(err, &corrupt):
		return fmt.Errorf("%s is damaged near byte %d, inside %s; %s", file, int64(corrupt), reading, useAnother)
	case errors.Is(err, tar.ErrHeader), errors.Is(err, gzip.ErrHeader):
		return fmt.Errorf("%s is damaged near byte %d, inside %s; %s", file, r.at, reading, useAnother)
	}
	return fmt.Errorf("%s cannot be read at byte %d: %w", file, r.at, err)
}

// contentReader keeps the error of reading apart from those of writing what was read.
type contentReader struct {
	io.Reader
	err error
}

func (r *contentReader) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = err
	}
	return n, err
}

// maxTail is how many bytes may follow the end of the tar: padding to a whole tar record.
const maxTail = 64 << 10

// placed matches every path in an archive except the manifest: a database table, or an upload in its folder. No path element starts
// with a dot or has a special meaning to a file system.
var placed = regexp.MustCompile(`^(database/(chat\.db|tables\.json|[a-z_]+)|uploads/[a-z0-9]+/[A-Za-z0-9_-][A-Za-z0-9._-]*)$`)

func unpackFile(header *tar.Header, content io.Reader, into string) error {
	sparse := slices.ContainsFunc(slices.Collect(maps.Keys(header.PAXRecords)), func(key string) bool { return strings.HasPrefix(key, "GNU.sparse.") })
	if header.Typeflag != tar.TypeReg || sparse || !placed.MatchString(header.Name) {
		return errors.New("does not belong in a backup")
	}
	path := filepath.Join(into, filepath.FromSlash(header.Name))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	free, _, err := disk.Usage(into)
	if err != nil {
		return err
	}
	if header.Size < 0 || uint64(header.Size) > free {
		return fmt.Errorf("has %d bytes, and the disk has no room for them: %d are free", header.Size, free)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return errors.New("is there twice: this is not a Sohbet backup")
	}
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	return errors.Join(err, f.Sync(), f.Close(), os.Chtimes(path, header.ModTime, header.ModTime))
}

// addFiles moves files into the uploads folder, except those that exist there, and returns the new ones. It stores their names first.
func (w *work) addFiles(from, into string) (added []string, err error) {
	err = eachFile(context.Background(), from, func(_, name string) error {
		if _, err := os.Lstat(filepath.Join(into, filepath.FromSlash(name))); err != nil {
			added = append(added, name)
		}
		return nil
	})
	if err == nil {
		err = w.write(addedName, added)
	}
	if err != nil {
		return nil, err
	}
	folders := make(map[string]bool)
	for _, name := range added {
		target := filepath.Join(into, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
			return added, err
		}
		if err := os.Rename(filepath.Join(from, filepath.FromSlash(name)), target); err != nil {
			return added, err
		}
		folders[filepath.Dir(target)] = true
	}
	for dir := range folders {
		err = errors.Join(err, syncFolder(dir))
	}
	return added, err
}
