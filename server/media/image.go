package media

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"runtime/debug"
	"time"

	"golang.org/x/image/webp"
)

const (
	// maxPixels is what a picture may have: the 24 megapixels of a good phone, and a little.
	maxPixels = 26_000_000
	// maxDecoded bounds what one decoded picture may take in memory, in bytes: a phone's largest as it comes from the camera,
	// and 26 megapixels in 32-bit colour.
	maxDecoded = 112 << 20
	// decodeMemory is what all pictures that are decoded at one time may take together, in bytes. One that needs more is
	// decoded alone.
	decodeMemory = 24 << 20
	// decodeTime bounds the work on one picture; a few kilobytes can be made to take minutes.
	decodeTime = 20 * time.Second
	// A progressive JPEG has about ten scans; thousands of empty ones are a way to burn time.
	maxScans = 100

	jpegQuality = 88
)

// memory tells what decoding takes, in bytes.
func memory(c image.Config, each float64) (int64, error) {
	pixels := int64(c.Width) * int64(c.Height)
	if c.Width <= 0 || c.Height <= 0 {
		return 0, wrong("a picture of %d × %d pixels", c.Width, c.Height)
	}
	bytes := float64(pixels) * each
	if pixels > maxPixels || bytes > maxDecoded {
		return 0, tooManyPixels(wrong("%d × %d pixels", c.Width, c.Height))
	}
	return int64(bytes), nil
}

// alone waits for its share of the memory for decoded pictures, runs f and gives the memory back to the system.
func (s *Service) alone(ctx context.Context, bytes int64, f func(context.Context) error) error {
	share := min(bytes, decodeMemory)
	if err := s.decoding.Acquire(ctx, share); err != nil {
		return err
	}
	defer s.decoding.Release(share)
	if bytes > 1<<20 {
		// Without this the next picture would come on top of the remains of this one.
		defer debug.FreeOSMemory()
	}
	ctx, cancel := context.WithTimeout(ctx, decodeTime)
	defer cancel()
	return f(ctx)
}

// timed reads until a time has passed: decoders know no context.
type timed struct {
	ctx context.Context
	r   io.Reader
}

func (t timed) Read(b []byte) (int, error) {
	if err := t.ctx.Err(); err != nil {
		return 0, fmt.Errorf("reading the picture: %w", err)
	}
	return t.r.Read(b)
}

// read prepares a picture's file for a decoder.
func (p *part) read(ctx context.Context) (io.Reader, error) {
	f, err := p.rewind()
	if err != nil {
		return nil, err
	}
	return bufio.NewReaderSize(timed{ctx, f}, 16<<10), nil
}

func (s *Service) jpeg(ctx context.Context, raw *part) (*examined, error) {
	f, err := raw.rewind()
	if err != nil {
		return nil, err
	}
	layout, err := scanJPEG(bufio.NewReaderSize(f, 16<<10))
	if err != nil {
		return nil, err
	}
	r, err := raw.read(ctx)
	if err != nil {
		return nil, err
	}
	config, err := jpeg.DecodeConfig(r)
	if err != nil {
		return nil, err
	}
	each := layout.memory()
	switch config.ColorModel {
	case color.CMYKModel, color.RGBAModel: // made of the components in a second step
		each += 8
	}
	return s.repaint(ctx, raw, config, each, jpegFormat)
}

func (s *Service) png(ctx context.Context, raw *part) (*examined, error) {
	r, err := raw.read(ctx)
	if err != nil {
		return nil, err
	}
	config, err := png.DecodeConfig(r)
	if err != nil {
		return nil, err
	}
	each := 4.0
	switch config.ColorModel {
	case color.GrayModel:
		each = 1
	case color.Gray16Model:
		each = 2
	case color.RGBA64Model, color.NRGBA64Model:
		each = 8
	}
	if _, palette := config.ColorModel.(color.Palette); palette {
		each = 1
	}
	return s.repaint(ctx, raw, config, each, pngFormat)
}

// webp checks the picture by decoding it and then keeps its bitstream as it came, since nothing encodes WebP's lossy form in
// Go; all that is not bitstream (EXIF, XMP, profiles, unknown chunks, trailing bytes) is left out. A picture to be turned is
// written as JPEG or PNG.
func (s *Service) webp(ctx context.Context, raw *part) (*examined, error) {
	f, err := raw.rewind()
	if err != nil {
		return nil, err
	}
	chunks, err := bitstream(f, raw.size)
	if err != nil {
		return nil, err
	}
	r, err := raw.read(ctx)
	if err != nil {
		return nil, err
	}
	config, err := webp.DecodeConfig(r)
	if err != nil {
		return nil, err
	}
	if orientationOf(raw, webpFormat) > 1 {
		format := jpegFormat
		if chunks.alpha {
			format = pngFormat
		}
		format.decode = webp.Decode
		format.meta = webpFormat
		return s.repaint(ctx, raw, config, 9, format)
	}
	cost, err := memory(config, 5)
	if err != nil {
		return nil, err
	}
	found := &examined{mime: "image/webp", ext: ".webp"}
	err = s.alone(ctx, cost, func(ctx context.Context) error {
		r, err := raw.read(ctx)
		if err != nil {
			return err
		}
		m, err := webp.Decode(r)
		if err != nil {
			return err
		}
		found.width, found.height = m.Bounds().Dx(), m.Bounds().Dy()
		if found.body, err = s.local.create(); err != nil {
			return err
		}
		if err := chunks.copy(found.body, f); err != nil {
			return err
		}
		return s.thumbnail(found, m)
	})
	return found.or(err)
}

// gif checks and copies an animation frame by frame: as a whole it would not fit into memory.
func (s *Service) gif(ctx context.Context, raw *part) (*examined, error) {
	r, err := raw.read(ctx)
	if err != nil {
		return nil, err
	}
	config, err := gif.DecodeConfig(r)
	if err != nil {
		return nil, err
	}
	cost, err := memory(config, 1)
	if err != nil {
		return nil, err
	}
	found := &examined{mime: "image/gif", ext: ".gif", width: config.Width, height: config.Height}
	err = s.alone(ctx, cost, func(ctx context.Context) error {
		r, err := raw.read(ctx)
		if err != nil {
			return err
		}
		if found.body, err = s.local.create(); err != nil {
			return err
		}
		w := bufio.NewWriterSize(found.body, 16<<10)
		if err := copyGIF(w, r.(io.ByteReader)); err != nil {
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
		return s.thumbnail(found, first)
	})
	return found.or(err)
}

// or gives the finding, or takes back what it had written.
func (e *examined) or(err error) (*examined, error) {
	if err == nil {
		return e, nil
	}
	if e.body != nil {
		e.body.discard()
	}
	if e.thumb != nil {
		e.thumb.discard()
	}
	return nil, err
}

// format is how a picture is decoded and written.
type format struct {
	mime, ext string
	meta      metaFormat
	decode    func(io.Reader) (image.Image, error)
	encode    func(io.Writer, image.Image) error
}

var (
	jpegFormat = format{"image/jpeg", ".jpg", jpegMeta, jpeg.Decode, func(w io.Writer, m image.Image) error {
		return jpeg.Encode(w, m, &jpeg.Options{Quality: jpegQuality})
	}}
	pngFormat = format{"image/png", ".png", pngMeta, png.Decode, png.Encode}
)

// repaint decodes a picture, turns it upright and writes it anew: of the file that came, only its pixels remain.
func (s *Service) repaint(ctx context.Context, raw *part, config image.Config, each float64, how format) (*examined, error) {
	cost, err := memory(config, each)
	if err != nil {
		return nil, err
	}
	orientation := orientationOf(raw, how.meta)
	found := &examined{mime: how.mime, ext: how.ext}
	err = s.alone(ctx, cost, func(ctx context.Context) error {
		r, err := raw.read(ctx)
		if err != nil {
			return err
		}
		m, err := how.decode(r)
		if err != nil {
			return err
		}
		if found.body, err = s.local.create(); err != nil {
			return err
		}
		if m, err = upright(m, orientation, raw.file); err != nil { // what the file held is in memory now
			return err
		}
		found.width, found.height = m.Bounds().Dx(), m.Bounds().Dy()
		w := bufio.NewWriterSize(found.body, 16<<10)
		if err := how.encode(w, m); err != nil {
			return err
		}
		if err := w.Flush(); err != nil {
			return err
		}
		return s.thumbnail(found, m)
	})
	return found.or(err)
}

// jpegLayout is what a JPEG's headers tell about decoding it.
type jpegLayout struct {
	progressive bool
	samples     int // of all components together, in the largest component's blocks
	largest     int
}

// memory is what a decoded pixel takes in bytes, rounded up.
func (l jpegLayout) memory() float64 {
	each := float64(l.samples) / float64(max(1, l.largest))
	if l.progressive {
		each *= 5 // the coefficients are kept as 32-bit numbers until the last scan
	}
	return each
}

// scanJPEG walks the markers of a JPEG (ITU T.81 annex B) up to its end. One with more scans than any camera or program writes
// is refused before it is decoded.
func scanJPEG(r *bufio.Reader) (l jpegLayout, err error) {
	scans := 0
	endless := wrong("a JPEG without end: %w", io.ErrUnexpectedEOF)
	for {
		if _, err := r.ReadSlice(0xff); errors.Is(err, bufio.ErrBufferFull) {
			continue
		} else if err != nil {
			return l, endless
		}
		marker, err := r.ReadByte()
		for err == nil && marker == 0xff { // fill bytes
			marker, err = r.ReadByte()
		}
		if err != nil {
			return l, endless
		}
		switch {
		case marker == 0x00, marker == 0x01, marker >= 0xd0 && marker <= 0xd8: // stuffing, TEM, RSTn, SOI
			continue
		case marker == 0xd9: // EOI
			return l, nil
		case marker == 0xda: // SOS
			if scans++; scans > maxScans {
				return l, wrong("a JPEG of more than %d scans", maxScans)
			}
		}
		head, err := r.Peek(2)
		if err != nil {
			return l, endless
		}
		length := int(binary.BigEndian.Uint16(head))
		if marker >= 0xc0 && marker <= 0xc2 { // SOF0 to SOF2
			segment, err := r.Peek(min(length, 8+3*4))
			if err != nil {
				return l, endless
			}
			l.frame(marker, segment)
		}
		if _, err := r.Discard(max(2, length)); err != nil {
			return l, endless
		}
	}
}

// frame reads the frame header: its components and how densely each is sampled.
func (l *jpegLayout) frame(marker byte, segment []byte) {
	l.progressive = l.progressive || marker == 0xc2
	l.samples, l.largest = 0, 0
	for i := 8; i+2 < len(segment); i += 3 {
		blocks := int(segment[i+1]>>4) * int(segment[i+1]&0xf)
		l.samples += blocks
		l.largest = max(l.largest, blocks)
	}
}

// thumbSize is the longest side of a thumbnail in pixels: a bubble on a screen of double density.
const thumbSize = 560

// thumbnail makes a small picture, unless the picture is one already.
func (s *Service) thumbnail(e *examined, m image.Image) error {
	size := m.Bounds().Size()
	if size.X <= thumbSize && size.Y <= thumbSize && e.body.size < 128<<10 {
		return nil
	}
	small := shrink(m, thumbSize)
	var out bytes.Buffer
	var err error
	if e.thumbExt = ".jpg"; small.Opaque() {
		err = jpeg.Encode(&out, small, &jpeg.Options{Quality: 80})
	} else {
		e.thumbExt = ".png"
		err = png.Encode(&out, small)
	}
	if err != nil {
		return err
	}
	if e.thumb, err = s.local.create(); err != nil {
		return err
	}
	_, err = e.thumb.Write(out.Bytes())
	return err
}
