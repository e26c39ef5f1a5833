//go:build unix

package engine

import (
	"io"
	"sync"
	"syscall"
)

// readSize is what one read asks for: more than a chat's burst, little enough to be held once per busy processor.
const readSize = 16 << 10

var readBuffers = sync.Pool{New: func() any { b := make([]byte, readSize); return &b }}

// read calls on with whatever arrives until the connection ends or on returns an error.
//
// It waits for the socket to become readable without a buffer in its hands and borrows one only while there is
// something to read: that, and the stack of the waiting goroutine, is all an idle connection costs here.
func (w *wsConn) read(on func([]byte) error) error {
	if w.raw == nil {
		return w.readBlocking(on)
	}
	var result error
	err := w.raw.Read(func(fd uintptr) bool {
		var again bool
		again, result = drain(int(fd), on)
		return !again
	})
	if result != nil {
		return result
	}
	return err
}

// drain reads until the socket has nothing more (again is true) or the connection is over. It must see EAGAIN before
// it waits: the poller is edge-triggered, and an end of stream that came along with the last bytes raises no new edge.
func drain(fd int, on func([]byte) error) (again bool, err error) {
	pooled := readBuffers.Get().(*[]byte)
	defer readBuffers.Put(pooled)
	for {
		n, err := syscall.Read(fd, *pooled)
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			return true, nil
		case err != nil:
			return false, err
		case n == 0:
			return false, io.EOF
		}
		if err := on((*pooled)[:n]); err != nil {
			return false, err
		}
	}
}
