//go:build cgo

package dberror

import (
	"errors"

	"github.com/mattn/go-sqlite3"
)

// SQLiteCode returns SQLite's primary result code.
func SQLiteCode(err error) (int, bool) {
	var e sqlite3.Error
	if errors.As(err, &e) {
		return int(e.Code) & 0xff, true
	}
	return 0, false
}
