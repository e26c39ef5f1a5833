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

// poller waits for all websockets of a server in one goroutine, so that an idle websocket needs none: its stack would be half the
// memory of a connection. It is a separate epoll instance, edge-triggered, which Go's runtime polls like any other file; a readable
// socket is read by a worker until it has no more data.
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
	// idleWorkers is how many idle workers are kept for reuse, because their stacks have grown to the needed size.
	idleWorkers = 64
	// idleTime is how long idle workers are kept.
	idleTime = 5 * time.Second
)

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

// stop stops the poller and its idle workers. Sockets that are still open are no longer read.
func (p *poller) stop() {
	p.once.Do(func() {
		p.file.Close()
		close(p.done)
	})
}

func (p *poller) run(raw syscall.RawConn) {
	events := make([]unix.EpollEvent, 256)
	// The only error is that the file was closed by stop.
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
					if e.Events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
						w.ended.Store(true)
					}
					p.readable(w)
				}
			}
		}
	})
}

// watch calls a worker whenever w is readable, until forget.
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
	readAgain // an edge arrived while a worker was reading: it must read once more
)

// readable starts a worker for w, unless one is running.
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
		w = nil // an idle worker must not keep a socket in memory
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

// readReady reads and handles all available data, until there is no more or the socket is closed.
func (w *wsConn) readReady() {
	for {
		again, err := w.drain(w.on)
		if !again {
			w.over(err) // reading stays readRunning, so that no worker reads this socket again
			return
		}
		if w.reading.CompareAndSwap(readRunning, readIdle) {
			return
		}
		w.reading.Store(readRunning)
	}
}
