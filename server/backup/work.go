package backup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sohbet/models"
	"sohbet/server/lock"
)

const (
	workPrefix = ".sohbet-work-"   // of the folders of running commands, in the data folder
	partPrefix = ".sohbet-backup-" // of the folder of an unfinished archive, next to it
	lockName   = "lock"            // in a work folder; its command holds it
	noteName   = "note.json"       // a note
	addedName  = "added.json"      // the uploads that a restore adds, relative to their folder

	// unlockedFor is how long a folder without a lock must have been untouched until it counts as left behind: an older version made
	// it, or the file system has no locks.
	unlockedFor = time.Hour
)

// note is what Sweep needs to know about the work of a command that was killed.
type note struct {
	Command string `json:"command"`
	Folder  string `json:"folder,omitempty"` // its other folder
}

// work is the folder of a running command in the data folder. If the command is killed, Sweep finds it unlocked.
type work struct {
	dir  string
	lock *lock.Lock
	note note
}

func newWork(data, command string) (w *work, err error) {
	if err := os.MkdirAll(data, 0o700); err != nil {
		return nil, err
	}
	for range 10 { // Sweep may delete the folder before it is locked
		w, err = lockedWork(data, command)
		if !errors.Is(err, fs.ErrNotExist) && !errors.As(err, new(*lock.HeldError)) {
			break
		}
	}
	return w, err
}

func lockedWork(data, command string) (*work, error) {
	dir, err := os.MkdirTemp(data, workPrefix)
	if err != nil {
		return nil, err
	}
	w := &work{dir: dir, note: note{Command: command}}
	if w.lock, err = lock.Take(filepath.Join(dir, lockName)); errors.Is(err, lock.ErrUnsupported) {
		w.lock, err = &lock.Lock{}, nil
	}
	if err == nil {
		err = w.write(noteName, w.note)
	}
	if err != nil {
		if w.lock != nil {
			err = errors.Join(err, w.lock.Close())
		}
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return w, nil
}

// name identifies the work.
func (w *work) name() string { return filepath.Base(w.dir) }

func (w *work) path(name string) string { return filepath.Join(w.dir, name) }

// makeFolder creates another folder of the command, next to a file.
func (w *work) makeFolder(file string) (string, error) {
	folder, err := filepath.Abs(filepath.Join(filepath.Dir(file), partPrefix+strings.TrimPrefix(w.name(), workPrefix)))
	if err != nil {
		return "", err
	}
	w.note.Folder = folder
	if err := w.write(noteName, w.note); err != nil { // first, so that no folder exists without a note
		return "", err
	}
	return folder, os.Mkdir(folder, 0o700)
}

// write stores a value durably.
func (w *work) write(name string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(w.path(name), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = errors.Join(syncFolder(w.dir), syncFolder(filepath.Dir(w.dir)))
	}
	return err
}

// remove deletes the folders; the lock is held until only its file is left.
func (w *work) remove() error {
	var all error
	if w.note.Folder != "" {
		all = os.RemoveAll(w.note.Folder)
	}
	entries, err := os.ReadDir(w.dir)
	all = errors.Join(all, err)
	for _, e := range entries {
		if e.Name() != lockName {
			all = errors.Join(all, os.RemoveAll(w.path(e.Name())))
		}
	}
	return errors.Join(all, w.lock.Close(), os.RemoveAll(w.dir))
}

// syncFolder makes new directory entries durable. Systems that cannot open or sync directories do not need it.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return nil
	}
	_ = d.Sync()
	return d.Close()
}

// Sweep deletes what killed commands left in the data folder and where it says, and undoes a restore that was killed before it changed
// the database. It spares what running commands use.
func Sweep(ctx context.Context, uploads string, store *models.Store, log *slog.Logger) error {
	data := filepath.Dir(uploads)
	all := SweepFolder(data, log)
	found, err := filepath.Glob(filepath.Join(literal(data), workPrefix+"*"))
	all = errors.Join(all, err)
	for _, dir := range found {
		if err := sweepWork(ctx, dir, uploads, store, log); err != nil && !errors.Is(err, fs.ErrNotExist) {
			all = errors.Join(all, fmt.Errorf("remove what a killed command left: %w", err))
		}
	}
	return all
}

// SweepFolder deletes what commands of older versions left in a folder.
func SweepFolder(dir string, log *slog.Logger) error {
	var all error
	for _, pattern := range [...]string{partPrefix + "*", ".sohbet-restore-*", ".sohbet-secret-*", ".sohbet-doctor-*"} {
		found, err := filepath.Glob(filepath.Join(literal(dir), pattern))
		all = errors.Join(all, err)
		for _, name := range found {
			if untouched(name) {
				all = errors.Join(all, removeLeft(log, "an older version's", name))
			}
		}
	}
	return all
}

// literal escapes a path for filepath.Glob.
func literal(path string) string {
	if filepath.Separator != '/' {
		return path // Glob has no escapes on Windows
	}
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// untouched reports whether nothing in a folder has changed for unlockedFor.
func untouched(name string) bool {
	newest := time.Time{}
	err := filepath.WalkDir(name, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err == nil && info.ModTime().After(newest) {
			newest = info.ModTime()
		}
		return err
	})
	return err == nil && time.Since(newest) > unlockedFor
}

func sweepWork(ctx context.Context, dir, uploads string, store *models.Store, log *slog.Logger) error {
	lockFile := filepath.Join(dir, lockName)
	if _, err := os.Stat(lockFile); err != nil { // its command was killed before it wrote anything
		if os.Remove(dir) == nil || !untouched(dir) {
			return nil
		}
		return removeLeft(log, "unknown", dir)
	}
	held, err := lock.Take(lockFile)
	switch {
	case errors.As(err, new(*lock.HeldError)):
		return nil
	case errors.Is(err, lock.ErrUnsupported):
		if !untouched(dir) {
			return nil
		}
		held = &lock.Lock{}
	case err != nil:
		return err
	}
	w := &work{dir: dir, lock: held}
	if text, err := os.ReadFile(w.path(noteName)); err == nil {
		_ = json.Unmarshal(text, &w.note) // a note that was not written completely was about no folder yet
	}
	if !strings.HasPrefix(filepath.Base(w.note.Folder), partPrefix) {
		w.note.Folder = ""
	}
	if w.note.Command == restoreCommand {
		if err := w.undoRestore(ctx, uploads, store, log); err != nil {
			return errors.Join(err, held.Close())
		}
	}
	bytes := size(dir)
	if w.note.Folder != "" {
		bytes += size(w.note.Folder)
	}
	if err := w.remove(); err != nil || w.note.Command == "" { // nothing but the lock was left
		return err
	}
	log.Warn("removed what a killed command left", "command", w.note.Command, "folder", dir, "bytes", bytes)
	return nil
}

// undoRestore deletes the uploads that a killed restore added, unless it had changed the database already.
func (w *work) undoRestore(ctx context.Context, uploads string, store *models.Store, log *slog.Logger) error {
	done, err := store.LastLoad(ctx)
	if err != nil {
		return err
	}
	if done == w.name() {
		log.Warn("a restore was killed after it had replaced the data: it is complete")
		return nil
	}
	log.Warn("a restore was killed before it had replaced the data: everything is as before it; run it again")
	var added []string
	if text, err := os.ReadFile(w.path(addedName)); err == nil && json.Unmarshal(text, &added) != nil {
		return nil // killed while it was written, so before any file was added
	}
	return removeAdded(uploads, added)
}

// removeAdded deletes uploads that a restore has added.
func removeAdded(uploads string, added []string) error {
	var all error
	for _, name := range added {
		if !filepath.IsLocal(name) {
			continue
		}
		if err := os.Remove(filepath.Join(uploads, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			all = errors.Join(all, err)
		}
	}
	return all
}

func removeLeft(log *slog.Logger, command, name string) error {
	bytes := size(name)
	if err := os.RemoveAll(name); err != nil {
		return err
	}
	log.Warn("removed what a killed command left", "command", command, "folder", name, "bytes", bytes)
	return nil
}

// size adds up the files of a folder, as far as it can be read.
func size(dir string) (bytes int64) {
	_ = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			if info, err := entry.Info(); err == nil {
				bytes += info.Size()
			}
		}
		return nil
	})
	return bytes
}
