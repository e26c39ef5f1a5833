package media

import (
	"bytes"
	"context"
	"image"
	"image/draw"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"net/http"

	"golang.org/x/image/webp"

	"sohbet/server/apperr"
)

// squareSize is the side of the picture of a person in pixels: the largest shown, on a high-density screen.
const squareSize = 192

var decoders = map[string]func(io.Reader) (image.Image, error){
	"image/jpeg": jpeg.Decode, "image/png": png.Decode, "image/gif": gif.Decode, "image/webp": webp.Decode,
}

// Square returns the middle of a picture as a square JPEG of at most 192 × 192 pixels, on white. If the file is refused the error is a
// *apperr.Error. Nothing is stored.
func (s *Service) Square(ctx context.Context, r io.Reader) ([]byte, error) {
	raw, err := s.local.receive(r, Limit(Image))
	if err != nil {
		return nil, refusal(err)
	}
	defer raw.discard()
	if raw.size == 0 {
		return nil, errEmpty
	}
	found, err := s.inspect(ctx, Image, raw) // rotates it and converts its colours
	if err != nil {
		return nil, refusal(err)
	}
	defer found.discard()
	from, decode := found.body, decoders[found.mime]
	if found.thumb != nil { // large enough, and cheaper
		from, decode = found.thumb, jpeg.Decode
		if found.thumbExt == ".png" {
			decode = png.Decode
		}
	}
	if decode == nil {
		return nil, noSquare(wrong("it is %s", found.mime))
	}
	var out bytes.Buffer
	// A pixel has at most eight bytes, and decoders of interlaced pictures hold a second copy.
	err = s.memory.run(ctx, 16*int64(found.width)*int64(found.height), func(ctx context.Context) error {
		r, err := from.read(ctx)
		if err != nil {
			return err
		}
		m, err := decode(r)
		if err != nil { // a small animated WebP
			return noSquare(err)
		}
		small, err := shrink(ctx, middle(m), squareSize)
		if err != nil {
			return err
		}
		page := image.NewRGBA(small.Rect)
		draw.Draw(page, page.Rect, image.White, image.Point{}, draw.Src)
		draw.Draw(page, page.Rect, small, image.Point{}, draw.Over)
		return jpeg.Encode(&out, page, &jpeg.Options{Quality: jpegQuality})
	})
	if err != nil {
		return nil, refusal(err)
	}
	return out.Bytes(), nil
}

func noSquare(why error) *apperr.Error {
	return &apperr.Error{Code: apperr.CodeFileType, Field: "file", Status: http.StatusUnsupportedMediaType,
		Message: "This kind of picture cannot be used here. Choose a JPEG or PNG.", Err: why}
}

// cropped is a part of a picture.
type cropped struct {
	image.Image
	bounds image.Rectangle
}

func (c cropped) Bounds() image.Rectangle { return c.bounds }

// middle returns the largest square in the middle of a picture.
func middle(m image.Image) image.Image {
	b := m.Bounds()
	side := min(b.Dx(), b.Dy())
	corner := b.Min.Add(image.Pt((b.Dx()-side)/2, (b.Dy()-side)/2))
	return cropped{m, image.Rectangle{corner, corner.Add(image.Pt(side, side))}}
}
