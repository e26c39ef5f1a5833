package media

import (
	"bufio"
	"compress/lzw"
	"context"
	"encoding/binary"
	"image/gif"
	"io"
)

const (
	// maxFramePixels is the maximum number of pixels of all frames of an animation: more takes seconds to check.
	maxFramePixels = 120_000_000
	maxFrames      = 5000
)

// gifCopier copies a GIF (GIF89a specification) block by block, using a fixed amount of memory.
type gifCopier struct {
	r      *bufio.Reader
	w      io.Writer
	pixels int64
	frames int

	head    [13]byte
	colours [3 * 256]byte
	sub     [255]byte // the current sub-block
	decoded [4096]byte
	lzw     *lzw.Reader
	data    gifData
}

// copyGIF copies the visible parts of a GIF, after decoding every frame: colours, frames, delays and the loop count. Comments, texts,
// application data and data after the end are left out. It uses a few kilobytes, however long the animation is.
func copyGIF(w io.Writer, r *bufio.Reader) error {
	c := &gifCopier{r: r, w: w, lzw: new(lzw.Reader)}
	head := c.head[:]
	if err := c.take(head); err != nil { // header and logical screen descriptor
		return err
	}
	if string(head[:3]) != "GIF" {
		return wrong("no GIF")
	}
	width, height := int(binary.LittleEndian.Uint16(head[6:])), int(binary.LittleEndian.Uint16(head[8:]))
	if _, err := w.Write(head); err != nil {
		return err
	}
	global, err := c.table(head[10])
	if err != nil {
		return err
	}
	for {
		kind, err := c.r.ReadByte()
		if err != nil {
			return endlessGIF(err)
		}
		switch kind {
		case 0x21:
			err = c.extension()
		case 0x2c:
			err = c.frame(width, height, global)
		case 0x3b:
			if c.frames == 0 {
				return wrong("a GIF without a picture")
			}
			_, err := w.Write([]byte{0x3b})
			return err
		default:
			return wrong("a GIF with an unknown block %#x", kind)
		}
		if err != nil {
			return err
		}
	}
}

func endlessGIF(err error) error { return wrong("a truncated GIF: %w", err) }

func (c *gifCopier) take(b []byte) error {
	if _, err := io.ReadFull(c.r, b); err != nil {
		return endlessGIF(err)
	}
	return nil
}

// table copies the colour table announced by flags and returns its size.
func (c *gifCopier) table(flags byte) (colours int, err error) {
	if flags&0x80 == 0 {
		return 0, nil
	}
	colours = 2 << (flags & 7)
	b := c.colours[:3*colours]
	if err := c.take(b); err != nil {
		return 0, err
	}
	_, err = c.w.Write(b)
	return colours, err
}

// block reads one sub-block, which is valid until the next call; an empty one ends a sequence.
func (c *gifCopier) block() ([]byte, error) {
	n, err := c.r.ReadByte()
	if err != nil {
		return nil, endlessGIF(err)
	}
	return c.sub[:n], c.take(c.sub[:n])
}

func (c *gifCopier) skip() error {
	for {
		if b, err := c.block(); err != nil || len(b) == 0 {
			return err
		}
	}
}

// extension copies the extensions that animations need: the graphic control of a frame, and the loop count.
func (c *gifCopier) extension() error {
	label, err := c.r.ReadByte()
	if err != nil {
		return endlessGIF(err)
	}
	first, err := c.block()
	if err != nil || len(first) == 0 {
		return err
	}
	var out [32]byte
	keep := out[:0]
	switch {
	case label == 0xf9 && len(first) == 4:
		keep = append(append(keep, 0x21, 0xf9, 4), first...)
	case label == 0xff && (string(first) == "NETSCAPE2.0" || string(first) == "ANIMEXTS1.0"):
		keep = append(append(keep, 0x21, 0xff, 11), first...)
		rounds, err := c.block()
		if err != nil || len(rounds) == 0 {
			return err
		}
		if len(rounds) != 3 || rounds[0] != 1 {
			return c.skip()
		}
		keep = append(keep, 3, 1, rounds[1], rounds[2])
	default:
		return c.skip()
	}
	if _, err := c.w.Write(append(keep, 0)); err != nil {
		return err
	}
	return c.skip()
}

// frame copies one frame, decoding it at the same time.
func (c *gifCopier) frame(width, height, colours int) error {
	var descriptor [10]byte
	descriptor[0] = 0x2c
	d := descriptor[1:]
	if err := c.take(d); err != nil {
		return err
	}
	at := func(i int) int { return int(binary.LittleEndian.Uint16(d[i:])) }
	w, h := at(4), at(6)
	if at(0)+w > width || at(2)+h > height || w == 0 || h == 0 {
		return wrong("a GIF with a frame beyond its edges")
	}
	if c.frames++; c.frames > maxFrames {
		return wrong("a GIF of more than %d frames", maxFrames)
	}
	if c.pixels += int64(w) * int64(h); c.pixels > maxFramePixels {
		return tooManyPixels(wrong("frames of more than %d pixels", maxFramePixels))
	}
	if _, err := c.w.Write(descriptor[:]); err != nil {
		return err
	}
	own, err := c.table(d[8])
	if err != nil {
		return err
	}
	if own > 0 {
		colours = own
	}
	size, err := c.r.ReadByte()
	if err != nil {
		return endlessGIF(err)
	}
	if size < 2 || size > 8 {
		return wrong("a GIF with codes of %d bits", size)
	}
	if _, err := c.w.Write([]byte{size}); err != nil {
		return err
	}
	c.data = gifData{c: c}
	c.lzw.Reset(&c.data, lzw.LSB, int(size))
	if err := c.checkPixels(w*h, colours); err != nil {
		return err
	}
	if _, err := c.w.Write([]byte{0}); err != nil {
		return err
	}
	if c.data.ended {
		return nil
	}
	return c.skip()
}

// checkPixels decodes the pixels of a frame; each index must be in the colour table.
func (c *gifCopier) checkPixels(n, colours int) error {
	for n > 0 {
		got, err := io.ReadFull(c.lzw, c.decoded[:min(n, len(c.decoded))])
		for _, p := range c.decoded[:got] {
			if int(p) >= colours {
				return wrong("a GIF with a pixel without colour")
			}
		}
		if err != nil {
			return wrong("a GIF's frame: %w", err)
		}
		n -= got
	}
	return nil
}

// gifData passes the sub-blocks of a frame to the decompressor and copies those that it reads.
type gifData struct {
	c     *gifCopier
	block []byte
	ended bool
}

// ReadByte is used by the decompressor, so that it reads no further than it needs.
func (d *gifData) ReadByte() (byte, error) {
	if len(d.block) == 0 {
		if d.ended {
			return 0, io.EOF
		}
		b, err := d.c.block()
		if err != nil {
			return 0, err
		}
		if len(b) == 0 {
			d.ended = true
			return 0, io.EOF
		}
		if _, err := d.c.w.Write([]byte{byte(len(b))}); err != nil {
			return 0, err
		}
		if _, err := d.c.w.Write(b); err != nil {
			return 0, err
		}
		d.block = b
	}
	b := d.block[0]
	d.block = d.block[1:]
	return b, nil
}

// Read makes gifData an io.Reader, which the decompressor's signature requires; it only uses ReadByte.
func (d *gifData) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	b, err := d.ReadByte()
	if err != nil {
		return 0, err
	}
	p[0] = b
	return 1, nil
}

// gif checks and copies an animation frame by frame, because all frames together may not fit into memory.
func (s *Service) gif(ctx context.Context, raw *part) (*inspected, error) {
	r, err := raw.read(ctx)
	if err != nil {
		return nil, err
	}
	config, err := gif.DecodeConfig(r)
	if err == nil {
		err = fits(config)
	}
	if err != nil {
		return nil, err
	}
	found := &inspected{mime: "image/gif", ext: ".gif", width: config.Width, height: config.Height}
	cost := 2 * int64(config.Width) * int64(config.Height) // twice, for interlaced rows
	err = s.memory.run(ctx, cost, func(ctx context.Context) error {
		r, err := raw.read(ctx)
		if err != nil {
			return err
		}
		if found.body, err = s.local.create(); err != nil {
			return err
		}
		w := bufio.NewWriterSize(found.body, 16<<10)
		if err := copyGIF(w, r); err != nil {
			return err
		}
		if err := w.Flush(); err != nil {
			return err
		}
		if r, err = raw.read(ctx); err != nil {
			return err
		}
		first, err := gif.Decode(r)
		if err != nil {
			return err
		}
		return s.thumbnail(ctx, found, first, outputLimit(raw.size)-found.body.size)
	})
	return found.or(err)
}
