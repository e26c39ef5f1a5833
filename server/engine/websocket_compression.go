package engine

import (
	"bytes"
	"compress/flate"
	"io"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"
)

// deflateFrom is the minimum size of messages that are compressed.
const deflateFrom = 256

var deflater = wsflate.DefaultHelper

// deflateFrames compresses the messages in a sequence of frames (RFC 7692, without context takeover).
func deflateFrames(frames []byte) ([]byte, error) {
	var out []byte
	for rest := frames; len(rest) > 0; {
		op, payload, next := splitFrame(rest)
		whole := rest[:len(rest)-len(next)]
		rest = next
		if !op.IsData() || len(payload) < deflateFrom {
			out = append(out, whole...)
			continue
		}
		f, err := deflater.CompressFrame(ws.NewFrame(op, true, payload))
		if err != nil {
			return nil, err
		}
		compiled, err := ws.CompileFrame(f)
		if err != nil {
			return nil, err
		}
		out = append(out, compiled...)
	}
	return out, nil
}

// inflate decompresses one message of at most limit bytes.
func inflate(payload []byte, limit int) ([]byte, error) {
	r := wsflate.NewReader(bytes.NewReader(payload), func(r io.Reader) wsflate.Decompressor { return flate.NewReader(r) })
	defer r.Close()
	out, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
	switch {
	case err != nil:
		return nil, errFrame
	case len(out) > limit:
		return nil, errFrameBig
	}
	return out, nil
}
