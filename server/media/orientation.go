package media

import (
	"context"
	"encoding/binary"
	"image"
	"image/color"
	"image/draw"
	"slices"
)

// inBytes converts a picture to a type with 8-bit samples that can be rotated in place and encoded without a copy. It reuses the
// picture's memory, except for the alpha plane of a lossy WebP.
func inBytes(m image.Image) image.Image {
	switch m := m.(type) {
	case *image.Gray16:
		keepHigh(m.Pix)
		return &image.Gray{Pix: m.Pix[:len(m.Pix)/2], Stride: m.Stride / 2, Rect: m.Rect}
	case *image.RGBA64:
		keepHigh(m.Pix)
		return &image.RGBA{Pix: m.Pix[:len(m.Pix)/2], Stride: m.Stride / 2, Rect: m.Rect}
	case *image.NRGBA64:
		keepHigh(m.Pix)
		return &image.NRGBA{Pix: m.Pix[:len(m.Pix)/2], Stride: m.Stride / 2, Rect: m.Rect}
	case *image.CMYK:
		for i := 0; i+4 <= len(m.Pix); i += 4 {
			p := m.Pix[i : i+4 : i+4]
			p[0], p[1], p[2] = color.CMYKToRGB(p[0], p[1], p[2], p[3])
			p[3] = 0xff
		}
		return &image.RGBA{Pix: m.Pix, Stride: m.Stride, Rect: m.Rect}
	case *image.NYCbCrA:
		out := image.NewNRGBA(m.Rect)
		for y := m.Rect.Min.Y; y < m.Rect.Max.Y; y++ {
			for x := m.Rect.Min.X; x < m.Rect.Max.X; x++ {
				c := m.NYCbCrAAt(x, y)
				r, g, b := color.YCbCrToRGB(c.Y, c.Cb, c.Cr)
				out.SetNRGBA(x, y, color.NRGBA{r, g, b, c.A})
			}
		}
		return out
	}
	return m
}

// keepHigh moves the high bytes of 16-bit samples to the front.
func keepHigh(pix []byte) {
	for i := range len(pix) / 2 {
		pix[i] = pix[2*i]
	}
}

var transposedRatio = map[image.YCbCrSubsampleRatio]image.YCbCrSubsampleRatio{
	image.YCbCrSubsampleRatio444: image.YCbCrSubsampleRatio444,
	image.YCbCrSubsampleRatio420: image.YCbCrSubsampleRatio420,
	image.YCbCrSubsampleRatio422: image.YCbCrSubsampleRatio440,
	image.YCbCrSubsampleRatio440: image.YCbCrSubsampleRatio422,
}

// turnCost returns the bytes that upright allocates, for bytes per pixel of the largest plane.
func turnCost(orientation, width, height, bytes int) int64 {
	if orientation < 5 {
		return 0
	}
	return int64(width) * int64(height) * int64(bytes)
}

// upright rotates or mirrors a picture of [inBytes] according to its orientation. Planes are processed one after the other using one
// spare plane. Only a photo with chroma subsampled by four horizontally needs a full copy, because that layout has no transposed form.
func upright(ctx context.Context, m image.Image, orientation int) (image.Image, error) {
	if orientation <= 1 {
		return m, nil
	}
	t := &turner{ctx: ctx, orientation: orientation}
	size := m.Bounds().Size()
	turned := image.Rectangle{Max: size}
	if orientation >= 5 {
		turned.Max = image.Pt(size.Y, size.X)
	}
	switch m := m.(type) {
	case *image.YCbCr:
		ratio, ok := m.SubsampleRatio, true
		if orientation >= 5 {
			ratio, ok = transposedRatio[ratio]
		}
		if !ok || m.Rect.Min != (image.Point{}) {
			copied := image.NewRGBA(image.Rectangle{Max: size})
			draw.Draw(copied, copied.Rect, m, m.Bounds().Min, draw.Src)
			return upright(ctx, copied, orientation)
		}
		cw, ch := chroma(m.SubsampleRatio, size.X, size.Y)
		out := &image.YCbCr{SubsampleRatio: ratio, Rect: turned}
		out.Y, out.YStride = t.turn(m.Y, m.YStride, size.X, size.Y, 1)
		out.Cb, _ = t.turn(m.Cb, m.CStride, cw, ch, 1)
		out.Cr, out.CStride = t.turn(m.Cr, m.CStride, cw, ch, 1)
		return out, ctx.Err()
	case *image.RGBA:
		m.Pix, m.Stride = t.turn(m.Pix, m.Stride, size.X, size.Y, 4)
		m.Rect = turned
	case *image.NRGBA:
		m.Pix, m.Stride = t.turn(m.Pix, m.Stride, size.X, size.Y, 4)
		m.Rect = turned
	case *image.Gray:
		m.Pix, m.Stride = t.turn(m.Pix, m.Stride, size.X, size.Y, 1)
		m.Rect = turned
	case *image.Paletted:
		m.Pix, m.Stride = t.turn(m.Pix, m.Stride, size.X, size.Y, 1)
		m.Rect = turned
	default:
		return nil, wrong("a picture of type %T cannot be turned", m)
	}
	return m, ctx.Err()
}

// chroma returns the size of the chroma planes.
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

// turner rotates planes of pixels.
type turner struct {
	ctx         context.Context
	orientation int
	spare       []byte
}

// turn rotates a plane of w × h pixels of 1 or 4 bytes in place, and returns the plane and its stride. It stops early if the context
// ends.
func (t *turner) turn(pix []byte, stride, w, h, bytes int) ([]byte, int) {
	row := w * bytes
	for y := 1; y < h && stride != row; y++ {
		copy(pix[y*row:(y+1)*row], pix[y*stride:])
	}
	pix = pix[:row*h]
	if t.orientation >= 5 {
		t.transpose(pix, w, h, bytes)
		w, h, row = h, w, h*bytes
	}
	switch t.orientation {
	case 2, 3, 6, 7: // mirror horizontally
		for y := range h {
			reverse(pix[y*row:(y+1)*row], bytes)
		}
	}
	switch t.orientation {
	case 3, 4, 7, 8: // mirror vertically
		held := make([]byte, row)
		for y := range h / 2 {
			a, b := pix[y*row:(y+1)*row], pix[(h-1-y)*row:(h-y)*row]
			copy(held, a)
			copy(a, b)
			copy(b, held)
		}
	}
	return pix, row
}

func reverse(row []byte, bytes int) {
	if bytes == 1 {
		slices.Reverse(row)
		return
	}
	for i, j := 0, len(row)-4; i < j; i, j = i+4, j-4 {
		a, b := binary.NativeEndian.Uint32(row[i:]), binary.NativeEndian.Uint32(row[j:])
		binary.NativeEndian.PutUint32(row[i:], b)
		binary.NativeEndian.PutUint32(row[j:], a)
	}
}

// transpose swaps rows and columns, in tiles that fit into the CPU cache.
func (t *turner) transpose(pix []byte, w, h, bytes int) {
	if t.spare == nil {
		t.spare = make([]byte, len(pix)) // the first plane is the largest
	}
	spare := t.spare[:len(pix)]
	const tile = 32
	for top := 0; top < h && t.ctx.Err() == nil; top += tile {
		for left := 0; left < w; left += tile {
			for y := top; y < min(top+tile, h); y++ {
				for x := left; x < min(left+tile, w); x++ {
					if bytes == 1 {
						spare[x*h+y] = pix[y*w+x]
					} else {
						copy(spare[4*(x*h+y):][:4], pix[4*(y*w+x):][:4])
					}
				}
			}
		}
	}
	copy(pix, spare)
}
