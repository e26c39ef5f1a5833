package disk

import (
	"fmt"

	"golang.org/x/sys/windows"
)

// Usage returns the bytes of dir's volume that this process may still write, and its total size.
func Usage(dir string) (free, total uint64, err error) {
	path, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0, 0, fmt.Errorf("disk of the data folder: %w", err)
	}
	if err := windows.GetDiskFreeSpaceEx(path, &free, &total, nil); err != nil {
		return 0, 0, fmt.Errorf("disk of the data folder: %w", err)
	}
	return free, total, nil
}
