package media

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/binary"
	"image/png"
	"io"
)

func (s *Service) png(ctx context.Context, raw *part) (*inspected, error) {
	w := newWalker(ctx, raw)
	layout, err := scanPNG(w)
	if err != nil {
		return nil, err
	}
	r, err := raw.read(ctx)
	if err != nil {
		return nil, err
	}
	config, err := png.DecodeConfig(r)
	if err != nil {
		return nil, err
	}
	how := picture{config: config, orientation: exifOrientation(w, layout.exif), profile: inflated(layout.icc.reader(raw.file)), decode: png.Decode, as: asPNG}
	how.cost = layout.cost(int64(config.Width), int64(config.Height)) + turnCost(how.orientation, config.Width, config.Height, layout.bytes())
	return s.repaint(ctx, raw, how)
}

// pngLayout is the information in a PNG's chunks that determines the cost of decoding.
type pngLayout struct {
	depth, colour byte
	adam7         bool
	transparent   bool // one colour denotes transparency
	exif, icc     span
}

// bytes returns the size of a pixel in package image with 8-bit samples.
func (l pngLayout) bytes() int {
	if l.colour == 3 || l.colour == 0 && !l.transparent {
		return 1
	}
	return 4
}

// cost returns the bytes that decoding allocates.
func (l pngLayout) cost(w, h int64) int64 {
	each := int64(l.bytes())
	if l.depth == 16 {
		each *= 2
	}
	passes := int64(1)
	if l.adam7 {
		passes = 2 // each pass is a separate picture, and together they are as large as the whole
	}
	return passes*each*w*h + 2*8*w // plus two raw rows
}

// scanPNG walks the chunks of a PNG (PNG specification §5) to its end.
func scanPNG(w *walker) (l pngLayout, err error) {
	pixels := false
	for at := int64(8); ; {
		if err := w.step(); err != nil {
			return l, err
		}
		b, err := w.bytes(at, 8+13)
		if err != nil || len(b) < 8 {
			return l, wrong("a truncated PNG")
		}
		length := int64(binary.BigEndian.Uint32(b))
		switch string(b[4:8]) {
		case "IHDR":
			if at != 8 || length != 13 || len(b) < 8+13 {
				return l, wrong("a PNG with a broken header")
			}
			l.depth, l.colour, l.adam7 = b[16], b[17], b[20] != 0
		case "tRNS":
			l.transparent = l.transparent || !pixels
		case "IDAT":
			pixels = true
		case "iCCP":
			if !pixels {
				l.icc = span{at + 8, length}
			}
		case "eXIf":
			l.exif = span{at + 8, length}
		case "IEND":
			return l, nil
		}
		if at += 12 + length; at > w.size {
			return l, wrong("a PNG with a chunk beyond its end")
		}
	}
}

// inflated reads a PNG's iCCP chunk (PNG specification §11.3.2.3): a name, a zero byte, the compression method 0, and the compressed
// profile.
func inflated(chunk io.Reader) *profile {
	b, err := io.ReadAll(io.LimitReader(chunk, maxProfile))
	_, rest, ok := bytes.Cut(b, []byte{0})
	if err != nil || !ok || len(rest) < 1 {
		return nil
	}
	z, err := zlib.NewReader(bytes.NewReader(rest[1:]))
	if err != nil {
		return nil
	}
	return readProfile(z)
}
