package media_test

import (
	"bytes"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"strings"
	"testing"

	"sohbet/models/storetest"
	"sohbet/server/apperr"
	"sohbet/server/media"
	"sohbet/server/media/mediatest"
)

// striped returns a picture of three parts side by side, or one above the other if it is higher than wide: the middle is a green square.
func striped(w, h int) *image.NRGBA {
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	draw.Draw(m, m.Rect, image.NewUniform(color.NRGBA{255, 0, 0, 255}), image.Point{}, draw.Src)
	side := min(w, h)
	at := image.Pt((w-side)/2, (h-side)/2)
	draw.Draw(m, image.Rectangle{at, at.Add(image.Pt(side, side))}, image.NewUniform(color.NRGBA{0, 160, 0, 255}), image.Point{}, draw.Src)
	return m
}

func TestSquare(t *testing.T) {
	d := newDesk(t, storetest.Open(t, "sqlite"))
	green, white := [3]int{0, 160, 0}, [3]int{255, 255, 255}
	for name, c := range map[string]struct {
		content []byte
		side    int
		color   [3]int // in the middle and near the corners
	}{
		"wide":        {mediatest.JPEG(t, striped(1600, 400)), 140, green},
		"high":        {mediatest.PNG(t, striped(300, 900)), 186, green},
		"small":       {mediatest.PNG(t, striped(40, 30)), 30, green},
		"rotated":     {mediatest.WithEXIF(mediatest.JPEG(t, striped(1200, 900)), mediatest.EXIF(6)), 192, green},
		"transparent": {mediatest.PNG(t, image.NewNRGBA(image.Rect(0, 0, 700, 500))), 192, white},
		"WebP":        {mediatest.WebP(t, striped(400, 300)), 192, green},
	} {
		out, err := d.Square(t.Context(), bytes.NewReader(c.content))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		m, err := jpeg.Decode(bytes.NewReader(out))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if size := m.Bounds().Size(); size != image.Pt(c.side, c.side) {
			t.Errorf("%s: %v", name, size)
		}
		for _, at := range []image.Point{{3, 3}, {c.side / 2, c.side / 2}, {c.side - 4, c.side - 4}} {
			r, g, b, _ := m.At(at.X, at.Y).RGBA()
			for i, v := range []uint32{r, g, b} {
				if diff := int(v>>8) - c.color[i]; diff < -24 || diff > 24 {
					t.Errorf("%s at %v: %d %d %d", name, at, r>>8, g>>8, b>>8)
				}
			}
		}
	}
	for name, content := range map[string][]byte{
		"HEIC": mediatest.HEIC("heic"), "PDF": mediatest.PDF(), "text": []byte("hello"), "cut off": mediatest.JPEG(t, striped(900, 900))[:400],
	} {
		if _, err := d.Square(t.Context(), bytes.NewReader(content)); code(err) != apperr.CodeFileType {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := d.Square(t.Context(), bytes.NewReader(nil)); code(err) == "" {
		t.Error("an empty file was accepted")
	}
	for name, content := range mediatest.Bombs(t) {
		if _, err := d.Square(t.Context(), bytes.NewReader(content)); err == nil && strings.HasPrefix(name, string(media.Image)) {
			t.Errorf("%s was accepted", name)
		}
	}
	if left := d.files(t); len(left) != 0 {
		t.Errorf("files were left: %v", left)
	}
}
