package media

import (
	"bytes"
	"context"
	"fmt"
	"io"
)

const (
	// maxElements is the maximum number of elements of a container: three hours of audio in packets of 20 ms, and more than 10 MB of
	// the shortest frames of MP3.
	maxElements = 500_000
	windowSize  = 16 << 10
)

// walker reads a file's structure from start to end, with one buffer and a limited number of steps.
type walker struct {
	ctx    context.Context
	r      io.ReaderAt
	size   int64
	steps  int
	from   int64 // offset of the window
	n      int   // number of bytes in it
	window [windowSize]byte
}

func newWalker(ctx context.Context, p *part) *walker {
	return &walker{ctx: ctx, r: p.file, size: p.size}
}

// bytes returns up to n bytes at an offset, fewer at the end of the file; they are valid until the next call.
func (w *walker) bytes(at int64, n int) ([]byte, error) {
	if at < 0 || at >= w.size {
		return nil, io.ErrUnexpectedEOF
	}
	n = int(min(int64(n), w.size-at))
	if at < w.from || at+int64(n) > w.from+int64(w.n) {
		if err := w.ctx.Err(); err != nil {
			return nil, fmt.Errorf("reading the file: %w", err)
		}
		got, err := w.r.ReadAt(w.window[:min(windowSize, w.size-at)], at)
		if got < n {
			w.n = 0
			return nil, err
		}
		w.from, w.n = at, got
	}
	at -= w.from
	return w.window[at : at+int64(n)], nil
}

// exactly returns n bytes at an offset, or an error if there are fewer.
func (w *walker) exactly(at int64, n int) ([]byte, error) {
	b, err := w.bytes(at, n)
	if err == nil && len(b) < n {
		err = io.ErrUnexpectedEOF
	}
	return b, err
}

// index returns the offset of the next occurrence of a byte from at on.
func (w *walker) index(at int64, c byte) (int64, error) {
	for {
		if _, err := w.bytes(at, 1); err != nil {
			return 0, err
		}
		b := w.window[at-w.from : w.n]
		if i := bytes.IndexByte(b, c); i >= 0 {
			return at + int64(i), nil
		}
		at += int64(len(b))
	}
}

// find returns the offset of the next occurrence of a byte sequence from at on.
func (w *walker) find(at int64, what []byte) (int64, error) {
	for {
		if _, err := w.exactly(at, len(what)); err != nil {
			return 0, err
		}
		b := w.window[at-w.from : w.n]
		if i := bytes.Index(b, what); i >= 0 {
			return at + int64(i), nil
		}
		at += int64(len(b) - len(what) + 1)
	}
}

// step counts an element and returns an error if there are too many.
func (w *walker) step() error {
	if w.steps++; w.steps > maxElements {
		return wrong("it has more than %d elements", maxElements)
	}
	if w.steps%4096 == 0 {
		return w.ctx.Err()
	}
	return nil
}
