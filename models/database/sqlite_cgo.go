//go:build cgo

package database

import (
	"net/url"

	_ "github.com/mattn/go-sqlite3" // the driver
)

const sqliteDriver = "sqlite3"

// sqliteOptions returns the driver's parameters for a connection. The driver sets the busy timeout before anything else, so that two
// processes that start at the same time wait for each other. A new file is made so that free pages can be returned to the system a few at a
// time, which must be set before anything is stored.
func sqliteOptions(readOnly, fresh bool) url.Values {
	v := url.Values{
		"_busy_timeout": {"5000"},
		"_journal_mode": {"WAL"},
		"_synchronous":  {"FULL"}, // a commit is on disk before it is acknowledged
		"_foreign_keys": {"on"},
	}
	if readOnly {
		v.Set("_query_only", "on")
	} else {
		v.Set("_txlock", "immediate")
		v.Set("_cache_size", "-16384") // KiB
	}
	if fresh {
		v.Set("_auto_vacuum", "incremental")
	}
	return v
}
