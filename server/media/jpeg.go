package media

import (
	"context"
	"encoding/binary"
	"image"
	"image/color"
	"image/jpeg"
	"io"
)

const (
	// A progressive JPEG has about ten scans; thousands of empty ones would only burn CPU time.
	maxScans = 100
	// maxScanned is the maximum number of samples processed by all scans of a JPEG: twenty scans of a photo of 12 megapixels.
	maxScanned = 400_000_000

	jpegQuality = 88
)

func (s *Service) jpeg(ctx context.Context, raw *part) (*inspected, error) {
	w := newWalker(ctx, raw)
	layout, err := scanJPEG(w)
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
	how := picture{config: config, cost: layout.cost(), orientation: exifOrientation(w, layout.exif), profile: readProfile(layout.icc.reader(raw.file)), decode: jpeg.Decode, as: asJPEG}
	bytes := 1
	// Pixels are converted from components in a second step, or while rotating.
	if config.ColorModel == color.CMYKModel || config.ColorModel == color.RGBAModel || layout.uneven && how.orientation >= 5 {
		bytes = 4
		how.cost += 4 * int64(config.Width) * int64(config.Height)
	}
	how.cost += turnCost(how.orientation, config.Width, config.Height, bytes)
	return s.repaint(ctx, raw, how)
}

func encodeJPEG(quality int) func(io.Writer, image.Image) error {
	return func(w io.Writer, m image.Image) error {
		if n, ok := m.(*image.NRGBA); ok && n.Opaque() { // the encoder is fast with RGBA, and allocates nothing
			m = &image.RGBA{Pix: n.Pix, Stride: n.Stride, Rect: n.Rect}
		}
		return jpeg.Encode(w, m, &jpeg.Options{Quality: quality})
	}
}

// jpegLayout is the information in a JPEG's segments that determines the cost of decoding.
type jpegLayout struct {
	progressive bool
	frames      int
	samples     int64 // of all components, in whole blocks
	uneven      bool  // chroma is subsampled by four horizontally (4:1:1 or 4:1:0)
	exif, icc   span
}

// cost returns the bytes that decoding allocates.
func (l jpegLayout) cost() int64 {
	if l.progressive {
		return 5 * l.samples // coefficients are stored as 32-bit numbers until the last scan
	}
	return l.samples
}

// scanJPEG walks the markers of a JPEG (ITU T.81 annex B) to its end. A file with more scans than any camera or program writes is
// rejected before decoding.
func scanJPEG(w *walker) (l jpegLayout, err error) {
	scans := int64(0)
	endless := func(err error) (jpegLayout, error) { return l, wrong("a truncated JPEG: %w", err) }
	for at := int64(0); ; {
		if at, err = w.index(at, 0xff); err != nil {
			return endless(err)
		}
		marker := byte(0xff)
		for ; marker == 0xff; at++ { // fill bytes
			b, err := w.exactly(at, 1)
			if err != nil {
				return endless(err)
			}
			marker = b[0]
		}
		switch {
		case marker == 0x00, marker == 0x01, marker >= 0xd0 && marker <= 0xd8: // stuffing, TEM, RSTn, SOI
			continue
		case marker == 0xd9: // EOI
			return l, nil
		case marker == 0xda: // SOS
			scans++
			if scans > maxScans || scans*l.samples > max(maxScanned, l.samples) {
				return l, wrong("a JPEG of %d scans of %d samples", scans, l.samples)
			}
		}
		if err := w.step(); err != nil {
			return l, err
		}
		head, err := w.bytes(at, 8+3*4)
		if err != nil || len(head) < 2 {
			return endless(io.ErrUnexpectedEOF)
		}
		length := max(2, int64(binary.BigEndian.Uint16(head)))
		head = head[:min(length, int64(len(head)))]
		switch {
		case marker >= 0xc0 && marker <= 0xc2: // SOF0 to SOF2
			if l.frames++; l.frames > 1 {
				return l, wrong("a JPEG of several frames")
			}
			if err := l.frame(marker, head); err != nil {
				return l, err
			}
		case marker == 0xe1 && l.exif.n == 0 && len(head) > 8 && string(head[2:8]) == "Exif\x00\x00":
			l.exif = span{at + 8, length - 8}
		case marker == 0xe2 && len(head) > 16 && string(head[2:16]) == "ICC_PROFILE\x00\x01\x01": // the first segment of a profile that has only one (ICC.1:2022 annex B.4)
			l.icc = span{at + 16, length - 16}
		}
		at += length
	}
}

// frame parses the frame header: the picture's size, its components and their sampling factors.
func (l *jpegLayout) frame(marker byte, segment []byte) error {
	if len(segment) < 8+3 || len(segment) < 8+3*int(segment[7]) {
		return wrong("a JPEG with a broken frame header")
	}
	height, width := int64(binary.BigEndian.Uint16(segment[3:])), int64(binary.BigEndian.Uint16(segment[5:]))
	components := segment[8 : 8+3*int(segment[7])]
	wide, high := int64(components[1]>>4), int64(components[1]&0xf)
	if len(components) == 3 {
		wide, high = 1, 1
	}
	if wide == 0 || high == 0 {
		return wrong("a JPEG with a broken frame header")
	}
	blocks := wide * high
	for i := 3; i < len(components); i += 3 {
		h, v := int64(components[i+1]>>4), int64(components[i+1]&0xf)
		blocks += h * v
		l.uneven = l.uneven || wide > 2*h || high > 2*v
	}
	l.progressive = marker == 0xc2
	l.samples = 64 * blocks * ((width + 8*wide - 1) / (8 * wide)) * ((height + 8*high - 1) / (8 * high))
	return nil
}
