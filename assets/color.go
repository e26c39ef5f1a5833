package assets

import (
	"fmt"
	"math"
	"strconv"
)

// rgb is an sRGB colour: red, green, blue from 0 to 255.
type rgb struct{ r, g, b uint8 }

func (s rgb) String() string { return fmt.Sprintf("#%02x%02x%02x", s.r, s.g, s.b) }

func parseColor(text string) (rgb, error) {
	if len(text) != 7 || text[0] != '#' {
		return rgb{}, fmt.Errorf("assets: colour %q: want #rrggbb", text)
	}
	n, err := strconv.ParseUint(text[1:], 16, 32)
	if err != nil {
		return rgb{}, fmt.Errorf("assets: colour %q: want #rrggbb", text)
	}
	return rgb{uint8(n >> 16), uint8(n >> 8), uint8(n)}, nil
}

func mustColor(text string) rgb {
	s, err := parseColor(text)
	if err != nil {
		panic(err)
	}
	return s
}

// linear converts one sRGB channel to linear light (IEC 61966-2-1).
func linear(v uint8) float64 {
	c := float64(v) / 255
	if c <= 0.04045 {
		return c / 12.92
	}
	return math.Pow((c+0.055)/1.055, 2.4)
}

func gamma(c float64) float64 {
	if c <= 0.0031308 {
		return 12.92 * c
	}
	return 1.055*math.Pow(c, 1/2.4) - 0.055
}

// luminance is the relative luminance as defined by WCAG.
func (s rgb) luminance() float64 {
	return 0.2126*linear(s.r) + 0.7152*linear(s.g) + 0.0722*linear(s.b)
}

// contrast is the contrast ratio as defined by WCAG, 1 to 21.
func contrast(a, b rgb) float64 {
	x, y := a.luminance(), b.luminance()
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

// lch is a colour in OKLCH: lightness 0 to 1, chroma, hue in radians. Equal steps of lightness look equal for every hue.
type lch struct{ l, c, h float64 }

// lch converts with the matrices from Björn Ottosson, "A perceptual color space for image processing".
func (s rgb) lch() lch {
	r, g, b := linear(s.r), linear(s.g), linear(s.b)
	l := math.Cbrt(0.4122214708*r + 0.5363325363*g + 0.0514459929*b)
	m := math.Cbrt(0.2119034982*r + 0.6806995451*g + 0.1073969566*b)
	n := math.Cbrt(0.0883024619*r + 0.2817188376*g + 0.6299787005*b)
	x := 1.9779984951*l - 2.4285922050*m + 0.4505937099*n
	y := 0.0259040371*l + 0.7827717662*m - 0.8086757660*n
	return lch{0.2104542553*l + 0.7936177850*m - 0.0040720468*n, math.Hypot(x, y), math.Atan2(y, x)}
}

// rgb converts to sRGB, reducing the chroma if the colour is out of gamut at this lightness.
func (c lch) rgb() rgb {
	c.l = min(max(c.l, 0), 1)
	if s, inside := c.screen(); inside {
		return s
	}
	low, high := 0.0, c.c
	for range 20 {
		mid := (low + high) / 2
		if _, inside := (lch{c.l, mid, c.h}).screen(); inside {
			low = mid
		} else {
			high = mid
		}
	}
	s, _ := lch{c.l, low, c.h}.screen()
	return s
}

func (c lch) screen() (s rgb, inside bool) {
	x, y := c.c*math.Cos(c.h), c.c*math.Sin(c.h)
	cube := func(v float64) float64 { return v * v * v }
	l := cube(c.l + 0.3963377774*x + 0.2158037573*y)
	m := cube(c.l - 0.1055613458*x - 0.0638541728*y)
	n := cube(c.l - 0.0894841775*x - 1.2914855480*y)
	inside = true
	channel := func(v float64) uint8 {
		v = gamma(v)
		inside = inside && v > -0.002 && v < 1.002
		return uint8(math.Round(255 * min(max(v, 0), 1)))
	}
	s = rgb{
		channel(4.0767416621*l - 3.3077115913*m + 0.2309699292*n),
		channel(-1.2684380046*l + 2.6097574011*m - 0.3413193965*n),
		channel(-0.0041960863*l - 0.7034186147*m + 1.7076147010*n),
	}
	return s, inside
}

func (c lch) moved(by float64) lch { return lch{min(max(c.l+by, 0), 1), c.c, c.h} }

const lightnessStep = 0.005

// darkenUntil reduces the lightness until fits returns true or the colour is black.
func (c lch) darkenUntil(fits func(rgb) bool) lch {
	for c.l > 0 && !fits(c.rgb()) {
		c.l -= lightnessStep
	}
	return lch{max(c.l, 0), c.c, c.h}
}

// lightenUntil increases the lightness until fits returns true or the colour is white.
func (c lch) lightenUntil(fits func(rgb) bool) lch {
	for c.l < 1 && !fits(c.rgb()) {
		c.l += lightnessStep
	}
	return lch{min(c.l, 1), c.c, c.h}
}
