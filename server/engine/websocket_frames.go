package engine

import (
	"bytes"
	"encoding/binary"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// feed decodes frames from data and handles each complete message and control frame.
func (w *wsConn) feed(data []byte) error {
	if len(w.rest) > 0 {
		if need := len(w.rest) + len(data); need > cap(w.rest) {
			// Double the capacity: append's smaller steps create five times as much garbage for a long frame.
			w.rest = append(make([]byte, 0, max(need, 2*cap(w.rest))), w.rest...)
		}
		w.rest = append(w.rest, data...)
		data = w.rest
	}
	for len(data) > 0 {
		h, head := readHeader(data)
		if head == 0 {
			break
		}
		if err := w.check(h, w.limit()); err != nil {
			return err
		}
		if int64(len(data)-head) < h.Length {
			break
		}
		end := head + int(h.Length)
		payload := bytes.Clone(data[head:end])
		data = data[end:]
		ws.Cipher(payload, h.Mask, 0)
		if !w.conn.allowPacket() {
			return errTooMany
		}
		last := len(data) == 0 && !w.upgrading // the answer to others is sent while the next one is handled
		if last {
			w.conn.cork()
		}
		err := w.frame(h, payload)
		if last {
			w.conn.uncork(w)
		}
		if err != nil {
			return err
		}
	}
	switch len(data) {
	case 0:
		w.rest = nil
	case len(w.rest): // nothing was consumed: data is rest, and copying it for every few bytes received would be expensive
	default:
		w.rest = append(w.rest[:0], data...)
	}
	return nil
}

// readHeader decodes a frame's header (RFC 6455 §5.2) without allocating, and returns its size; 0 if it is incomplete. A length that has the
// highest bit set is negative.
func readHeader(data []byte) (h ws.Header, size int) {
	if len(data) < 2 {
		return h, 0
	}
	h.Fin, h.Rsv, h.OpCode, h.Masked = data[0]&0x80 != 0, data[0]>>4&0x7, ws.OpCode(data[0]&0xf), data[1]&0x80 != 0
	size, h.Length = 2, int64(data[1]&0x7f)
	mask := 0
	if h.Masked {
		mask = 4
	}
	switch {
	case h.Length == 126 && len(data) >= 4:
		size, h.Length = 4, int64(binary.BigEndian.Uint16(data[2:]))
	case h.Length == 127 && len(data) >= 10:
		size, h.Length = 10, int64(binary.BigEndian.Uint64(data[2:]))
	case h.Length >= 126:
		return h, 0
	}
	if len(data) < size+mask {
		return h, 0
	}
	copy(h.Mask[:], data[size:size+mask])
	return h, size + mask
}

func (w *wsConn) check(h ws.Header, limit int) error {
	state := ws.StateServerSide
	if w.partsOp != 0 {
		state = state.Set(ws.StateFragmented)
	}
	if h.Length < 0 || ws.CheckHeader(h, state) != nil { // also refuses the bits of extensions
		return errFrame
	}
	if h.Length > int64(limit) || int64(len(w.parts))+h.Length > int64(limit) {
		return errFrameBig
	}
	return nil
}

// frame joins fragments and handles complete messages.
func (w *wsConn) frame(h ws.Header, payload []byte) error {
	if h.OpCode.IsControl() {
		return w.conn.onFrame(w, h.OpCode, payload)
	}
	op := h.OpCode
	switch {
	case !h.Fin && h.OpCode != ws.OpContinuation:
		w.parts, w.partsOp = payload, op
		return nil
	case !h.Fin:
		w.parts = append(w.parts, payload...)
		return nil
	case h.OpCode == ws.OpContinuation:
		payload, op = append(w.parts, payload...), w.partsOp
		w.parts, w.partsOp = nil, 0
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
