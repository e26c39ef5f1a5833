//go:build unix

package engine

import (
	"io"
	"sync"
	"syscall"
)

// readSize is what one read asks for: more than a chat's burst, little enough to be held once per busy processor.
const readSize = 16 << 10

// readBuffer is a borrowed buffer with one read's result. Its function is made once and stays with it, as one made for
// every read would be garbage each time.
type readBuffer struct {
	data []byte
	n    int
	err  error
	once func(fd uintptr) bool // one read, for RawConn.Read; never asks to wait
}

var readBuffers = sync.Pool{New: func() any {
	b := &readBuffer{data: make([]byte, readSize)}
	b.once = func(fd uintptr) bool {
		b.fill(fd)
		return true
	}
	return b
}}

func (b *readBuffer) fill(fd uintptr) {
	for {
		b.n, b.err = syscall.Read(int(fd), b.data)
		if b.err != syscall.EINTR {
			break
		}
	}
	if b.err == nil && b.n == 0 {
		b.err = io.EOF
	}
}

// read calls on with whatever arrives until the connection ends or on returns an error.
//
// It waits for the socket to become readable without a buffer in its hands and borrows one only while there is
// something to read: that, and the stack of the waiting goroutine, is all an idle connection costs here.
func (w *wsConn) read(on func([]byte) error) error {
	if w.raw == nil {
		return w.readBlocking(on)
	}
	var b *readBuffer
	arrived := func(fd uintptr) bool {
		b = readBuffers.Get().(*readBuffer)
		b.fill(fd)
		if b.err == syscall.EAGAIN {
			readBuffers.Put(b)
			return false
		}
		return true
	}
	for {
		if err := w.raw.Read(arrived); err != nil {
			return err
		}
		err := b.err
		if err == nil {
			err = on(b.data[:b.n])
		}
		readBuffers.Put(b)
		if err != nil {
			return err
		}
	}
}

// drain reads until the socket has nothing more (again is true) or the connection is over. It must see EAGAIN before
// it waits: the poller is edge-triggered, and an end of stream that came along with the last bytes raises no new edge.
//
// What was read is handed on outside of RawConn.Read. Inside, the descriptor is held, and whoever closed it meanwhile, the
// heartbeat or a publisher, would wait for a handler that may be waiting for the connection's lock in turn.
func (w *wsConn) drain(on func([]byte) error) (again bool, err error) {
	b := readBuffers.Get().(*readBuffer)
	defer readBuffers.Put(b)
	for {
		if err := w.raw.Read(b.once); err != nil {
			return false, err
		}
		if b.err == syscall.EAGAIN {
			return true, nil
		}
		if b.err != nil {
			return false, b.err
		}
		if err := on(b.data[:b.n]); err != nil {
			return false, err
		}
	}
}
