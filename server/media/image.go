package media

import (
	"bufio"
	"context"
	"errors"
	"image"
	"image/png"
	"io"
)

const (
	// maxPixels is the maximum number of pixels of a picture: slightly more than the 24 megapixels of current phones.
	maxPixels = 26_000_000
	maxSide   = 1<<16 - 1 // the maximum of JPEG; rows are held in memory

	// The stored picture with its thumbnail may be growth times as large as the upload, or leastOutput bytes if that is more.
	growth      = 4
	leastOutput = 1 << 20
)

// outputLimit returns the maximum size of a stored picture in bytes.
func outputLimit(came int64) int64 { return max(growth*came, leastOutput) }

// fits returns an error for a picture with too many pixels.
func fits(c image.Config) error {
	if c.Width <= 0 || c.Height <= 0 {
		return wrong("a picture of %d × %d pixels", c.Width, c.Height)
	}
	if c.Width > maxSide || c.Height > maxSide || c.Width*c.Height > maxPixels {
		return tooManyPixels(wrong("%d × %d pixels", c.Width, c.Height))
	}
	return nil
}

// read returns a reader of a picture's file for a decoder, which fails when ctx ends.
func (p *part) read(ctx context.Context) (*bufio.Reader, error) {
	f, err := p.rewind()
	if err != nil {
		return nil, err
	}
	return bufio.NewReaderSize(timed{ctx, f}, 16<<10), nil
}

// or returns the result if err is nil, and otherwise deletes what was written.
func (e *inspected) or(err error) (*inspected, error) {
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

// picture describes how a picture is decoded and encoded.
type picture struct {
	config      image.Config
	cost        int64 // memory for decoding and rotating, in bytes
	orientation int
	profile     *profile // nil = its colours are sRGB
	decode      func(io.Reader) (image.Image, error)
	as          []format // output formats: the first in which the picture is not too large is used
}

// format is an output format.
type format struct {
	mime, ext string
	opaque    bool // without transparency
	encode    func(io.Writer, image.Image) error
}

var (
	asJPEG = []format{
		{"image/jpeg", ".jpg", true, encodeJPEG(jpegQuality)},
		{"image/jpeg", ".jpg", true, encodeJPEG(60)},
	}
	asPNG = append([]format{{"image/png", ".png", false, png.Encode}}, asJPEG...)
)

// repaint decodes a picture, converts its colours to sRGB, applies its orientation and encodes it: nothing but the pixels of the
// uploaded file is kept.
func (s *Service) repaint(ctx context.Context, raw *part, how picture) (*inspected, error) {
	if err := fits(how.config); err != nil {
		return nil, err
	}
	const rows = 32 // bytes per pixel of a row used while encoding
	found := &inspected{}
	err := s.memory.run(ctx, how.cost+rows*int64(max(how.config.Width, how.config.Height)), func(ctx context.Context) error {
		r, err := raw.read(ctx)
		if err != nil {
			return err
		}
		m, err := how.decode(r)
		if err != nil {
			return err
		}
		m = inBytes(m)
		if err := how.profile.convert(ctx, m); err != nil {
			return err
		}
		if m, err = upright(ctx, m, how.orientation); err != nil {
			return err
		}
		found.width, found.height = m.Bounds().Dx(), m.Bounds().Dy()
		limit := outputLimit(raw.size)
		if err := s.encode(ctx, found, m, how.as, limit); err != nil {
			return err
		}
		return s.thumbnail(ctx, found, m, limit-found.body.size)
	})
	return found.or(err)
}

// encode writes a picture in the first format whose output is at most limit bytes.
func (s *Service) encode(ctx context.Context, e *inspected, m image.Image, as []format, limit int64) error {
	transparent := func() bool {
		o, ok := m.(interface{ Opaque() bool })
		return !ok || !o.Opaque()
	}
	err := errOutput
	for i, f := range as {
		if i > 0 && f.opaque && transparent() {
			break
		}
		if e.body, err = s.local.create(); err != nil {
			return err
		}
		e.mime, e.ext = f.mime, f.ext
		w := bufio.NewWriterSize(&bounded{ctx, e.body, limit}, 16<<10)
		if err = f.encode(w, m); err == nil {
			err = w.Flush()
		}
		if !errors.Is(err, errOutput) {
			return err
		}
		e.body.discard()
		e.body = nil
	}
	return tooManyPixels(err)
}
