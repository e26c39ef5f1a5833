package media

import (
	"bufio"
	"context"
	"errors"
	"image"
	"image/draw"
	"image/jpeg"
	"image/png"
)

// thumbSize is the longest side of a thumbnail in pixels: the width of a message on a high-density screen.
const thumbSize = 560

// thumbnail creates a thumbnail of at most left bytes, unless the picture itself is small.
func (s *Service) thumbnail(ctx context.Context, e *inspected, m image.Image, left int64) error {
	size := m.Bounds().Size()
	if size.X <= thumbSize && size.Y <= thumbSize && e.body.size < 128<<10 {
		return nil
	}
	small, err := shrink(ctx, m, thumbSize)
	if err != nil {
		return err
	}
	if e.thumb, err = s.local.create(); err != nil {
		return err
	}
	w := bufio.NewWriterSize(&bounded{ctx, e.thumb, left}, 16<<10)
	if e.thumbExt = ".jpg"; small.Opaque() {
		err = jpeg.Encode(w, small, &jpeg.Options{Quality: 80})
	} else {
		e.thumbExt = ".png"
		err = png.Encode(w, small)
	}
	if err == nil {
		err = w.Flush()
	}
	if errors.Is(err, errOutput) { // the picture itself is small enough to be shown
		e.thumb.discard()
		e.thumb = nil
		return nil
	}
	return err
}

// shrink scales a picture down to fit into a square of that side; a smaller one keeps its size. Each output pixel is the average of the area it covers; input pixels shared by two
// output pixels are weighted. It only allocates the result and a few rows.
func shrink(ctx context.Context, m image.Image, side int) (*image.RGBA, error) {
	b := m.Bounds()
	fromW, fromH := b.Dx(), b.Dy()
	w, h := fromW, fromH
	if w > side || h > side {
		if w >= h {
			w, h = side, max(1, side*fromH/fromW)
		} else {
			w, h = max(1, side*fromW/fromH), side
		}
	}
	small := image.NewRGBA(image.Rect(0, 0, w, h)) // RGBA is encoded without a copy
	row := image.NewRGBA(image.Rect(0, 0, fromW, 1))
	narrow := make([]uint32, 4*w) // samples of a row, multiplied by fromW
	sums := make([]float32, 4*w)
	flush := func(y int) {
		for i, sum := range sums {
			small.Pix[y*small.Stride+i] = uint8(sum/float32(fromW)/float32(fromH) + 0.5)
		}
		clear(sums)
	}
	to, left := 0, fromH // in units where an output pixel is fromH high and an input pixel h
	for y := range fromH {
		if y%64 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		draw.Draw(row, row.Rect, m, image.Pt(b.Min.X, b.Min.Y+y), draw.Src)
		narrowRow(narrow, row.Pix, w, fromW)
		part := min(h, left)
		for need := h; need > 0; need, part = need-part, need-part {
			for i, v := range narrow {
				sums[i] += float32(v) * float32(part)
			}
			if left -= part; left == 0 {
				flush(to)
				to, left = to+1, fromH
			}
		}
	}
	return small, nil
}

// narrowRow averages a row of pixels into w columns, in units where a column is as wide as the number of pixels and a pixel is w wide.
func narrowRow(out []uint32, pix []byte, w, pixels int) {
	clear(out)
	to, left := 0, pixels
	for ; len(pix) >= 4; pix = pix[4:] {
		r, g, b, a := uint32(pix[0]), uint32(pix[1]), uint32(pix[2]), uint32(pix[3])
		part := min(w, left)
		for need := w; need > 0; need, part = need-part, need-part {
			o, weight := out[to:to+4:to+4], uint32(part)
			o[0] += r * weight
			o[1] += g * weight
			o[2] += b * weight
			o[3] += a * weight
			if left -= part; left == 0 {
				to, left = to+4, pixels
			}
		}
	}
}
