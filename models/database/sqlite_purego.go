//go:build !cgo

package database

import (
	"net/url"

	_ "modernc.org/sqlite" // the driver
)

const sqliteDriver = "sqlite"

// sqliteOptions returns the driver's parameters for a connection, equivalent to those of the cgo driver. _time_format makes both
// drivers write times in the same format, so a file can be used with either.
func sqliteOptions(readOnly, fresh bool) url.Values {
	v := url.Values{"_time_format": {"sqlite"}}
	v.Add("_pragma", "busy_timeout(5000)")
	if fresh {
		v.Add("_pragma", "auto_vacuum(incremental)")
	}
	v.Add("_pragma", "journal_mode(WAL)")
	v.Add("_pragma", "synchronous(FULL)") // a commit is on disk before it is acknowledged
	v.Add("_pragma", "foreign_keys(1)")
	if readOnly {
		v.Add("_pragma", "query_only(1)")
	} else {
		v.Set("_txlock", "immediate")
		v.Add("_pragma", "cache_size(-16384)") // KiB
	}
	return v
}
