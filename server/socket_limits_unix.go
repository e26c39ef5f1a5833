//go:build unix

package server

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// boundBuffers sets the kernel buffer of a socket in each direction, in bytes.
func boundBuffers(raw syscall.RawConn, size int) (err error) {
	control := raw.Control(func(fd uintptr) {
		err = errors.Join(unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, size),
			unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUF, size))
	})
	return errors.Join(control, err)
}

// socketRoom returns how many sockets this process may have open: the limit of open files, minus a twentieth (at least 64) reserved for
// the database, files and HTTP requests. 0 = unknown.
func socketRoom() int {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil || limit.Cur > 1<<30 {
		return 0
	}
	files := int(limit.Cur)
	return max(files-max(files/20, 64), 64)
}
