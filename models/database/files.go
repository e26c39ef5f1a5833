package database

import (
	"errors"
	"io/fs"
	"os"
	"sync"
	"syscall"

	"sohbet/models/dberror"
)

// Faults of an SQLite database's files that SQLite itself does not report: it goes on with the files that it has open.
var (
	errFileGone = &dberror.Explained{Reason: "database_deleted", Err: fs.ErrNotExist,
		Sentence: "the database file was deleted or replaced while the server runs"}
	errLogGone = &dberror.Explained{Reason: "database_log_deleted", Err: fs.ErrNotExist,
		Sentence: "the write-ahead log (-wal) was deleted while the server runs"}
)

// openedFiles are the files of an SQLite database as they were opened.
type openedFiles struct {
	mu   sync.Mutex
	main fs.FileInfo
	log  fs.FileInfo // nil until it exists
}

// FilesGone reports that the files of an SQLite database are no longer those that this process has open.
func (db *DB) FilesGone() error {
	if db.Dialect != SQLite {
		return nil
	}
	f := &db.files
	f.mu.Lock()
	defer f.mu.Unlock()
	main, err := os.Stat(db.path)
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil // a folder that cannot be read is reported elsewhere
	case f.main == nil:
		f.main = main
	case err != nil || !os.SameFile(f.main, main):
		return errFileGone
	}
	log, err := os.Stat(db.path + "-wal")
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil
	case f.log == nil && err == nil:
		f.log = log
	case f.log != nil && (err != nil || !os.SameFile(f.log, log)):
		return errLogGone
	}
	return nil
}

// LiveFilesGone reports that files of an SQLite database that another process has open were deleted. Opening the database would then make
// new ones, while the other process still uses the old ones.
func LiveFilesGone(path string) error {
	gone := func(name string) bool {
		_, err := os.Stat(name)
		return errors.Is(err, fs.ErrNotExist)
	}
	switch {
	case gone(path):
		return errFileGone
	case gone(path + "-wal"):
		return errLogGone
	}
	return nil
}

// explainFile adds to an error of the operating system about the database file what it means.
func explainFile(err error) error {
	for errno, code := range map[syscall.Errno]int{syscall.EROFS: 8, syscall.ENOSPC: 13, syscall.EIO: 10} {
		if errors.Is(err, errno) {
			return dberror.OfSQLite(code, err)
		}
	}
	return err
}
