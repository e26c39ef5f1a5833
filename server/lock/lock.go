// Package lock prevents two processes from using the same files. It uses the operating system's locks on open files, which are released
// when the process ends, even if it crashes.
package lock

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Lock is a set of held file locks.
type Lock struct{ files []*os.File }

// HeldError identifies the process that holds a lock.
type HeldError struct {
	File    string
	Process int    // process id; 0 = unknown
	Machine string // host name
	Address string // the address it serves; "" = none yet
}

// Error describes the conflict for the user who started the second process.
func (e *HeldError) Error() string {
	text := "another process works with " + strings.TrimSuffix(e.File, ".lock")
	if e.Process != 0 {
		text = fmt.Sprintf("process %d on %s works with %s", e.Process, e.Machine, strings.TrimSuffix(e.File, ".lock"))
	}
	if e.Address != "" {
		text += ", at " + e.Address
	}
	return text + ": stop it first, or give this one a DATA_DIR of its own (several processes for one chat need PostgreSQL)"
}

// ErrUnsupported is returned on a file system without locks.
var ErrUnsupported = errors.New("lock: the file system has no locks")

var errHeld = errors.New("lock: held")

// Take locks files, creating them if needed. They are not deleted. The error is a [*HeldError] if another process has locked one of
// them.
func Take(files ...string) (*Lock, error) {
	l := &Lock{}
	for _, name := range files {
		f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("lock: %w", err), l.Close())
		}
		if err := lockFile(f); err != nil {
			if errors.Is(err, errHeld) {
				err = heldBy(f)
			}
			return nil, errors.Join(err, f.Close(), l.Close())
		}
		l.files = append(l.files, f)
	}
	l.Note("")
	return l, nil
}

// heldBy reads from a lock file which process holds it.
func heldBy(f *os.File) error {
	e := &HeldError{File: f.Name()}
	if absolute, err := filepath.Abs(f.Name()); err == nil {
		e.File = absolute
	}
	text, err := io.ReadAll(io.LimitReader(f, 4096))
	if lines := strings.Split(string(text), "\n"); err == nil && len(lines) >= 3 {
		if pid, err := strconv.Atoi(lines[0]); err == nil {
			e.Process, e.Machine, e.Address = pid, lines[1], lines[2]
		}
	}
	return e
}

// Note writes the address that this process serves into the lock files, for the error message of other processes. Failures are ignored:
// the locks hold without it.
func (l *Lock) Note(address string) {
	machine, err := os.Hostname()
	if err != nil {
		machine = "this machine"
	}
	text := fmt.Sprintf("%d\n%s\n%s\n", os.Getpid(), machine, address)
	for _, f := range l.files {
		if f.Truncate(0) == nil {
			_, _ = f.WriteAt([]byte(text), 0)
		}
	}
}

// Close releases the locks.
func (l *Lock) Close() error {
	var all []error
	for _, f := range l.files {
		all = append(all, f.Truncate(0), f.Close())
	}
	l.files = nil
	return errors.Join(all...)
}
