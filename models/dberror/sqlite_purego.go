//go:build !cgo

package dberror

import (
	"errors"

	"modernc.org/sqlite"
)

// SQLiteCode returns SQLite's primary result code.
func SQLiteCode(err error) (int, bool) {
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code() & 0xff, true
	}
	return 0, false
}
