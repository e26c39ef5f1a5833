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
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"sohbet/models"
	"sohbet/server/disk"
)

// ErrNotEmpty means that there is data that a restore would replace.
var ErrNotEmpty = errors.New("the database or the uploads folder is not empty; --force replaces the existing data")

// Restore restores an archive written by Write. The whole archive is unpacked and checked before anything is changed; then files are
// added to the existing ones, whose names differ; last, the database changes in one transaction. On failure the existing data is
// unchanged, and the added files are deleted again.
func Restore(ctx context.Context, file string, store *models.Store, uploads string, force bool) (r Report, err error) {
	if !force {
		if err := mustBeEmpty(ctx, store, uploads); err != nil {
			return r, err
		}
	}
	// The work folder is next to the uploads, normally on the same file system, so that files can be renamed into place.
	if err := os.MkdirAll(filepath.Dir(uploads), 0o700); err != nil {
		return r, fmt.Errorf("restore: %w", err)
	}
	work, err := os.MkdirTemp(filepath.Dir(uploads), ".sohbet-restore-")
	if err != nil {
		return r, fmt.Errorf("restore: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	if r.Bytes, err = unpack(ctx, file, work, store.Dialect()); err != nil {
		return r, fmt.Errorf("restore: %w", err)
	}
	added, err := addFiles(filepath.Join(work, uploadsDir), uploads)
	r.Files = len(added)
	if err == nil {
		err = store.Load(ctx, filepath.Join(work, databaseDir), force)
	}
	if err == nil {
		return r, nil
	}
	for _, f := range added {
		err = errors.Join(err, os.Remove(f))
	}
	if errors.Is(err, models.ErrNotEmpty) {
		return r, ErrNotEmpty
	}
	return r, fmt.Errorf("restore: %w", err)
}

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
func unpack(ctx context.Context, file, into, dialect string) (size int64, err error) {
	f, err := os.Open(file)
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	zip, err := gzip.NewReader(f)
	if err != nil {
		return 0, fmt.Errorf("%s is not a Sohbet backup: %w", file, err)
	}
	archive := tar.NewReader(cancelled{ctx, zip})
	for first := true; ; first = false {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		header, err := archive.Next()
		if errors.Is(err, io.EOF) && !first {
			left, err := io.Copy(io.Discard, io.LimitReader(zip, maxTail+1)) // reads to the checksum
			if err != nil {
				return 0, fmt.Errorf("%s is damaged: %w", file, err)
			}
			if left > maxTail {
				return 0, fmt.Errorf("%s holds more after its end: this is not a Sohbet backup", file)
			}
			return info.Size(), nil
		}
		if err != nil {
			return 0, fmt.Errorf("%s is damaged or cut off: %w", file, err)
		}
		if first {
			if err := checkManifest(header, archive, dialect); err != nil {
				return 0, err
			}
			continue
		}
		if err := unpackFile(header, archive, into); err != nil {
			return 0, fmt.Errorf("%q: %w", header.Name, err)
		}
	}
}

func checkManifest(header *tar.Header, content io.Reader, dialect string) error {
	var m manifest
	if header.Name != manifestName || json.NewDecoder(io.LimitReader(content, 1<<16)).Decode(&m) != nil || m.Sohbet < 1 {
		return errors.New("this is not a Sohbet backup")
	}
	if m.Sohbet > format {
		return errors.New("this backup was made by a newer Sohbet: restore it with that version")
	}
	if m.Database != dialect {
		return fmt.Errorf("this is a backup of a %s database, and DATABASE_URL names a %s one", m.Database, dialect)
	}
	return nil
}

// maxTail is how many bytes may follow the end of the tar: padding to a whole tar record.
const maxTail = 64 << 10

// cancelled is a reader that fails when ctx ends.
type cancelled struct {
	ctx context.Context
	io.Reader
}

func (r cancelled) Read(b []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(b)
}

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

// addFiles moves files into the folder, except those that exist there, and returns the new ones.
func addFiles(from, into string) (added []string, err error) {
	err = filepath.WalkDir(from, func(file string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // the backup has no uploads
		}
		if err != nil || entry.IsDir() {
			return err
		}
		inside, err := filepath.Rel(from, file)
		if err != nil {
			return err
		}
		target := filepath.Join(into, inside)
		if _, err := os.Lstat(target); err == nil {
			return nil
		}
		if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
			return err
		}
		if err := os.Rename(file, target); err != nil {
			return err
		}
		added = append(added, target)
		return nil
	})
	return added, err
}
