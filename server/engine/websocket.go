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
	"unicode/utf8"

	"github.com/gobwas/httphead"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"
)

// wsConn is one websocket. Framing, masking, header checks and the handshake are github.com/gobwas/ws; it is the one of
// the kept libraries that leaves reading to its caller, which is what lets an idle connection hold no buffer
// (bench/README.md has the comparison).
type wsConn struct {
	nc      net.Conn
	raw     syscall.RawConn // nc's, where it has one
	conn    *Conn           // whose websocket it is; set before anybody else sees it
	deflate bool

	fd      int32 // the poller's key, guarded by its lock
	reading atomic.Int32
	closing atomic.Bool
	// lingerer closes the socket if the client does not; it must not outlive it, or it would hold on to the connection.
	lingerer atomic.Pointer[time.Timer]
	// late closes the connection if a message stays incomplete; nil while none is. It must not outlive the socket either.
	late atomic.Pointer[time.Timer]

	// The rest belongs to the reader.
	rest       []byte // bytes of a frame that has not arrived whole
	parts      []byte // fragments of a message that has not arrived whole
	partsOp    ws.OpCode
	compressed bool // that message is
	upgrading  bool // not the connection's transport yet
	held       int  // bytes of rest and parts that are counted
	handled    int  // messages handed on
}

// probeLimit is the longest message of a websocket that is not the connection's transport yet: "2probe".
const probeLimit = 64

// kernelBuffer is what the kernel may hold of a websocket in each direction, in bytes.
const kernelBuffer = 64 << 10

// countedFrom is the size from which a message is counted against the budget. Smaller ones are bounded by the number of
// connections, and counting them would cost a lock for each.
const countedFrom = 4 << 10

var (
	errFrame    = errors.New("engine: websocket protocol violation")
	errFrameBig = errors.New("engine: websocket message too big")
	errFrameUTF = errors.New("engine: websocket text is not UTF-8")
	errOver     = errors.New("engine: connection over")
	errMemory   = errors.New("engine: connections hold too much memory")
	errTooMany  = errors.New("engine: too many frames")
)

// accept answers a websocket handshake and returns the connection with what was already read behind the request.
func (s *Server) accept(w http.ResponseWriter, r *http.Request) (*wsConn, []byte, error) {
	var upgrader ws.HTTPUpgrader
	extension := wsflate.Extension{Parameters: wsflate.Parameters{
		ServerNoContextTakeover: true,
		ClientNoContextTakeover: true,
	}}
	if s.opts.Compression {
		upgrader.Negotiate = func(o httphead.Option) (httphead.Option, error) { return extension.Negotiate(o) }
	}
	nc, rw, _, err := upgrader.Upgrade(r, w)
	if err != nil {
		if nc != nil {
			nc.Close()
		}
		return nil, nil, err
	}
	if tcp, ok := nc.(*net.TCPConn); ok {
		// A client that does not read costs what waits here and what the kernel holds, which is not counted here. An error
		// leaves the system's own sizes.
		_ = tcp.SetWriteBuffer(kernelBuffer)
		_ = tcp.SetReadBuffer(kernelBuffer)
	}
	socket := &wsConn{nc: nc}
	_, socket.deflate = extension.Accepted()
	if sc, ok := nc.(syscall.Conn); ok {
		if socket.raw, err = sc.SyscallConn(); err != nil {
			nc.Close()
			return nil, nil, err
		}
	}
	return socket, buffered(rw.Reader), nil
}

// buffered takes out what a reader holds, so that the reader can be let go.
func buffered(r *bufio.Reader) []byte {
	ahead, err := r.Peek(r.Buffered())
	if err != nil || len(ahead) == 0 {
		return nil
	}
	return bytes.Clone(ahead)
}

// serve begins to read the websocket as c's. first is what was read ahead of time. It returns when somebody else waits for
// more, or when the websocket is over.
func (c *Conn) serve(w *wsConn, first []byte) {
	if err := w.on(first); err != nil {
		w.over(err)
		return
	}
	if p := c.srv.poll(); p != nil && w.raw != nil && p.watch(w) == nil {
		return
	}
	w.over(w.read(w.on))
}

// on takes bytes as they arrive.
func (w *wsConn) on(data []byte) error {
	before := w.handled
	if err := w.feed(data); err != nil {
		return err
	}
	return w.incomplete(w.handled > before)
}

// incomplete counts what has arrived of messages that are not complete, and sees to it that they do not stay so. progress says
// that a message was completed meanwhile, so that what is incomplete now is another one.
func (w *wsConn) incomplete(progress bool) error {
	late := w.late.Load()
	switch patience := w.conn.srv.opts.BodyTimeout; {
	case len(w.rest) == 0 && w.partsOp == 0:
		w.stop(&w.late)
	case late == nil:
		w.late.Store(time.AfterFunc(patience, w.tooLate))
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

func (w *wsConn) tooLate() {
	if w.conn.dropProbe(w) {
		w.close()
		return
	}
	w.conn.fail(ClosedSlowBody)
}

// limit is the most bytes that a message may have now.
func (w *wsConn) limit() int {
	if w.upgrading {
		return probeLimit
	}
	return w.conn.limit()
}

// over ends the websocket, and the connection if this is its transport, for the reason for which reading ended.
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
	// Closing a socket with unread data resets it, and the close frame would be lost: what is on its way is read and discarded.
	still := 2 * kernelBuffer
	if errors.Is(err, errFrameBig) {
		still = 8 * c.limit()
	}
	w.nc.SetReadDeadline(time.Now().Add(2 * lingering))
	io.Copy(io.Discard, io.LimitReader(w.nc, int64(still)))
}

// close closes the socket, once.
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

// onFrame acts on one whole message or control frame.
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

// pongFrame answers a ping frame: by the queue, or at once where there is none yet.
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

// writeNow writes to a websocket that is not the connection's transport yet, for which its reader alone writes. It may wait for
// the client, so the caller must not hold c.mu: publishers wait for that.
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

// feed decodes frames from data and hands on each message and control frame that is whole.
func (w *wsConn) feed(data []byte) error {
	if len(w.rest) > 0 {
		if need := len(w.rest) + len(data); need > cap(w.rest) {
			// By doubling, since append's smaller steps make five times as much garbage of a long frame.
			w.rest = append(make([]byte, 0, max(need, 2*cap(w.rest))), w.rest...)
		}
		w.rest = append(w.rest, data...)
		data = w.rest
	}
	var r bytes.Reader
	for len(data) > 0 {
		r.Reset(data)
		h, err := ws.ReadHeader(&r)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			return errFrame
		}
		if err := w.check(h, w.limit()); err != nil {
			return err
		}
		head := len(data) - r.Len()
		if int64(r.Len()) < h.Length {
			break
		}
		end := head + int(h.Length)
		payload := bytes.Clone(data[head:end])
		data = data[end:]
		ws.Cipher(payload, h.Mask, 0)
		if !w.conn.allowPacket() {
			return errTooMany
		}
		if err := w.frame(h, payload); err != nil {
			return err
		}
	}
	switch len(data) {
	case 0:
		w.rest = nil
	case len(w.rest): // nothing was taken: data is rest, and moving it for every few bytes that arrive would add up
	default:
		w.rest = append(w.rest[:0], data...)
	}
	return nil
}

func (w *wsConn) check(h ws.Header, limit int) error {
	state := ws.StateServerSide
	if w.deflate {
		state = state.Set(ws.StateExtended)
	}
	if w.partsOp != 0 {
		state = state.Set(ws.StateFragmented)
	}
	if ws.CheckHeader(h, state) != nil || h.Rsv2() || h.Rsv3() {
		return errFrame
	}
	if h.Rsv1() && (h.OpCode == ws.OpContinuation || h.OpCode.IsControl()) {
		return errFrame
	}
	if h.Length > int64(limit) || int64(len(w.parts))+h.Length > int64(limit) {
		return errFrameBig
	}
	return nil
}

// frame joins fragments and hands on what is whole.
func (w *wsConn) frame(h ws.Header, payload []byte) error {
	if h.OpCode.IsControl() {
		return w.conn.onFrame(w, h.OpCode, payload)
	}
	op, compressed := h.OpCode, h.Rsv1()
	switch {
	case !h.Fin && h.OpCode != ws.OpContinuation:
		w.parts, w.partsOp, w.compressed = payload, op, compressed
		return nil
	case !h.Fin:
		w.parts = append(w.parts, payload...)
		return nil
	case h.OpCode == ws.OpContinuation:
		payload, op, compressed = append(w.parts, payload...), w.partsOp, w.compressed
		w.parts, w.partsOp, w.compressed = nil, 0, false
	}
	if compressed {
		var err error
		if payload, err = inflate(payload, w.limit()); err != nil {
			return err
		}
	}
	if op == ws.OpText && !utf8.Valid(payload) {
		return errFrameUTF
	}
	w.handled++
	if len(payload) >= countedFrom {
		if !w.conn.Hold(len(payload)) {
			return errMemory
		}
		defer w.conn.Release(len(payload))
	}
	return w.conn.onFrame(w, op, payload)
}
