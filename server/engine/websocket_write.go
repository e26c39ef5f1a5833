package engine

import (
	"bytes"
	"sync"
	"time"

	"github.com/gobwas/ws"
)

const (
	// coalesce is the maximum number of bytes of queued frames that are copied together for one write.
	coalesce = 16 << 10
	// lingering is how long a closing websocket waits for its queue to be sent and for the client's close frame.
	lingering = 3 * time.Second
)

var writeBuffers = sync.Pool{New: func() any { b := make([]byte, 0, coalesce); return &b }}

// writers send the queues of websockets: one goroutine for each core, as long as there are queues. One for each websocket would cost a
// stack that has to grow.
type writers struct {
	most int // goroutines

	mu      sync.Mutex
	waiting []*wsConn
	running int
}

// writersTake is how many queues a writer takes at a time.
const writersTake = 8

// add makes a writer send the queue of w. The caller has set writing.
func (p *writers) add(w *wsConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting = append(p.waiting, w)
	if p.running < p.most {
		p.running++
		go p.run()
	}
}

func (p *writers) run() {
	var some [writersTake]*wsConn
	for {
		p.mu.Lock()
		n := copy(some[:], p.waiting)
		if n == 0 {
			p.waiting = nil
			p.running--
			p.mu.Unlock()
			return
		}
		clear(p.waiting[:n])
		p.waiting = p.waiting[n:]
		p.mu.Unlock()
		for _, w := range some[:n] {
			w.conn.send(w, false)
		}
	}
}

// cork lets answers wait until uncork.
func (c *Conn) cork() {
	c.mu.Lock()
	c.corked = true
	c.mu.Unlock()
}

// uncork sends the answers that waited, or the close frame that answers the client's.
func (c *Conn) uncork(w *wsConn) {
	c.mu.Lock()
	c.corked = false
	idle := c.ws == w && !c.writing && (len(c.queue) > 0 || c.state == stateClosing && !w.said.Load())
	if idle {
		c.writing = true
	}
	c.mu.Unlock()
	if idle {
		c.send(w, true)
	}
}

// send sends the queue without waiting for the client, or starts a goroutine that waits. The caller has set writing; it may be the reader.
func (c *Conn) send(w *wsConn, reader bool) {
	c.mu.Lock()
	size := 0
	for _, f := range c.queue {
		size += len(f)
	}
	state := c.state
	if state == stateClosed || size > coalesce || w.raw == nil || size == 0 && state == stateOpen {
		c.mu.Unlock()
		go c.write(w)
		return
	}
	batch, why := c.take(), c.closing
	c.mu.Unlock()

	var frames []byte
	switch {
	case state == stateClosing:
		frames = append(bytes.Join(batch, nil), closingFrame(why)...)
	case len(batch) == 1:
		frames = batch[0]
	default:
		frames = bytes.Join(batch, nil)
	}
	n := w.try(frames)
	if state == stateClosing && n > size { // also if the client's buffer is full now, so that it does not get all of the close frame
		w.said.Store(true)
		if !reader || !w.left { // otherwise the reader closes the socket now
			w.linger()
		}
	}

	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent(min(n, size))
	if n == len(frames) && len(c.queue) == 0 && c.state == state || n > size {
		if c.queue == nil && cap(batch) <= 4 {
			clear(batch)
			c.queue = batch[:0]
		}
		c.writing = false
		return
	}
	if n < size && c.state != stateClosed {
		c.queue = append([][]byte{frames[n:size]}, c.queue...)
	}
	if c.state == stateClosing {
		_ = w.nc.SetWriteDeadline(time.Now().Add(lingering))
	}
	go c.write(w)
}

// write sends the queue over a websocket, waiting for the client. At most one goroutine sends for a connection (c.writing), and none while
// the queue is empty, so that an idle connection has no goroutine and a busy one sends accumulated frames in one system call.
func (c *Conn) write(w *wsConn) {
	for {
		c.mu.Lock()
		batch := c.take()
		if len(batch) == 0 {
			if c.state == stateClosing {
				c.mu.Unlock()
				w.sendClose(c.closing)
				c.mu.Lock()
			}
			c.writing = false // only now, because Server.Close waits for it
			c.mu.Unlock()
			return
		}
		c.mu.Unlock()

		n, err := w.writeAll(batch)

		c.mu.Lock()
		c.sent(n)
		if c.queue == nil && cap(batch) <= 4 {
			clear(batch)
			c.queue = batch[:0]
		}
		c.mu.Unlock()
		if err != nil {
			c.abort(ClosedTransport)
			c.mu.Lock()
			c.writing = false
			c.mu.Unlock()
			return
		}
	}
}

// writeAll writes frames in order, several small ones per call, and returns the total length of the frames.
func (w *wsConn) writeAll(batch [][]byte) (n int, err error) {
	for _, f := range batch {
		n += len(f)
	}
	if len(batch) == 1 {
		_, err = w.nc.Write(batch[0])
		return n, err
	}
	pooled := writeBuffers.Get().(*[]byte)
	defer writeBuffers.Put(pooled)
	buf := (*pooled)[:0]
	for _, f := range batch {
		if len(buf)+len(f) > coalesce && len(buf) > 0 {
			if _, err = w.nc.Write(buf); err != nil {
				return n, err
			}
			buf = buf[:0]
		}
		if len(f) > coalesce {
			if _, err = w.nc.Write(f); err != nil {
				return n, err
			}
			continue
		}
		buf = append(buf, f...)
	}
	if len(buf) > 0 {
		_, err = w.nc.Write(buf)
	}
	return n, err
}

func closingFrame(why Closing) []byte {
	return ws.MustCompileFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(why.Code, why.Reason)))
}

// sendClose sends the close frame (RFC 6455 §5.5.1).
func (w *wsConn) sendClose(why Closing) {
	_, _ = w.nc.Write(closingFrame(why))
	w.said.Store(true)
	w.linger()
}

// linger gives the reader time to receive the client's close frame, because closing a socket with unread data would reset it and lose ours.
func (w *wsConn) linger() {
	if half, ok := w.nc.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		t := time.AfterFunc(lingering, w.close)
		if w.lingerer.Store(t); w.closing.Load() {
			t.Stop()
		}
		return
	}
	w.close()
}
