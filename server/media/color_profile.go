package media

import (
	"context"
	"encoding/binary"
	"image"
	"image/color"
	"io"
	"math"
)

// maxProfile is the maximum number of bytes read of a colour profile: more than supported profiles have.
const maxProfile = 64 << 10

// profile converts colours to sRGB. It supports ICC profiles with three curves and a matrix, or a curve for grey, which are those of
// cameras, phones and screens (ICC.1:2022 §8.3, annex F.3).
type profile struct {
	linear [3][256]float32 // linear light of a sample value, 0 to 1
	matrix [3][3]float32   // to linear sRGB
}

// fromXYZ converts from the profile connection space (CIE XYZ, D50) to linear sRGB.
var fromXYZ = [3][3]float64{
	{3.1338561, -1.6168667, -0.4906146},
	{-0.9787684, 1.9161415, 0.0334540},
	{0.0719453, -0.2289914, 1.4052427},
}

const encodedSteps = 4096

// encoded is the sRGB transfer curve (IEC 61966-2-1) for linear light from 0 to encodedSteps.
var encoded = func() (table [encodedSteps + 1]uint8) {
	for i := range table {
		v := float64(i) / encodedSteps
		if v <= 0.0031308 {
			v *= 12.92
		} else {
			v = 1.055*math.Pow(v, 1/2.4) - 0.055
		}
		table[i] = uint8(v*255 + 0.5)
	}
	return table
}()

// readProfile reads an ICC profile. It returns nil if there is none, if it is close to sRGB, or if it is not supported.
func readProfile(r io.Reader) *profile {
	b, err := io.ReadAll(io.LimitReader(r, maxProfile))
	const header, entry = 132, 12 // the number of tags included
	if err != nil || len(b) < header || string(b[36:40]) != "acsp" {
		return nil
	}
	tag := func(name string) []byte {
		for i := range int(min(binary.BigEndian.Uint32(b[128:]), 100)) {
			at := header + entry*i
			if at+entry > len(b) {
				break
			}
			if from, n := int64(binary.BigEndian.Uint32(b[at+4:])), int64(binary.BigEndian.Uint32(b[at+8:])); string(b[at:at+4]) == name && from+n <= int64(len(b)) {
				return b[from : from+n]
			}
		}
		return nil
	}
	p := &profile{}
	switch string(b[16:20]) {
	case "GRAY":
		if !readCurve(tag("kTRC"), &p.linear[0]) {
			return nil
		}
		p.linear[1], p.linear[2] = p.linear[0], p.linear[0]
		p.matrix = [3][3]float32{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}
	case "RGB ":
		for i, c := range []string{"r", "g", "b"} {
			xyz := tag(c + "XYZ")
			if len(xyz) < 20 || string(b[20:24]) != "XYZ " || !readCurve(tag(c+"TRC"), &p.linear[i]) {
				return nil
			}
			for row, k := range fromXYZ {
				p.matrix[row][i] = float32(k[0]*fixed(xyz[8:]) + k[1]*fixed(xyz[12:]) + k[2]*fixed(xyz[16:]))
			}
		}
	default:
		return nil
	}
	if p.changesNothing() {
		return nil
	}
	return p
}

// fixed reads an s15Fixed16Number (ICC.1:2022 §4.6).
func fixed(b []byte) float64 { return float64(int32(binary.BigEndian.Uint32(b))) / (1 << 16) }

// readCurve fills a table from a curveType or parametricCurveType (ICC.1:2022 §10.6, §10.18).
func readCurve(tag []byte, table *[256]float32) bool {
	if len(tag) < 12 {
		return false
	}
	f := func(x float64) float64 { return x }
	switch string(tag[:4]) {
	case "curv":
		n := int64(binary.BigEndian.Uint32(tag[8:]))
		points := tag[12:]
		if int64(len(points)) < 2*n {
			return false
		}
		at := func(i int) float64 { return float64(binary.BigEndian.Uint16(points[2*i:])) }
		switch n {
		case 0:
		case 1:
			f = func(x float64) float64 { return math.Pow(x, at(0)/256) }
		default:
			f = func(x float64) float64 {
				whole, part := math.Modf(x * float64(n-1))
				from := at(int(whole))
				return (from + part*(at(min(int(whole)+1, int(n-1)))-from)) / 0xffff
			}
		}
	case "para":
		kind := int(binary.BigEndian.Uint16(tag[8:]))
		counts := []int{1, 3, 4, 5, 7}
		if kind >= len(counts) || len(tag) < 12+4*counts[kind] {
			return false
		}
		var k [7]float64 // g a b c d e f
		for i := range counts[kind] {
			k[i] = fixed(tag[12+4*i:])
		}
		g, a, b, c, d, e, low := k[0], k[1], k[2], k[3], k[4], k[5], k[6]
		switch kind {
		case 0:
			a, d = 1, 0
		case 1, 2: // c is added above the threshold, and is the value below it
			e, low = c, c
			c, d = 0, -b/a
		}
		f = func(x float64) float64 {
			if x >= d {
				return math.Pow(a*x+b, g) + e
			}
			return c*x + low
		}
	default:
		return false
	}
	for i := range table {
		if v := f(float64(i) / 255); v > 0 { // false for NaN
			table[i] = float32(min(v, 1))
		}
	}
	return true
}

// rgb converts one colour.
func (p *profile) rgb(r, g, b uint8) (uint8, uint8, uint8) {
	x, y, z := p.linear[0][r], p.linear[1][g], p.linear[2][b]
	encode := func(k *[3]float32) uint8 {
		v := (k[0]*x + k[1]*y + k[2]*z) * encodedSteps
		if !(v > 0) {
			return encoded[0]
		}
		return encoded[int(min(v, encodedSteps)+0.5)]
	}
	return encode(&p.matrix[0]), encode(&p.matrix[1]), encode(&p.matrix[2])
}

// changesNothing reports whether the conversion has no visible effect.
func (p *profile) changesNothing() bool {
	near := func(a, b uint8) bool { return max(a, b)-min(a, b) <= 2 }
	levels := []uint8{0, 20, 64, 128, 192, 255}
	for _, r := range levels {
		for _, g := range levels {
			for _, b := range levels {
				if x, y, z := p.rgb(r, g, b); !near(x, r) || !near(y, g) || !near(z, b) {
					return false
				}
			}
		}
	}
	return true
}

// convert converts a picture of [inBytes] to sRGB in place. A nil profile leaves it unchanged.
func (p *profile) convert(ctx context.Context, m image.Image) error {
	if p == nil {
		return nil
	}
	size := m.Bounds().Size()
	each := func(pix []byte, stride, bytes int) error {
		for y := range size.Y {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			row := pix[y*stride : y*stride+bytes*size.X]
			if bytes == 1 {
				for i, v := range row {
					row[i], _, _ = p.rgb(v, v, v)
				}
				continue
			}
			for ; len(row) >= 4; row = row[4:] {
				row[0], row[1], row[2] = p.rgb(row[0], row[1], row[2])
			}
		}
		return nil
	}
	switch m := m.(type) {
	case *image.YCbCr:
		return p.convertYCbCr(ctx, m)
	case *image.RGBA: // opaque: pictures with transparency are decoded as NRGBA
		return each(m.Pix, m.Stride, 4)
	case *image.NRGBA:
		return each(m.Pix, m.Stride, 4)
	case *image.Gray:
		return each(m.Pix, m.Stride, 1)
	case *image.Paletted:
		for i, c := range m.Palette {
			n := color.NRGBAModel.Convert(c).(color.NRGBA)
			n.R, n.G, n.B = p.rgb(n.R, n.G, n.B)
			m.Palette[i] = n
		}
		return nil
	}
	return wrong("a picture of type %T cannot be converted", m)
}

// convertYCbCr converts all pixels that share a chroma sample together, so that it needs no second picture.
func (p *profile) convertYCbCr(ctx context.Context, m *image.YCbCr) error {
	size := m.Rect.Size()
	cw, ch := chroma(m.SubsampleRatio, size.X, size.Y)
	wide, high := (size.X+cw-1)/cw, (size.Y+ch-1)/ch
	if m.SubsampleRatio == image.YCbCrSubsampleRatio411 || m.SubsampleRatio == image.YCbCrSubsampleRatio410 {
		wide = 4
	}
	for cy := range ch {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		for cx := range cw {
			at := cy*m.CStride + cx
			cb, cr := m.Cb[at], m.Cr[at]
			var sumB, sumR, n int
			for y := cy * high; y < min((cy+1)*high, size.Y); y++ {
				for x := cx * wide; x < min((cx+1)*wide, size.X); x++ {
					i := y*m.YStride + x
					luma, b, r := color.RGBToYCbCr(p.rgb(color.YCbCrToRGB(m.Y[i], cb, cr)))
					m.Y[i] = luma
					sumB, sumR, n = sumB+int(b), sumR+int(r), n+1
				}
			}
			if n > 0 {
				m.Cb[at], m.Cr[at] = uint8((sumB+n/2)/n), uint8((sumR+n/2)/n)
			}
		}
	}
	return nil
}

// reader returns a reader for a part of a file, which is empty if there is none.
func (s span) reader(f io.ReaderAt) io.Reader { return io.NewSectionReader(f, s.at, s.n) }
