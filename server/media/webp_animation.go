package media

import (
	"bufio"
	"context"
	"encoding/binary"
	"image"

	"golang.org/x/image/webp"
)

// animation is the information in the chunks of an animated WebP (RFC 9649 §2.7).
type animation struct {
	animated    bool
	frames      int
	pixels      int64       // total of all frames
	first       *webpChunks // the first frame as a separate picture
	firstConfig image.Config
}

// frame checks an ANMF chunk with length bytes of content. Only the header of a frame's picture is read, which must match the chunk.
func (c *webpChunks) frame(w *walker, at, length int64) error {
	const header = 16
	b, err := w.exactly(at+8, header)
	if err != nil || length < header || c.canvas == nil {
		return wrong("a WebP with a broken frame")
	}
	uint24 := func(i int) int { return int(b[i]) | int(b[i+1])<<8 | int(b[i+2])<<16 }
	width, height := uint24(6)+1, uint24(9)+1
	size := c.size()
	if 2*uint24(0)+width > size.Width || 2*uint24(3)+height > size.Height {
		return wrong("a WebP with a frame beyond its edges")
	}
	if c.frames++; c.frames > maxFrames {
		return wrong("a WebP of more than %d frames", maxFrames)
	}
	if c.pixels += int64(width) * int64(height); c.pixels > maxFramePixels {
		return tooManyPixels(wrong("frames of more than %d pixels", maxFramePixels))
	}
	still := &webpChunks{}
	found := false
	end := at + 8 + length
	for at := at + 8 + header; at < end; {
		if err := w.step(); err != nil {
			return err
		}
		chunk, err := w.bytes(at, 8+10)
		if err != nil || len(chunk) < 8 {
			return wrong("a WebP with a broken frame")
		}
		kind, n := string(chunk[:4]), int64(binary.LittleEndian.Uint32(chunk[4:]))
		next := at + 8 + n + n&1
		if at+8+n > end {
			return wrong("a WebP with a chunk beyond its frame")
		}
		switch {
		case kind == "ALPH" && !found && len(still.spans) == 0:
			still.alpha = true
		case (kind == "VP8 " || kind == "VP8L") && !found:
			if w, h := pictureSize(kind, chunk[8:]); w != width || h != height {
				return wrong("a WebP with a frame of another size than its picture")
			}
			found, still.lossless = true, kind == "VP8L"
			still.alpha = still.alpha || still.lossless
		default:
			return wrong("a WebP with the chunk %q in a frame", kind)
		}
		still.spans = append(still.spans, span{at, next - at})
		at = next
	}
	if !found {
		return wrong("a WebP with a frame without a picture")
	}
	if c.frames == 1 {
		if len(still.spans) > 1 { // requires the extended format, with a canvas of the frame's size
			still.canvas = binary.LittleEndian.AppendUint64([]byte("VP8X\x0a\x00\x00\x00\x10\x00\x00\x00"), uint64(width-1)|uint64(height-1)<<24)[:18]
		}
		c.first, c.firstConfig = still, image.Config{Width: width, Height: height}
	}
	return nil
}

// size returns the canvas size in the extended format.
func (c *webpChunks) size() image.Config {
	uint24 := func(i int) int { return int(c.canvas[i]) | int(c.canvas[i+1])<<8 | int(c.canvas[i+2])<<16 }
	return image.Config{Width: uint24(12) + 1, Height: uint24(15) + 1}
}

// pictureSize reads a picture's size from its bitstream (RFC 6386 §9.1, RFC 9649 §3.4); zeros if it is invalid.
func pictureSize(kind string, b []byte) (w, h int) {
	switch {
	case kind == "VP8 " && len(b) >= 10 && b[0]&1 == 0 && string(b[3:6]) == "\x9d\x01\x2a":
		return int(binary.LittleEndian.Uint16(b[6:]) & 0x3fff), int(binary.LittleEndian.Uint16(b[8:]) & 0x3fff)
	case kind == "VP8L" && len(b) >= 5 && b[0] == 0x2f:
		bits := binary.LittleEndian.Uint32(b[1:])
		return int(bits&0x3fff) + 1, int(bits>>14&0x3fff) + 1
	}
	return 0, 0
}

// animatedWebP keeps the frames unchanged. The first one is decoded, for the thumbnail; of the others only the headers are read, so
// that checking takes no longer than for one picture.
func (s *Service) animatedWebP(ctx context.Context, raw *part, chunks *webpChunks) (*inspected, error) {
	size := chunks.size()
	if err := fits(size); err != nil {
		return nil, err
	}
	found := &inspected{mime: "image/webp", ext: ".webp", width: size.Width, height: size.Height}
	var cost int64
	err := s.memory.run(ctx, 0, func(ctx context.Context) (err error) {
		cost, err = chunks.first.cost(ctx, raw, chunks.firstConfig)
		return err
	})
	if err != nil {
		return nil, err
	}
	err = s.memory.run(ctx, cost, func(ctx context.Context) error {
		m, err := webp.Decode(bufio.NewReaderSize(timed{ctx, chunks.first.file(raw.file)}, 16<<10))
		if err != nil {
			return err
		}
		if found.body, err = s.local.create(); err != nil {
			return err
		}
		if err := chunks.copy(found.body, raw.file); err != nil {
			return err
		}
		if chunks.firstConfig.Width != size.Width || chunks.firstConfig.Height != size.Height {
			return nil // it shows only a part of the canvas
		}
		return s.thumbnail(ctx, found, m, outputLimit(raw.size)-found.body.size)
	})
	return found.or(err)
}
