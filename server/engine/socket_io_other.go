//go:build unix && !linux

package engine

import "syscall"

func readNow(fd uintptr, data []byte) (int, error) {
	for {
		if n, err := syscall.Read(int(fd), data); err != syscall.EINTR {
			return max(n, 0), err
		}
	}
}

func writeNow(fd uintptr, data []byte) (int, error) {
	for {
		if n, err := syscall.Write(int(fd), data); err != syscall.EINTR {
			return max(n, 0), err
		}
	}
}
