package engine

import (
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// poller waits for all websockets of a server at once, so that an idle one needs no goroutine: its stack would be half
// of what a connection costs. It is an epoll instance of its own, edge-triggered, that Go's runtime waits for like for
// any other file; a socket that has become readable is read by a worker until it has nothing more.
type poller struct {
	file *os.File // the epoll instance
	work chan *wsConn
	idle atomic.Int32
	done chan struct{}
	once sync.Once

	mu    sync.RWMutex
	socks map[int32]*wsConn // by file descriptor
}

const (
	// idleWorkers is how many workers stay for the next readable socket, with stacks that have grown to what the work takes.
	idleWorkers = 64
	// idleTime is how long they stay.
	idleTime = 5 * time.Second
)

func newPoller() (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil { // or the runtime would not wait for it
		unix.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	p := &poller{
		file:  os.NewFile(uintptr(fd), "epoll"),
		work:  make(chan *wsConn),
		done:  make(chan struct{}),
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

// stop ends the poller and its idle workers. Sockets that are still open are read no more.
func (p *poller) stop() {
	p.once.Do(func() {
		p.file.Close()
		close(p.done)
	})
}

func (p *poller) run(raw syscall.RawConn) {
	events := make([]unix.EpollEvent, 256)
	// The error is that the file was closed: stop.
	_ = raw.Read(func(fd uintptr) bool {
		for {
			n, err := unix.EpollWait(int(fd), events, 0)
			switch {
			case err == unix.EINTR:
				continue
			case err != nil:
				return true
			case n == 0:
				return false
			}
			for _, e := range events[:n] {
				p.mu.RLock()
				w := p.socks[e.Fd]
				p.mu.RUnlock()
				if w != nil {
					p.readable(w)
				}
			}
		}
	})
}

// watch has w read whenever there is something, until forget.
func (p *poller) watch(w *wsConn) error {
	var ctl error
	err := w.raw.Control(func(fd uintptr) {
		p.mu.Lock()
		w.fd = int32(fd)
		p.socks[w.fd] = w
		p.mu.Unlock()
		e := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET, Fd: int32(fd)}
		if ctl = unix.EpollCtl(int(p.epfd()), unix.EPOLL_CTL_ADD, int(fd), &e); ctl == nil && w.closing.Load() {
			ctl = net.ErrClosed // by somebody who looked for it here before it was
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

// forget lets go of w. It must come before w's file descriptor is closed, and may be given to another socket; an event
// of the old one that reaches the new is no more than a look too many.
func (p *poller) forget(w *wsConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.socks[w.fd] == w {
		delete(p.socks, w.fd)
	}
}

// States of a socket's reading.
const (
	readIdle int32 = iota
	readRunning
	readAgain // an edge came while a worker was at it: it must look once more
)

// readable gives w to a worker, unless one is at it.
func (p *poller) readable(w *wsConn) {
	for {
		switch w.reading.Load() {
		case readIdle:
			if w.reading.CompareAndSwap(readIdle, readRunning) {
				select {
				case p.work <- w:
				default:
					go p.worker(w)
				}
				return
			}
		case readRunning:
			if w.reading.CompareAndSwap(readRunning, readAgain) {
				return
			}
		default:
			return
		}
	}
}

func (p *poller) worker(w *wsConn) {
	patience := time.NewTimer(idleTime)
	defer patience.Stop()
	for {
		w.readReady()
		w = nil // a worker that waits holds on to no socket
		if p.idle.Add(1) > idleWorkers {
			p.idle.Add(-1)
			return
		}
		patience.Reset(idleTime)
		select {
		case w = <-p.work:
		case <-patience.C:
		case <-p.done:
		}
		p.idle.Add(-1)
		if w == nil {
			return
		}
	}
}

// readReady reads what there is and hands it on, until there is nothing more or the socket is over.
func (w *wsConn) readReady() {
	for {
		again, err := w.drain(w.on)
		if !again {
			w.over(err) // reading stays readRunning: nobody looks at this socket any more
			return
		}
		if w.reading.CompareAndSwap(readRunning, readIdle) {
			return
		}
		w.reading.Store(readRunning)
	}
}
