package engine

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
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
	deflate bool

	// The rest belongs to the reader.
	rest       []byte // bytes of a frame that has not arrived whole
	parts      []byte // fragments of a message that has not arrived whole
	partsOp    ws.OpCode
	compressed bool // that message is
}

var (
	errFrame    = errors.New("engine: websocket protocol violation")
	errFrameBig = errors.New("engine: websocket message too big")
	errFrameUTF = errors.New("engine: websocket text is not UTF-8")
	errOver     = errors.New("engine: connection over")
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
	_, deflate := extension.Accepted()
	return &wsConn{nc: nc, deflate: deflate}, buffered(rw.Reader), nil
}

// buffered takes out what a reader holds, so that the reader can be let go.
func buffered(r *bufio.Reader) []byte {
	ahead, err := r.Peek(r.Buffered())
	if err != nil || len(ahead) == 0 {
		return nil
	}
	return bytes.Clone(ahead)
}

// serve reads until the websocket ends and owns its closing. first is what was read ahead of time.
func (c *Conn) serve(w *wsConn, first []byte) {
	defer w.nc.Close()
	on := func(op ws.OpCode, payload []byte) error { return c.onFrame(w, op, payload) }
	err := w.feed(first, c.srv.opts.MaxPayload, on)
	if err == nil {
		err = w.read(func(data []byte) error { return w.feed(data, c.srv.opts.MaxPayload, on) })
	}
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
	case errors.Is(err, errOver):
	default:
		c.abort(ClosedByClient)
		return
	}
	w.rest, w.parts = nil, nil
	// What still comes is of no interest, but must be taken for our last words to arrive.
	io.Copy(io.Discard, io.LimitReader(w.nc, int64(8*c.srv.opts.MaxPayload)))
}

// onFrame acts on one whole message or control frame.
func (c *Conn) onFrame(w *wsConn, op ws.OpCode, payload []byte) error {
	switch op {
	case ws.OpPing:
		c.control(w, ws.NewPongFrame(payload))
		return nil
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

// control queues a control frame, or writes it where there is no queue yet.
func (c *Conn) control(w *wsConn, f ws.Frame) {
	frame := ws.MustCompileFrame(f)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.ws != w:
		w.nc.SetWriteDeadline(time.Now().Add(lingering))
		w.nc.Write(frame)
	case c.state == stateOpen && len(c.queue) < volatileDepth:
		c.push(frame)
	}
}

func (c *Conn) isCurrent(w *wsConn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ws == w
}

// feed decodes frames from data, which it may change, and calls on for each message and control frame. payload is the
// callee's to keep.
func (w *wsConn) feed(data []byte, limit int, on func(op ws.OpCode, payload []byte) error) error {
	if len(w.rest) > 0 {
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
		if err := w.check(h, limit); err != nil {
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
		if err := w.frame(h, payload, limit, on); err != nil {
			return err
		}
	}
	if len(data) == 0 {
		w.rest = nil
	} else {
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
func (w *wsConn) frame(h ws.Header, payload []byte, limit int, on func(ws.OpCode, []byte) error) error {
	if h.OpCode.IsControl() {
		return on(h.OpCode, payload)
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
		if payload, err = inflate(payload, limit); err != nil {
			return err
		}
	}
	if op == ws.OpText && !utf8.Valid(payload) {
		return errFrameUTF
	}
	return on(op, payload)
}
