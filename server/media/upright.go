package media

import (
	"bufio"
	"image"
	"io"
	"os"

	"github.com/bep/imagemeta"
	"golang.org/x/image/draw"
	"golang.org/x/image/math/f64"
)

type metaFormat = imagemeta.ImageFormat

const (
	jpegMeta   = imagemeta.JPEG
	pngMeta    = imagemeta.PNG
	webpFormat = imagemeta.WebP
)

// orientationOf reads how a camera was held (Exif 2.3 §4.6.4, tag Orientation): 1 is upright, 8 the last. What cannot be read
// counts as upright.
func orientationOf(p *part, format metaFormat) int {
	f, err := p.rewind()
	if err != nil {
		return 1
	}
	found := 1
	_, err = imagemeta.Decode(imagemeta.Options{
		R: f, ImageFormat: format, Sources: imagemeta.EXIF,
		ShouldHandleTag: func(t imagemeta.TagInfo) bool { return t.Tag == "Orientation" && t.Namespace == "IFD0" },
		HandleTag: func(t imagemeta.TagInfo) error {
			if n, ok := t.Value.(uint16); ok && n >= 1 && n <= 8 {
				found = int(n)
			}
			return imagemeta.ErrStopWalking
		},
	})
	if err != nil {
		return 1
	}
	return found
}

// upright turns a picture as its orientation says. scratch is a file that may be overwritten.
func upright(m image.Image, orientation int, scratch *os.File) (image.Image, error) {
	if orientation <= 1 {
		return m, nil
	}
	if y, ok := m.(*image.YCbCr); ok {
		if turned, ok, err := turnYCbCr(y, orientation, scratch); ok {
			return turned, err
		}
	}
	b := m.Bounds()
	w, h := float64(b.Dx()), float64(b.Dy())
	size := b.Size()
	if orientation >= 5 {
		size.X, size.Y = size.Y, size.X
	}
	// From (x, y) of the stored picture to its place in the upright one.
	to := [9]f64.Aff3{
		2: {-1, 0, w, 0, 1, 0}, 3: {-1, 0, w, 0, -1, h}, 4: {1, 0, 0, 0, -1, h},
		5: {0, 1, 0, 1, 0, 0}, 6: {0, -1, h, 1, 0, 0}, 7: {0, -1, h, -1, 0, w}, 8: {0, 1, 0, -1, 0, w},
	}[orientation]
	turned := image.NewNRGBA(image.Rectangle{Max: size})
	draw.NearestNeighbor.Transform(turned, to, m, b, draw.Src, nil)
	return turned, nil
}

var transposedRatio = map[image.YCbCrSubsampleRatio]image.YCbCrSubsampleRatio{
	image.YCbCrSubsampleRatio444: image.YCbCrSubsampleRatio444,
	image.YCbCrSubsampleRatio420: image.YCbCrSubsampleRatio420,
	image.YCbCrSubsampleRatio422: image.YCbCrSubsampleRatio440,
	image.YCbCrSubsampleRatio440: image.YCbCrSubsampleRatio422,
}

// turnYCbCr turns a photo plane by plane in the memory that it has. A photo turned in a second picture would take twice the
// memory, so each plane goes through the file instead, which costs the time of a copy. ok is false for a layout that has no
// turned form.
func turnYCbCr(m *image.YCbCr, orientation int, scratch *os.File) (turned image.Image, ok bool, err error) {
	ratio, ok := m.SubsampleRatio, true
	w, h := m.Rect.Dx(), m.Rect.Dy()
	if orientation >= 5 {
		ratio, ok = transposedRatio[ratio]
	}
	if !ok || m.Rect.Min != (image.Point{}) {
		return nil, false, nil
	}
	cw, ch := chroma(m.SubsampleRatio, w, h)
	out := &image.YCbCr{Y: m.Y, Cb: m.Cb, Cr: m.Cr, SubsampleRatio: ratio, Rect: image.Rect(0, 0, w, h), YStride: w, CStride: cw}
	if orientation >= 5 {
		out.Rect, out.YStride, out.CStride = image.Rect(0, 0, h, w), h, ch
	}
	for _, p := range []struct {
		pix          []byte
		stride, w, h int
	}{{m.Y, m.YStride, w, h}, {m.Cb, m.CStride, cw, ch}, {m.Cr, m.CStride, cw, ch}} {
		if err := turnPlane(p.pix, p.stride, p.w, p.h, orientation, scratch); err != nil {
			return nil, true, err
		}
	}
	return out, true, nil
}

// chroma gives the size of the colour planes.
func chroma(r image.YCbCrSubsampleRatio, w, h int) (int, int) {
	switch r {
	case image.YCbCrSubsampleRatio422:
		return (w + 1) / 2, h
	case image.YCbCrSubsampleRatio420:
		return (w + 1) / 2, (h + 1) / 2
	case image.YCbCrSubsampleRatio440:
		return w, (h + 1) / 2
	case image.YCbCrSubsampleRatio411:
		return (w + 3) / 4, h
	case image.YCbCrSubsampleRatio410:
		return (w + 3) / 4, (h + 1) / 2
	}
	return w, h
}

// turnPlane writes the rows of the turned plane to the file and reads them back over the plane.
func turnPlane(pix []byte, stride, w, h, orientation int, scratch *os.File) error {
	if _, err := scratch.Seek(0, io.SeekStart); err != nil {
		return err
	}
	out := bufio.NewWriterSize(scratch, 64<<10)
	rows, length := h, w
	if orientation >= 5 {
		rows, length = w, h
	}
	row := make([]byte, length)
	for y := range rows {
		for x := range row {
			sx, sy := source(x, y, w, h, orientation)
			row[x] = pix[sy*stride+sx]
		}
		if _, err := out.Write(row); err != nil {
			return err
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	if _, err := scratch.Seek(0, io.SeekStart); err != nil {
		return err
	}
	_, err := io.ReadFull(scratch, pix[:w*h])
	return err
}

// source tells which pixel of the stored picture (w × h) stands at (x, y) of the upright one.
func source(x, y, w, h, orientation int) (int, int) {
	switch orientation {
	case 2:
		return w - 1 - x, y
	case 3:
		return w - 1 - x, h - 1 - y
	case 4:
		return x, h - 1 - y
	case 5:
		return y, x
	case 6:
		return y, h - 1 - x
	case 7:
		return w - 1 - y, h - 1 - x
	case 8:
		return w - 1 - y, x
	}
	return x, y
}

// shrink draws a picture so that it fits into a square. It works in bands, because the scaler keeps all rows that it works on
// as floating-point numbers.
func shrink(m image.Image, side int) *image.RGBA {
	b := m.Bounds()
	w, h := b.Dx(), b.Dy()
	if w > side || h > side {
		if w >= h {
			w, h = side, max(1, side*b.Dy()/b.Dx())
		} else {
			w, h = max(1, side*b.Dx()/b.Dy()), side
		}
	}
	small := image.NewRGBA(image.Rect(0, 0, w, h)) // the form that the encoders take without a copy
	const band = 8
	scalers := make(map[image.Point]draw.Scaler, 4) // by height before and after: bands differ by a row
	for y := 0; y < h; y += band {
		end := min(y+band, h)
		from := image.Rect(b.Min.X, b.Min.Y+y*b.Dy()/h, b.Max.X, b.Min.Y+end*b.Dy()/h)
		heights := image.Pt(from.Dy(), end-y)
		if scalers[heights] == nil {
			scalers[heights] = draw.CatmullRom.NewScaler(w, end-y, from.Dx(), from.Dy())
		}
		scalers[heights].Scale(small, image.Rect(0, y, w, end), m, from, draw.Src, nil)
	}
	return small
}
