package media

import (
	"bufio"
	"context"
	"errors"
	"image"
	"image/gif"
	"image/png"
	"io"
)

const (
	// maxPixels is what a picture may have: the 24 megapixels of a good phone, and a little.
	maxPixels = 26_000_000
	maxSide   = 1<<16 - 1 // a JPEG has no more, and rows are held in memory

	// What is stored of a picture, its thumbnail included, is at most growth times as large as what came, or leastOutput bytes
	// where that is more.
	growth      = 4
	leastOutput = 1 << 20
)

// outputLimit is what may be stored of a picture, in bytes.
func outputLimit(came int64) int64 { return max(growth*came, leastOutput) }

// fits refuses a picture of too many pixels.
func fits(c image.Config) error {
	if c.Width <= 0 || c.Height <= 0 {
		return wrong("a picture of %d × %d pixels", c.Width, c.Height)
	}
	if c.Width > maxSide || c.Height > maxSide || c.Width*c.Height > maxPixels {
		return tooManyPixels(wrong("%d × %d pixels", c.Width, c.Height))
	}
	return nil
}

// read prepares a picture's file for a decoder, which is cut off when ctx ends.
func (p *part) read(ctx context.Context) (*bufio.Reader, error) {
	f, err := p.rewind()
	if err != nil {
		return nil, err
	}
	return bufio.NewReaderSize(timed{ctx, f}, 16<<10), nil
}

// gif checks and copies an animation frame by frame: as a whole it would not fit into memory.
func (s *Service) gif(ctx context.Context, raw *part) (*examined, error) {
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
	found := &examined{mime: "image/gif", ext: ".gif", width: config.Width, height: config.Height}
	cost := 2 * int64(config.Width) * int64(config.Height) // the second is for rows that come in another order
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

// picture is how a picture is decoded and written.
type picture struct {
	config      image.Config
	cost        int64 // of decoding and turning, in bytes
	orientation int
	profile     *profile // nil = its colours are sRGB's
	decode      func(io.Reader) (image.Image, error)
	as          []format // that the picture is written in: the first in which it is not too large
}

// format is how a picture is written.
type format struct {
	mime, ext string
	opaque    bool // knows no transparency
	encode    func(io.Writer, image.Image) error
}

var (
	asJPEG = []format{
		{"image/jpeg", ".jpg", true, encodeJPEG(jpegQuality)},
		{"image/jpeg", ".jpg", true, encodeJPEG(60)},
	}
	asPNG = append([]format{{"image/png", ".png", false, png.Encode}}, asJPEG...)
)

// repaint decodes a picture, converts its colours to sRGB, turns it upright and encodes it: of the file that came, only its pixels remain.
func (s *Service) repaint(ctx context.Context, raw *part, how picture) (*examined, error) {
	if err := fits(how.config); err != nil {
		return nil, err
	}
	const rows = 32 // bytes that encoding holds for a pixel of a row
	found := &examined{}
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

// encode writes a picture in the first format in which it takes no more than limit bytes.
func (s *Service) encode(ctx context.Context, e *examined, m image.Image, as []format, limit int64) error {
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
