package engine

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gobwas/ws"
)

// wsConn is one websocket. Framing, masking, header checks and the handshake are done by github.com/gobwas/ws, which leaves reading to
// its caller, so that an idle connection needs no buffer (comparison in bench/README.md).
type wsConn struct {
	nc   net.Conn
	raw  syscall.RawConn // of nc, if it has one
	conn *Conn           // set before other goroutines have access

	fd      int32 // key in the poller, guarded by its lock
	reading atomic.Int32
	ended   atomic.Bool // the client has closed its side, or the socket is broken; set by the poller
	closing atomic.Bool
	said    atomic.Bool // the close frame was sent
	// lingerer closes the socket if the client does not. It must be stopped with the socket, because it keeps the connection in memory.
	lingerer atomic.Pointer[time.Timer]
	// late closes the connection if a message stays incomplete; nil if none is. It must be stopped with the socket too.
	late atomic.Pointer[time.Timer]

	// The remaining fields are used only by the reader.
	rest      []byte // bytes of an incomplete frame
	parts     []byte // fragments of an incomplete message
	partsOp   ws.OpCode
	upgrading bool // not the connection's transport yet
	left      bool // the client has sent a close frame, so that it sends nothing more; written under conn.mu, for others
	held      int  // bytes of rest and parts counted against the budget
	handled   int  // number of messages handled
}

// probeLimit is the maximum message size on a websocket that is not the connection's transport yet, which only sends "2probe".
const probeLimit = 64

// kernelBuffer is the kernel buffer of a websocket in each direction, in bytes.
const kernelBuffer = 64 << 10

// countedFrom is the size from which a received message, incomplete or being handled, is counted against the memory budget. The sum of
// smaller ones is limited by the number of connections, and counting them would cost a lock each.
const countedFrom = 4 << 10

var (
	errFrame    = errors.New("engine: websocket protocol violation")
	errFrameBig = errors.New("engine: websocket message too big")
	errFrameUTF = errors.New("engine: websocket text is not UTF-8")
	errOver     = errors.New("engine: connection over")
	errMemory   = errors.New("engine: connections hold too much memory")
	errTooMany  = errors.New("engine: too many frames")
)

// accept checks a websocket handshake and returns the connection, the response, which the caller sends, and the data already read after the
// request.
func (s *Server) accept(w http.ResponseWriter, r *http.Request) (socket *wsConn, response, first []byte, err error) {
	var upgrader ws.HTTPUpgrader
	var written bytes.Buffer
	nc, rw, _, err := upgrader.Upgrade(r, &responseKeeper{w, &written})
	if err != nil {
		if nc != nil {
			_, _ = nc.Write(written.Bytes())
			nc.Close()
		}
		return nil, nil, nil, err
	}
	if tcp, ok := nc.(*net.TCPConn); ok {
		// Limits the memory of a client that does not read: the kernel's buffers are not counted in the budget. On an error the
		// system's defaults apply.
		_ = tcp.SetWriteBuffer(kernelBuffer)
		_ = tcp.SetReadBuffer(kernelBuffer)
	}
	socket = &wsConn{nc: nc}
	if sc, ok := nc.(syscall.Conn); ok {
		if socket.raw, err = sc.SyscallConn(); err != nil {
			nc.Close()
			return nil, nil, nil, err
		}
	}
	return socket, written.Bytes(), buffered(rw.Reader), nil
}

// responseKeeper keeps the response to a handshake, so that it is sent in one write with the first packet.
type responseKeeper struct {
	http.ResponseWriter
	written *bytes.Buffer
}

// Unwrap is for [http.ResponseController].
func (k *responseKeeper) Unwrap() http.ResponseWriter { return k.ResponseWriter }

func (k *responseKeeper) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	nc, rw, err := http.NewResponseController(k.ResponseWriter).Hijack()
	if err != nil {
		return nc, rw, err
	}
	return nc, bufio.NewReadWriter(rw.Reader, bufio.NewWriterSize(k.written, 256)), nil
}

// buffered returns a copy of a reader's buffered data, so that the reader can be released.
func buffered(r *bufio.Reader) []byte {
	ahead, err := r.Peek(r.Buffered())
	if err != nil || len(ahead) == 0 {
		return nil
	}
	return bytes.Clone(ahead)
}

// serve starts reading the websocket as c's. first is data that was already read. It returns when the poller has taken over, or when
// the websocket is closed.
func (c *Conn) serve(w *wsConn, first []byte) {
	if err := w.on(first); err != nil {
		w.over(err)
		return
	}
	if p := c.srv.poll(); p != nil && w.raw != nil && p.watch(w) == nil {
		return
	}
	go func() { w.over(w.read(w.on)) }()
}

// on handles received bytes.
func (w *wsConn) on(data []byte) error {
	before := w.handled
	if err := w.feed(data); err != nil {
		return err
	}
	return w.incomplete(w.handled > before)
}

// incomplete counts the bytes of incomplete messages, and sets a timeout for their completion. progress reports that a message was
// completed meanwhile, so that the incomplete one is new.
func (w *wsConn) incomplete(progress bool) error {
	late := w.late.Load()
	switch patience := w.conn.srv.opts.BodyTimeout; {
	case len(w.rest) == 0 && w.partsOp == 0:
		w.stop(&w.late)
	case late == nil:
		w.late.Store(time.AfterFunc(patience, w.deadlineExceeded))
		if w.closing.Load() {
			w.stop(&w.late)
		}
	case progress:
		late.Reset(patience)
	}
	held := cap(w.rest) + cap(w.parts)
	if held < countedFrom {
		held = 0
	}
	if held > w.held && !w.conn.Hold(held-w.held) {
		return errMemory
	}
	if held < w.held {
		w.conn.Release(w.held - held)
	}
	w.held = held
	return nil
}

func (w *wsConn) stop(timer *atomic.Pointer[time.Timer]) {
	if t := timer.Swap(nil); t != nil {
		t.Stop()
	}
}

func (w *wsConn) deadlineExceeded() {
	if w.conn.dropProbe(w) {
		w.close()
		return
	}
	w.conn.fail(ClosedSlowBody)
}

// limit returns the current maximum size of a message in bytes.
func (w *wsConn) limit() int {
	if w.upgrading {
		return probeLimit
	}
	return w.conn.limit()
}

// over closes the websocket, and the connection if this is its transport, for the error that ended reading.
func (w *wsConn) over(err error) {
	defer w.close()
	c := w.conn
	if c.dropProbe(w) {
		return
	}
	switch {
	case errors.Is(err, errFrameBig):
		c.fail(ClosedTooBig)
	case errors.Is(err, errFrameUTF):
		c.fail(ClosedText)
	case errors.Is(err, errFrame):
		c.fail(ClosedParse)
	case errors.Is(err, errTooMany):
		c.fail(ClosedFlood)
	case errors.Is(err, errOver), errors.Is(err, errMemory):
	default:
		c.abort(ClosedByClient)
		return
	}
	w.rest, w.parts = nil, nil
	if w.left && w.said.Load() {
		return
	}
	// Closing a socket with unread data resets it, and the close frame would be lost, so data still arriving is read and discarded.
	still := 2 * kernelBuffer
	if errors.Is(err, errFrameBig) {
		still = 8 * c.limit()
	}
	w.nc.SetReadDeadline(time.Now().Add(2 * lingering))
	io.Copy(io.Discard, io.LimitReader(w.nc, int64(still)))
}

// close closes the socket. Further calls do nothing.
func (w *wsConn) close() {
	if w.closing.Swap(true) {
		return
	}
	w.stop(&w.lingerer)
	w.stop(&w.late)
	if w.conn != nil {
		if p := w.conn.srv.poll(); p != nil {
			p.forget(w)
		}
	}
	w.nc.Close()
}

// onFrame handles one complete message or control frame.
func (c *Conn) onFrame(w *wsConn, op ws.OpCode, payload []byte) error {
	switch op {
	case ws.OpPing:
		return c.pongFrame(w, payload)
	case ws.OpPong:
		return nil
	case ws.OpClose:
		if !c.isCurrent(w) {
			return errOver
		}
		c.mu.Lock()
		w.left = true
		c.mu.Unlock()
		c.leave()
		return errOver
	}
	if !c.isCurrent(w) {
		return c.onProbe(w, op, payload)
	}
	p := packet{typ: packetMessage, data: payload, binary: true}
	if op == ws.OpText {
		var err error
		if p, err = decodeText(payload); err != nil {
			if errors.Is(err, errText) {
				return errFrameUTF
			}
			return errFrame
		}
	}
	if !c.receive(p) {
		return errOver
	}
	return nil
}

// pongFrame answers a ping frame: through the queue, or directly while the websocket is being probed.
func (c *Conn) pongFrame(w *wsConn, payload []byte) error {
	frame := ws.MustCompileFrame(ws.NewPongFrame(payload))
	c.mu.Lock()
	if c.ws == w {
		defer c.mu.Unlock()
		if c.state == stateOpen && len(c.queue) < volatileDepth {
			c.push(frame)
		}
		return nil
	}
	c.mu.Unlock()
	return w.writeNow(frame)
}

// writeNow writes to a websocket that is not the connection's transport yet, to which only its reader writes. It may block on the
// client, so the caller must not hold c.mu, which publishers need.
func (w *wsConn) writeNow(frame []byte) error {
	if err := w.nc.SetWriteDeadline(time.Now().Add(lingering)); err != nil {
		return err
	}
	if _, err := w.nc.Write(frame); err != nil {
		return err
	}
	return w.nc.SetWriteDeadline(time.Time{})
}

func (c *Conn) isCurrent(w *wsConn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ws == w
}
