package handlers

import (
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
)

// memoryUse returns this process's resident memory and its limit in bytes: the container's (cgroup v2, then v1) or GOMEMLIMIT,
// whichever is lower; 0 if there is none. Without /proc it returns the memory that the Go runtime obtained from the system.
func memoryUse() (used, limit uint64) {
	if text, err := os.ReadFile("/proc/self/statm"); err == nil {
		if fields := strings.Fields(string(text)); len(fields) > 1 {
			if pages, err := strconv.ParseUint(fields[1], 10, 64); err == nil {
				used = pages * uint64(os.Getpagesize()) // a page size is positive
			}
		}
	}
	if used == 0 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		used = m.Sys
	}
	if soft := debug.SetMemoryLimit(-1); soft > 0 && soft != math.MaxInt64 {
		limit = uint64(soft)
	}
	for _, path := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		text, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		// "max" in v2 and a value near 2^63 in v1 mean no limit.
		if n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64); err == nil && n < 1<<60 && (limit == 0 || n < limit) {
			limit = n
		}
		break
	}
	return used, limit
}

// MemoryLimit returns the memory limit of this process in bytes, 0 if there is none.
func MemoryLimit() uint64 {
	_, limit := memoryUse()
	return limit
}
