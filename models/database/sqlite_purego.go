//go:build !cgo

package database

import (
	"net/url"

	_ "modernc.org/sqlite" // the driver
)

const sqliteDriver = "sqlite"

// sqliteOptions returns the driver's parameters for a connection, equivalent to those of the cgo driver. _time_format makes both
// drivers write times in the same format, so a file can be used with either.
func sqliteOptions(readOnly bool) url.Values {
	v := url.Values{
		"_pragma": {
			"busy_timeout(5000)",
			"journal_mode(WAL)",
			"synchronous(FULL)", // a commit is on disk before it is acknowledged
			"foreign_keys(1)",
		},
		"_time_format": {"sqlite"},
	}
	if readOnly {
		v.Add("_pragma", "query_only(1)")
	} else {
		v.Set("_txlock", "immediate")
		v.Add("_pragma", "cache_size(-16384)") // KiB
	}
	return v
}
