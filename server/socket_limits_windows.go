package server

import "syscall"

// boundBuffers does nothing: Windows does not grow these buffers without bound.
func boundBuffers(syscall.RawConn, int) error { return nil }

// socketRoom returns 0: the number of sockets is limited only by memory.
func socketRoom() int { return 0 }
