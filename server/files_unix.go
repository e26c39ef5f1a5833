//go:build unix

package server

import "golang.org/x/sys/unix"

// socketRoom is how many sockets this process may hold: what the system lets it open, less a twentieth (at least 64) for the
// database, files and requests, which must go on working. 0 = no bound known.
func socketRoom() int {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil || limit.Cur > 1<<30 {
		return 0
	}
	files := int(limit.Cur)
	return max(files-max(files/20, 64), 64)
}
