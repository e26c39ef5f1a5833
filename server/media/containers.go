package media

import (
	"compress/lzw"
	"encoding/binary"
	"io"
)

// maxFramePixels is what all frames of an animation may have together: more takes seconds to check.
const maxFramePixels = 250_000_000

// gifCopier copies a GIF (GIF89a specification) block by block.
type gifCopier struct {
	r      io.ByteReader
	w      io.Writer
	pixels int64
	frames int
}

// copyGIF copies what a GIF shows, after decoding every frame: colours, frames, delays and the number of rounds. Comments,
// texts, data of applications and what follows the end are left out. It needs a few kilobytes, however long the animation is.
func copyGIF(w io.Writer, r io.ByteReader) error {
	c := &gifCopier{r: r, w: w}
	head, err := c.take(13) // header and logical screen descriptor
	if err != nil {
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
			return wrong("a GIF without end: %w", io.ErrUnexpectedEOF)
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

func (c *gifCopier) take(n int) ([]byte, error) {
	b := make([]byte, n)
	for i := range b {
		var err error
		if b[i], err = c.r.ReadByte(); err != nil {
			return nil, wrong("a GIF without end: %w", io.ErrUnexpectedEOF)
		}
	}
	return b, nil
}

// table copies the colours that flags announce and returns how many there are.
func (c *gifCopier) table(flags byte) (colours int, err error) {
	if flags&0x80 == 0 {
		return 0, nil
	}
	colours = 2 << (flags & 7)
	b, err := c.take(3 * colours)
	if err != nil {
		return 0, err
	}
	_, err = c.w.Write(b)
	return colours, err
}

// block reads one sub-block; an empty one ends a sequence of them.
func (c *gifCopier) block() ([]byte, error) {
	n, err := c.take(1)
	if err != nil {
		return nil, err
	}
	return c.take(int(n[0]))
}

func (c *gifCopier) skip() error {
	for {
		if b, err := c.block(); err != nil || len(b) == 0 {
			return err
		}
	}
}

// extension keeps what animations need: the control block of a frame and the number of rounds.
func (c *gifCopier) extension() error {
	label, err := c.take(1)
	if err != nil {
		return err
	}
	first, err := c.block()
	if err != nil {
		return err
	}
	keep := first
	switch {
	case len(first) == 0:
		return nil
	case label[0] == 0xf9 && len(first) == 4:
		keep = append([]byte{0x21, 0xf9, 4}, first...)
	case label[0] == 0xff && (string(first) == "NETSCAPE2.0" || string(first) == "ANIMEXTS1.0"):
		rounds, err := c.block()
		if err != nil || len(rounds) == 0 {
			return err
		}
		if len(rounds) != 3 || rounds[0] != 1 {
			return c.skip()
		}
		keep = append(append([]byte{0x21, 0xff, 11}, first...), 3, 1, rounds[1], rounds[2])
	default:
		return c.skip()
	}
	if _, err := c.w.Write(append(keep, 0)); err != nil {
		return err
	}
	return c.skip()
}

// frame copies one picture, decoding it on the way.
func (c *gifCopier) frame(width, height, colours int) error {
	d, err := c.take(9)
	if err != nil {
		return err
	}
	at := func(i int) int { return int(binary.LittleEndian.Uint16(d[i:])) }
	w, h := at(4), at(6)
	if at(0)+w > width || at(2)+h > height || w == 0 || h == 0 {
		return wrong("a GIF with a frame beyond its edges")
	}
	c.frames++
	if c.pixels += int64(w) * int64(h); c.pixels > maxFramePixels {
		return tooManyPixels(wrong("frames of more than %d pixels", int64(maxFramePixels)))
	}
	if _, err := c.w.Write(append([]byte{0x2c}, d...)); err != nil {
		return err
	}
	own, err := c.table(d[8])
	if err != nil {
		return err
	}
	if own > 0 {
		colours = own
	}
	size, err := c.take(1)
	if err != nil {
		return err
	}
	if size[0] < 2 || size[0] > 8 {
		return wrong("a GIF with codes of %d bits", size[0])
	}
	if _, err := c.w.Write(size); err != nil {
		return err
	}
	data := &gifData{c: c}
	pixels := lzw.NewReader(data, lzw.LSB, int(size[0]))
	if err := checkPixels(pixels, w*h, colours); err != nil {
		return err
	}
	if _, err := c.w.Write([]byte{0}); err != nil {
		return err
	}
	if data.ended {
		return nil
	}
	return c.skip()
}

// checkPixels reads the pixels of a frame; each must have a colour.
func checkPixels(r io.Reader, n, colours int) error {
	buf := make([]byte, 4096)
	for n > 0 {
		got, err := io.ReadFull(r, buf[:min(n, len(buf))])
		for _, p := range buf[:got] {
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

// gifData hands the sub-blocks of a frame to the decompressor and copies those that it reads.
type gifData struct {
	c     *gifCopier
	block []byte
	ended bool
}

// ReadByte makes the decompressor read no further than it needs.
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
		if _, err := d.c.w.Write(append([]byte{byte(len(b))}, b...)); err != nil {
			return 0, err
		}
		d.block = b
	}
	b := d.block[0]
	d.block = d.block[1:]
	return b, nil
}

// Read is there for the decompressor's signature, which asks for an io.Reader and uses ReadByte.
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

// webpChunks are the parts of a WebP file (RFC 9649) that are picture.
type webpChunks struct {
	alpha  bool
	spans  [][2]int64 // offset and length, header and padding included
	canvas []byte     // VP8X as it is to be written; nil for the simple form
}

// bitstream finds the picture in a WebP file.
func bitstream(f io.ReaderAt, size int64) (*webpChunks, error) {
	c := &webpChunks{}
	var head [12]byte
	if _, err := f.ReadAt(head[:], 0); err != nil {
		return nil, wrong("no WebP: %w", io.ErrUnexpectedEOF)
	}
	end := int64(binary.LittleEndian.Uint32(head[4:])) + 8
	if string(head[:4]) != "RIFF" || string(head[8:]) != "WEBP" || end > size {
		return nil, wrong("no whole WebP")
	}
	for at := int64(12); at+8 <= end; {
		var chunk [18]byte // the header, and VP8X's content
		if _, err := f.ReadAt(chunk[:min(18, size-at)], at); err != nil {
			return nil, err
		}
		length := int64(binary.LittleEndian.Uint32(chunk[4:]))
		span := 8 + length + length&1
		if at+8+length > end {
			return nil, wrong("a WebP with a chunk beyond its end")
		}
		switch string(chunk[:4]) {
		case "VP8X":
			const animation, alpha = 1 << 1, 1 << 4
			if chunk[8]&animation != 0 {
				return nil, wrong("an animated WebP")
			}
			c.alpha = chunk[8]&alpha != 0
			chunk[8] &= alpha // no profile, EXIF or XMP any more
			c.canvas = append([]byte(nil), chunk[:]...)
		case "ALPH":
			c.spans = append(c.spans, [2]int64{at, span})
		case "VP8 ", "VP8L":
			c.alpha = c.alpha || string(chunk[:4]) == "VP8L"
			c.spans = append(c.spans, [2]int64{at, span})
			return c, nil // one picture; nothing after it is shown
		}
		at += span
	}
	return nil, wrong("a WebP without a picture")
}

// copy writes a WebP of the picture alone.
func (c *webpChunks) copy(w io.Writer, f io.ReaderAt) error {
	total := int64(4 + len(c.canvas))
	for _, s := range c.spans {
		total += s[1]
	}
	head := binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(total)) // an upload's size, far below the type's
	head = append(append(head, "WEBP"...), c.canvas...)
	if _, err := w.Write(head); err != nil {
		return err
	}
	for _, s := range c.spans {
		n, err := io.Copy(w, io.NewSectionReader(f, s[0], s[1]))
		if err == nil && n < s[1] { // the last chunk may lack its padding
			_, err = w.Write(make([]byte, s[1]-n))
		}
		if err != nil {
			return err
		}
	}
	return nil
}
