package engine

import (
	"syscall"
	"unsafe"
)

// readNow reads a non-blocking socket.
func readNow(fd uintptr, data []byte) (int, error) { return instantly(syscall.SYS_READ, fd, data) }

// writeNow writes to a non-blocking socket.
func writeNow(fd uintptr, data []byte) (int, error) { return instantly(syscall.SYS_WRITE, fd, data) }

// instantly makes a system call that never waits. It does not tell the runtime of the system call, as the package syscall does:
// that makes its monitor wake every 20 µs to look after calls that take longer, as they do when cores are busy.
func instantly(call, fd uintptr, data []byte) (int, error) {
	for {
		n, _, err := syscall.RawSyscall(call, fd, uintptr(unsafe.Pointer(unsafe.SliceData(data))), uintptr(len(data)))
		switch err {
		case 0:
			return int(n), nil
		case syscall.EINTR:
		default:
			return 0, err
		}
	}
}
