package database

import (
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"gorm.io/driver/sqlite"
	"gorm.io/gorm"

	"sohbet/models/dberror"
)

// withAccess determines whether an error of opening a file is caused by missing permissions: SQLite's error messages do not say.
func withAccess(path string, err error) error {
	code, ours := dberror.SQLiteCode(err)
	if !errors.Is(err, fs.ErrPermission) && !errors.Is(err, fs.ErrNotExist) && (!ours || code != 3 && code != 8 && code != 14 && code != 23) {
		return err
	}
	if sentence := access(path); sentence != "" {
		reason := "database_denied"
		if errors.Is(err, fs.ErrNotExist) {
			reason = "" // the folder is missing: DATABASE_URL may be wrong
		}
		return &dberror.Explained{Sentence: sentence, Reason: reason, Err: err}
	}
	return err
}

// openSQLite opens the file twice: one connection that writes, and a pool that reads at the same time (write-ahead log). The database,
// -wal and -shm files are readable only by their owner.
func openSQLite(path string, config func() *gorm.Config) (read, write *gorm.DB, err error) {
	if path == "" || path == ":memory:" {
		return nil, nil, errors.New("models: sqlite:// needs the path of a file")
	}
	path, err = filepath.Abs(path)
	if err != nil {
		return nil, nil, fmt.Errorf("models: database file: %w", err)
	}
	// SQLite creates the -wal and -shm files with the mode of the database file.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, nil, explainFile(fmt.Errorf("models: database file: %w", err))
	}
	info, err := f.Stat()
	if err := errors.Join(err, f.Chmod(0o600), f.Close()); err != nil {
		return nil, nil, explainFile(fmt.Errorf("models: database file: %w", err))
	}
	fresh := info.Size() == 0
	once := func(options url.Values, conns int) (*gorm.DB, error) {
		name := url.URL{Scheme: "file", Path: filepath.ToSlash(path), RawQuery: options.Encode()}
		pool, err := sql.Open(sqliteDriver, name.String())
		if err != nil {
			return nil, fmt.Errorf("models: open the database: %w", err)
		}
		pool.SetMaxOpenConns(conns)
		pool.SetMaxIdleConns(conns)
		db, err := gorm.Open(sqlite.New(sqlite.Config{DriverName: sqliteDriver, Conn: pool}), config())
		if err != nil {
			return nil, errors.Join(fmt.Errorf("models: open the database: %w", err), pool.Close())
		}
		return db, nil
	}
	open := func(options url.Values, conns int) (*gorm.DB, error) {
		db, err := once(options, conns)
		// Two processes that both find a new file both switch it to WAL mode; SQLite returns SQLITE_BUSY to one of them regardless of
		// the busy timeout.
		for wait := time.Millisecond; err != nil && isBusy(err) && wait < 4*time.Second; wait *= 2 {
			time.Sleep(wait)
			db, err = once(options, conns)
		}
		return db, err
	}
	write, err = open(sqliteOptions(false, fresh), 1) // first: it creates the write-ahead log that readers open
	if err != nil {
		return nil, nil, err
	}
	// Under load, checkpointing every 16 MB instead of every 4 MB saves a third of the writer's CPU time.
	err = write.Exec("PRAGMA wal_autocheckpoint = 4000").Error
	if err == nil {
		read, err = open(sqliteOptions(true, false), max(4, 2*runtime.GOMAXPROCS(0)))
	}
	if err != nil {
		if pool, e := write.DB(); e == nil {
			err = errors.Join(err, pool.Close())
		}
		return nil, nil, err
	}
	return read, write, nil
}

func isBusy(err error) bool {
	code, ok := dberror.SQLiteCode(err)
	return ok && code == 5
}
