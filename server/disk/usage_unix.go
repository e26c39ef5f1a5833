//go:build unix

package disk

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Usage returns the bytes of dir's file system that this process may still write, and its total size.
func Usage(dir string) (free, total uint64, err error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, 0, fmt.Errorf("disk of the data folder: %w", err)
	}
	block := uint64(s.Bsize)                               // signed on some systems, but never negative
	return uint64(s.Bavail) * block, s.Blocks * block, nil // signed on some systems, but never negative
}
