//go:build unix

package engine

import (
	"io"
	"sync"
	"syscall"
)

// readSize is the size of one read: larger than a burst of chat messages, and small enough to be allocated once per active reader.
const readSize = 16 << 10

// readBuffer is a pooled buffer with the result of one read. Its function is created once and kept with it, to avoid an allocation for
// every read.
type readBuffer struct {
	data []byte
	n    int
	err  error
	once func(fd uintptr) bool // performs one read, for RawConn.Read; never asks to wait
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
	b.n, b.err = readNow(fd, b.data)
	if b.err == nil && b.n == 0 {
		b.err = io.EOF
	}
}

// read calls on with received data until the connection ends or on returns an error.
//
// It waits for the socket to become readable without holding a buffer, and takes one from the pool only to read: so an idle connection
// costs only the stack of the waiting goroutine here.
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

// drain reads until the socket has no more data (again is true) or the connection ends. The poller is edge-triggered, so nothing may be
// left, and an end of stream received together with the last bytes causes no further edge.
//
// Data is handled outside of RawConn.Read. Inside, the descriptor is locked, and a goroutine that closes it meanwhile, such as the
// heartbeat or a publisher, would wait for a handler that in turn may be waiting for the connection's lock.
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
		if b.n < len(b.data) && !w.ended.Load() { // nothing is left (epoll(7)), unless the end of the stream arrived with it
			return true, nil
		}
	}
}

// writeAttempt is a pooled attempt to write without waiting, like readBuffer.
type writeAttempt struct {
	data []byte
	n    int
	once func(fd uintptr) bool
}

var writeAttempts = sync.Pool{New: func() any {
	a := &writeAttempt{}
	a.once = func(fd uintptr) bool {
		a.n, _ = writeNow(fd, a.data)
		return true
	}
	return a
}}

// try writes as much as the kernel takes at once, and returns how many bytes that were: 0 also if the socket is broken.
func (w *wsConn) try(frames []byte) int {
	a := writeAttempts.Get().(*writeAttempt)
	defer writeAttempts.Put(a)
	a.data, a.n = frames, 0
	if w.raw.Write(a.once) != nil {
		a.n = 0
	}
	a.data = nil
	return a.n
}
