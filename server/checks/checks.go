// Package checks finds out whether database, disk and clock work. /health and `sohbet doctor` share it, so that they come to the same
// verdict and name the same cure.
package checks

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"strconv"
	"syscall"
	"time"

	"sohbet/assets/locales"
	"sohbet/models"
	"sohbet/server/disk"
)

// Status of a check.
const (
	OK      = "ok"
	Warning = "warning"
	Error   = "error"
)

// Result is the result of a check.
type Result struct {
	Status string
	Reason string // names the texts in assets/locales; "" if there is nothing to say
	Detail string // in English
	Reads  bool   // despite the error, stored data can be read
	values []string
}

// Text returns what is wrong, "" if assets/locales does not have it.
func (r Result) Text(locale string) string { return text(locale, r.Reason, r.values) }

// Cure returns how to fix it, "" if unknown.
func (r Result) Cure(locale string) string { return Cure(locale, r.Reason) }

// Cure returns how to fix what a reason names, "" if unknown.
func Cure(locale, reason string) string { return text(locale, reason+"_cure", nil) }

func text(locale, name string, values []string) string {
	if found, ok := locales.Lookup(locale, "checks."+name); !ok || found == "" {
		return ""
	}
	return locales.Text(locale, "checks."+name, values...)
}

func found(status, reason string, values ...string) Result {
	r := Result{Status: status, Reason: reason, values: values}
	r.Detail = r.Text("en")
	return r
}

// Database checks that the database can be read and written.
func Database(ctx context.Context, store *models.Store) Result {
	condition := store.Check(ctx)
	if err := cmp.Or(condition.Reads, condition.Writes); err != nil {
		r := OfDatabase(err)
		r.Reads = condition.Reads == nil
		return r
	}
	return Result{Status: OK, Detail: store.Dialect()}
}

// OfDatabase returns the result that an error of the database means.
func OfDatabase(err error) Result {
	r := Result{Status: Error, Detail: err.Error()}
	if fault := models.FaultOf(err); fault != nil {
		r.Reason = fault.Reason
	}
	return r
}

// Clock compares this machine's clock with the database's.
func Clock(ctx context.Context, store *models.Store) Result {
	d, err := store.ClockDifference(ctx)
	switch {
	case err != nil || d.Abs() < models.ClockWarning: // that the database does not answer is reported by its own check
		return Result{Status: OK}
	case d < 0:
		return found(Warning, "clock_behind", "n", seconds(-d))
	}
	return found(Warning, "clock_ahead", "n", seconds(d))
}

func seconds(d time.Duration) string { return strconv.Itoa(int(d.Round(time.Second).Seconds())) }

// Disk checks the space on the disk of the data folder, and that files can be written there.
func Disk(ctx context.Context, space *disk.Space) (Result, disk.State) {
	state := space.State(ctx)
	switch {
	case state.Err != nil:
		return found(Error, "folder_unreadable"), state
	case state.Level == disk.Reserve || state.Free < 16<<20 && state.Floor == 0:
		return found(Error, "disk_full"), state
	case state.Level == disk.Full:
		r := found(Error, "disk_floor")
		r.Reads = true
		return r, state
	}
	if err := space.Probe(); err != nil {
		return ofFolder(err), state
	}
	if state.Level == disk.Low {
		return found(Warning, "disk_low"), state
	}
	return Result{Status: OK}, state
}

// ofFolder returns the result that an error of writing into the data folder means.
func ofFolder(err error) Result {
	r := found(Error, "folder_unwritable")
	switch {
	case errors.Is(err, syscall.EROFS), errors.Is(err, fs.ErrPermission):
		r = found(Error, "folder_readonly")
	case errors.Is(err, syscall.ENOSPC):
		r = found(Error, "disk_full")
	}
	r.Reads = true // what is stored can be read, and messages are stored as long as the database can be written
	return r
}
