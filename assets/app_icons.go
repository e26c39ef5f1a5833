package assets

import (
	"bytes"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"math"
	"net/http"
	"strings"
	"sync"

	"golang.org/x/image/vector"
)

// badgeColor is the background of the icons if BRAND_COLOR is not set; root/favicon.svg has the same.
const badgeColor = "#0B6B61"

// iconFiles are the PNG icons, for home screens that take no SVG. The server draws them in the brand's colour.
var iconFiles = map[string]struct {
	size  int
	round bool    // shown as it is, with round corners; otherwise the platform crops the square to its own shape
	inset float64 // size of the drawing relative to the square; a platform's mask may crop a tenth at each side
}{
	"/icon-192.png":          {192, true, 1},
	"/icon-512.png":          {512, true, 1},
	"/icon-maskable-512.png": {512, false, 0.8},
	"/apple-touch-icon.png":  {180, false, 0.86},
}

// IconPaths are the URL paths that Icons serves.
func IconPaths() []string {
	paths := []string{"/favicon.svg"}
	for path := range iconFiles {
		paths = append(paths, path)
	}
	return paths
}

// Icons serves the icons in a brand's colour ("" = the default). Each is drawn at the first request and kept.
func Icons(brand string) http.Handler {
	ground := badgeColor
	if s, err := parseColor(brand); err == nil {
		ground = paletteOf(s).badge.String()
	}
	drawn := map[string]func() *file{"/favicon.svg": sync.OnceValue(func() *file {
		return generatedFile("favicon.svg", []byte(strings.Replace(string(embeddedFile("favicon.svg", "root").plain()), badgeColor, ground, 1)))
	})}
	for path, i := range iconFiles {
		drawn[path] = sync.OnceValue(func() *file {
			return generatedFile(path[1:], drawIcon(mustColor(strings.ToLower(ground)), i.size, i.round, i.inset))
		})
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		draw, known := drawn[r.URL.Path]
		if !known {
			http.NotFound(w, r)
			return
		}
		draw().serve(w, r, cacheADay)
	})
}

// drawIcon draws the same image as root/favicon.svg, which has a grid of 32 units, and encodes it as PNG.
func drawIcon(ground rgb, size int, round bool, inset float64) []byte {
	canvas := image.NewRGBA(image.Rect(0, 0, size, size))
	p := pen{canvas: canvas, scale: float64(size) / 32, inset: inset}
	if round {
		p.inset = 1
		p.fill(ground, func() { p.disc(9, 9, 9); p.disc(23, 9, 9); p.disc(9, 23, 9); p.disc(23, 23, 9) })
		p.fill(ground, func() { p.box(9, 0, 23, 32) })
		p.fill(ground, func() { p.box(0, 9, 32, 23) })
		p.inset = inset
	} else {
		draw.Draw(canvas, canvas.Bounds(), image.NewUniform(ground.opaque()), image.Point{}, draw.Src)
	}
	p.fill(paper, func() {
		p.move(10.7, 5.8)
		p.curves(10.6, 0, .3, 3.7, -2, 5.3, -2, 7.5, 0, 2, 2.7, 3, 2.7, 6.2, 0, 2.5, -1.6, 4.2, -3.2, 4.9)
		p.curves(-5.6, 0, -1.6, -.7, -3.2, -2.4, -3.2, -4.9, 0, -3.2, 2.7, -4.2, 2.7, -6.2, 0, -2.2, -2.3, -3.8, -2, -7.5)
	})
	p.fill(mustColor("#d97a1e"), func() {
		p.move(12.6, 9.3)
		p.curves(6.8, 0, -.5, 1.5, -1.7, 2.5, -1.7, 4, 0, 2.7, 2.7, 3.5, 2.7, 6.2, 0, 1.5, -.9, 2.7, -2, 3.3)
		p.curves(-4.8, 0, -1.1, -.6, -2, -1.8, -2, -3.3, 0, -2.7, 2.7, -3.5, 2.7, -6.2, 0, -1.5, -1.2, -2.5, -1.7, -4)
	})
	// The saucer: a stroke 1.7 wide from (8, 26.4), bent by one unit, with round ends.
	const width, bits = 1.7, 64
	line := func(t float64) (x, y float64) { return 8 + 16*t + 1.5*t*(1-t)*(1-2*t), 26.4 + 3*t*(1-t) }
	p.fill(paper, func() {
		for i := range 2 * (bits + 1) { // along one edge of the stroke, and back along the other
			side, at := 1.0, i
			if i > bits {
				side, at = -1, 2*bits+1-i
			}
			t := float64(at) / bits
			x, y := line(t)
			beforeX, beforeY := line(t - 1e-3)
			afterX, afterY := line(t + 1e-3)
			dx, dy := afterX-beforeX, afterY-beforeY
			out := side * width / 2 / math.Hypot(dx, dy)
			if x, y := x-dy*out, y+dx*out; i == 0 {
				p.move(x, y)
			} else {
				p.raster.LineTo(p.at(x, y))
			}
		}
	})
	for _, t := range []float64{0, 1} {
		x, y := line(t)
		p.fill(paper, func() { p.disc(x, y, width/2) })
	}
	var out bytes.Buffer
	if err := png.Encode(&out, canvas); err != nil {
		panic("assets: icon: " + err.Error()) // writing to a buffer cannot fail
	}
	return out.Bytes()
}

func (s rgb) opaque() color.RGBA { return color.RGBA{s.r, s.g, s.b, 255} }

// pen draws filled shapes in coordinates of a 32-unit grid.
type pen struct {
	canvas       *image.RGBA
	scale, inset float64
	raster       *vector.Rasterizer
	x, y         float64
}

func (p *pen) fill(s rgb, shape func()) {
	p.raster = vector.NewRasterizer(p.canvas.Rect.Dx(), p.canvas.Rect.Dy())
	shape()
	p.raster.ClosePath()
	p.raster.Draw(p.canvas, p.canvas.Bounds(), image.NewUniform(s.opaque()), image.Point{})
}

func (p *pen) at(x, y float64) (float32, float32) {
	place := func(v float64) float32 { return float32((16 + (v-16)*p.inset) * p.scale) }
	return place(x), place(y)
}

func (p *pen) move(x, y float64) {
	p.x, p.y = x, y
	p.raster.MoveTo(p.at(x, y))
}

// curves draws a line by (dx, dy), then Bézier curves of six relative coordinates each, like SVG's "c" command.
func (p *pen) curves(dx, dy float64, c ...float64) {
	p.x, p.y = p.x+dx, p.y+dy
	p.raster.LineTo(p.at(p.x, p.y))
	for ; len(c) >= 6; c = c[6:] {
		ax, ay := p.at(p.x+c[0], p.y+c[1])
		bx, by := p.at(p.x+c[2], p.y+c[3])
		p.x, p.y = p.x+c[4], p.y+c[5]
		ex, ey := p.at(p.x, p.y)
		p.raster.CubeTo(ax, ay, bx, by, ex, ey)
	}
}

func (p *pen) box(x, y, toX, toY float64) {
	p.move(x, y)
	for _, corner := range [][2]float64{{toX, y}, {toX, toY}, {x, toY}, {x, y}} {
		p.raster.LineTo(p.at(corner[0], corner[1]))
	}
}

func (p *pen) disc(x, y, r float64) {
	const k = 0.5522847498 // distance of the control points at which a Bézier curve approximates a quarter circle of radius 1
	p.raster.ClosePath()
	p.move(x+r, y)
	for turn := range 4 {
		sin, cos := math.Sincos(float64(turn) * math.Pi / 2)
		rotate := func(a, b float64) (float64, float64) { return a*cos - b*sin, a*sin + b*cos }
		ax, ay := rotate(r, r*k)
		bx, by := rotate(r*k, r)
		ex, ey := rotate(0, r)
		p.curves(0, 0, x+ax-p.x, y+ay-p.y, x+bx-p.x, y+by-p.y, x+ex-p.x, y+ey-p.y)
	}
}
