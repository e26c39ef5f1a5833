package mediatest

import (
	"archive/zip"
	"bytes"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"testing"

	"golang.org/x/image/webp"
)

// TestBombsAreWellFormed decodes small variants, which shows that large ones are refused only because of their size.
func TestBombsAreWellFormed(t *testing.T) {
	for _, groups := range []int{1, 3, 300} {
		for _, cache := range []int{0, 11} {
			m, err := webp.Decode(bytes.NewReader(WebPGroups(groups, cache)))
			if err != nil || m.Bounds().Size() != image.Pt(208, 208) {
				t.Errorf("a WebP of %d groups: %v", groups, err)
			}
		}
	}
	for _, o := range []PNGOptions{{50, 30, 8, 6, true, 255, nil}, {50, 30, 1, 0, false, 0, nil}, {51, 33, 16, 2, true, 3, nil}, {70, 3, 16, 4, false, 0, nil}} {
		if _, err := png.Decode(bytes.NewReader(RawPNG(t, o))); err != nil {
			t.Errorf("%+v: %v", o, err)
		}
	}
	if g, err := gif.DecodeAll(bytes.NewReader(GIFFrames(t, 100, 100, 20))); err != nil || len(g.Image) != 20 {
		t.Errorf("a GIF: %v", err)
	}
	for _, side := range []int{100, 1100} {
		if _, err := jpeg.Decode(bytes.NewReader(JPEGScans(side, side, 20))); err != nil {
			t.Errorf("a JPEG: %v", err)
		}
	}
	b := ZIPEntries(10, 10, 0)
	if z, err := zip.NewReader(bytes.NewReader(b), int64(len(b))); err != nil || len(z.File) != 10 {
		t.Errorf("a ZIP: %v", err)
	}
}
