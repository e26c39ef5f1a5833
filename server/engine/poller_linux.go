package engine

import (
	"net"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// poller waits for all websockets of a server in one goroutine, so that an idle websocket needs none: its stack would be half the
// memory of a connection. It is a separate epoll instance, edge-triggered, which Go's runtime polls like any other file; a readable
// socket is read by one of the readers until it has no more data.
type poller struct {
	file    *os.File // the epoll instance
	readers readers
	once    sync.Once

	mu    sync.RWMutex
	socks map[int32]*wsConn // by file descriptor
}

func newPoller() (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil { // required for the runtime to poll it
		unix.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	p := &poller{
		file:  os.NewFile(uintptr(fd), "epoll"),
		socks: make(map[int32]*wsConn),
	}
	raw, err := p.file.SyscallConn()
	if err != nil {
		p.file.Close()
		return nil, err
	}
	go p.run(raw)
	return p, nil
}

// stop stops the poller and its idle readers. Sockets that are still open are no longer read.
func (p *poller) stop() {
	p.once.Do(func() {
		p.file.Close()
		p.readers.stop()
	})
}

func (p *poller) run(raw syscall.RawConn) {
	events := make([]unix.EpollEvent, 256)
	ready := make([]*wsConn, 0, len(events))
	// The only error is that the file was closed by stop.
	_ = raw.Read(func(fd uintptr) bool {
		for {
			n, err := unix.EpollWait(int(fd), events, 0)
			switch {
			case err == unix.EINTR:
				continue
			case err != nil:
				return true
			}
			ready = ready[:0]
			p.mu.RLock()
			for _, e := range events[:n] {
				w := p.socks[e.Fd]
				if w == nil {
					continue
				}
				if e.Events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
					w.ended.Store(true)
				}
				if w.readable() {
					ready = append(ready, w)
				}
			}
			p.mu.RUnlock()
			p.readers.add(ready)
			clear(ready)
			if n < len(events) { // nothing is left; what becomes ready now wakes this goroutine again
				return false
			}
		}
	})
}

// watch has a reader read w whenever w is readable, until forget.
func (p *poller) watch(w *wsConn) error {
	var ctl error
	err := w.raw.Control(func(fd uintptr) {
		p.mu.Lock()
		w.fd = int32(fd)
		p.socks[w.fd] = w
		p.mu.Unlock()
		e := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET, Fd: int32(fd)}
		if ctl = unix.EpollCtl(int(p.epfd()), unix.EPOLL_CTL_ADD, int(fd), &e); ctl == nil && w.closing.Load() {
			ctl = net.ErrClosed // closed before it was registered, so that close could not remove it
		}
		if ctl != nil {
			p.forget(w)
		}
	})
	if err != nil {
		return err
	}
	return ctl
}

func (p *poller) epfd() (fd uintptr) {
	if raw, err := p.file.SyscallConn(); err == nil {
		_ = raw.Control(func(f uintptr) { fd = f })
	}
	return fd
}

// forget removes w. It must be called before w's file descriptor is closed and possibly reused; an event of the old socket that is
// delivered to the new one only causes a superfluous read.
func (p *poller) forget(w *wsConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.socks[w.fd] == w {
		delete(p.socks, w.fd)
	}
}

// Read states of a socket.
const (
	readIdle int32 = iota
	readRunning
	readAgain // an edge arrived while a reader was reading: it must read once more
)

// readable notes that data has arrived, and reports whether a reader has to be given the socket, because none is reading it.
func (w *wsConn) readable() bool {
	for {
		switch w.reading.Load() {
		case readIdle:
			if w.reading.CompareAndSwap(readIdle, readRunning) {
				return true
			}
		case readRunning:
			if w.reading.CompareAndSwap(readRunning, readAgain) {
				return false
			}
		default:
			return false
		}
	}
}

// readReady reads and handles all available data, until there is no more or the socket is closed.
func (w *wsConn) readReady() {
	for {
		again, err := w.drain(w.on)
		if !again {
			w.over(err) // reading stays readRunning, so that no reader reads this socket again
			return
		}
		if w.reading.CompareAndSwap(readRunning, readIdle) {
			return
		}
		w.reading.Store(readRunning)
	}
}
