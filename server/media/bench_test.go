package media_test

import (
	"testing"

	"sohbet/models/storetest"
	"sohbet/server/media"
	"sohbet/server/media/mediatest"
)

// BenchmarkPhoto saves a photo of 12 megapixels that has to be rotated.
func BenchmarkPhoto(b *testing.B) {
	d := newDesk(b, storetest.Open(b, "sqlite"), func(o *media.Options) { o.Limit = 1 << 40 })
	photo := mediatest.WithEXIF(mediatest.JPEG(b, mediatest.Picture(4032, 3024, 48)), mediatest.EXIF(6))
	b.ReportAllocs()
	for b.Loop() {
		d.save(b, media.Image, "a.jpg", photo)
	}
}
