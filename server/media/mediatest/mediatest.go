// Package mediatest generates pictures, audio and documents for tests.
package mediatest

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"math/rand/v2"
	"testing"

	"github.com/HugoSmits86/nativewebp"
)

// Picture returns w × h blue pixels with a red upper left quarter, which shows the orientation; noise from 0 to 255 makes encoded files
// larger.
func Picture(w, h, noise int) *image.NRGBA {
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	dice := rand.New(rand.NewPCG(1, uint64(w*h)))
	for y := range h {
		for x := range w {
			c := color.NRGBA{20, 40, 200, 255}
			if x < w/2 && y < h/2 {
				c = color.NRGBA{220, 30, 30, 255}
			}
			if noise > 0 {
				n := byte(dice.IntN(noise))
				c.R, c.G, c.B = c.R^n, c.G^n, c.B^n
			}
			m.SetNRGBA(x, y, c)
		}
	}
	return m
}

// JPEG encodes a picture.
func JPEG(t testing.TB, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, &jpeg.Options{Quality: 90}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// PNG encodes a picture.
func PNG(t testing.TB, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// WebP encodes a picture losslessly.
func WebP(t testing.TB, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := nativewebp.Encode(&b, m, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// GIF returns an animation with frames of different colours.
func GIF(t testing.TB, w, h, frames int) []byte {
	t.Helper()
	palette := color.Palette{color.Black, color.White, color.NRGBA{220, 30, 30, 255}, color.NRGBA{20, 40, 200, 255}}
	g := &gif.GIF{LoopCount: 0}
	for i := range frames {
		m := image.NewPaletted(image.Rect(0, 0, w, h), palette)
		for p := range m.Pix {
			m.Pix[p] = byte((p/7 + i) % len(palette))
		}
		g.Image, g.Delay = append(g.Image, m), append(g.Delay, 10)
	}
	var b bytes.Buffer
	if err := gif.EncodeAll(&b, g); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// EXIF returns a little-endian TIFF block with an orientation and a GPS tag, whose text tests can search for.
func EXIF(orientation int) []byte {
	const place = "41.0082N 28.9784E SECRET PLACE\x00"
	b := []byte("II*\x00\x08\x00\x00\x00")
	entry := func(tag, kind uint16, count, value uint32) {
		b = binary.LittleEndian.AppendUint16(b, tag)
		b = binary.LittleEndian.AppendUint16(b, kind)
		b = binary.LittleEndian.AppendUint32(b, count)
		b = binary.LittleEndian.AppendUint32(b, value)
	}
	b = binary.LittleEndian.AppendUint16(b, 2)      // IFD0: two entries
	entry(0x0112, 3, 1, uint32(orientation))        // Orientation
	entry(0x8825, 4, 1, 38)                         // offset of the GPS directory
	b = binary.LittleEndian.AppendUint32(b, 0)      // no next directory
	b = binary.LittleEndian.AppendUint16(b, 1)      // GPS: one entry
	entry(0x001b, 2, uint32(len(place)), 38+2+12+4) // GPSProcessingMethod
	b = binary.LittleEndian.AppendUint32(b, 0)
	return append(b, place...)
}

// WithEXIF inserts a block of EXIF into a JPEG, PNG or WebP.
func WithEXIF(file, exif []byte) []byte {
	switch {
	case bytes.HasPrefix(file, []byte("\xff\xd8")):
		body := append([]byte("Exif\x00\x00"), exif...)
		segment := binary.BigEndian.AppendUint16([]byte{0xff, 0xe1}, uint16(len(body)+2))
		return join(file[:2], segment, body, file[2:])
	case bytes.HasPrefix(file, []byte("\x89PNG")):
		return join(file[:33], PNGChunk("eXIf", exif), file[33:])
	}
	chunk := binary.LittleEndian.AppendUint32([]byte("EXIF"), uint32(len(exif)))
	chunk = append(chunk, exif...)
	if len(exif)%2 == 1 {
		chunk = append(chunk, 0)
	}
	if string(file[12:16]) != "VP8X" { // the simple format cannot have EXIF
		w, h := size(file)
		canvas := append([]byte("VP8X\x0a\x00\x00\x00"), 0x08|0x10, 0, 0, 0, byte(w-1), byte((w-1)>>8), 0, byte(h-1), byte((h-1)>>8), 0)
		file = join(file[:12], canvas, file[12:])
	}
	file = append(bytes.Clone(file), chunk...)
	binary.LittleEndian.PutUint32(file[4:], uint32(len(file)-8))
	return file
}

// size returns the size of a lossless WebP.
func size(file []byte) (w, h int) {
	bits := binary.LittleEndian.Uint32(file[21:])
	return int(bits&0x3fff) + 1, int(bits>>14&0x3fff) + 1
}

// PNGChunk returns one chunk with its checksum.
func PNGChunk(kind string, body []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	b = append(append(b, kind...), body...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[4:]))
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// WAV returns silence of a duration in milliseconds, with 8000 samples per second.
func WAV(ms int) []byte {
	data := make([]byte, 8*ms)
	b := binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(36+len(data)))
	b = append(b, "WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00"...)
	b = binary.LittleEndian.AppendUint32(b, 8000)
	b = binary.LittleEndian.AppendUint32(b, 8000)
	b = append(b, "\x01\x00\x08\x00data"...)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(data)))
	return append(b, bytes.Repeat([]byte{0x80}, len(data))...)
}

// MP3 returns frames of 128 kbit/s at 44.1 kHz, after an ID3 tag.
func MP3(frames int) []byte {
	b := []byte("ID3\x04\x00\x00\x00\x00\x00\x0bTIT2 a title")[:21]
	for range frames {
		b = append(b, "\xff\xfb\x90\x64"...)
		b = append(b, make([]byte, 417-4)...)
	}
	return b
}

// Ogg returns an Opus stream of packets. Its checksums are zero, which a player rejects but the file service does not check.
func Ogg(packets int) []byte {
	page := func(flags byte, n uint32, body []byte) []byte {
		b := append([]byte("OggS\x00"), flags)
		b = append(b, make([]byte, 8)...)
		b = binary.LittleEndian.AppendUint32(b, 7)
		b = binary.LittleEndian.AppendUint32(b, n)
		b = append(b, 0, 0, 0, 0, 1, byte(len(body)))
		return append(b, body...)
	}
	out := page(2, 0, []byte("OpusHead\x01\x01\x00\x00\x80\xbb\x00\x00\x00\x00\x00"))
	out = append(out, page(0, 1, []byte("OpusTags\x00\x00\x00\x00\x00\x00\x00\x00"))...)
	for i := range packets {
		out = append(out, page(0, uint32(i+2), []byte{0xf8, 0xff, 0xfe})...)
	}
	return out
}

func element(id uint32, body ...[]byte) []byte {
	var b []byte
	for shift := 24; shift >= 0; shift -= 8 {
		if x := byte(id >> shift); x != 0 || len(b) > 0 {
			b = append(b, x)
		}
	}
	content := join(body...)
	b = append(b, 0x10) // a size of four bytes (RFC 8794 §4)
	b = append(b, byte(len(content)>>16), byte(len(content)>>8), byte(len(content)))
	return append(b, content...)
}

// WebM returns a file as recorded by a browser: one track (type 2 is audio, 1 video) and clusters, the last one of unknown size.
func WebM(trackType byte, clusters int) []byte {
	head := element(0x1a45dfa3, element(0x4282, []byte("webm")))
	tracks := element(0x1654ae6b, element(0xae, element(0xd7, []byte{1}), element(0x83, []byte{trackType}), element(0x86, []byte("A_OPUS"))))
	out := join(head, []byte{0x18, 0x53, 0x80, 0x67, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, tracks)
	for i := range clusters {
		content := join(element(0xe7, []byte{byte(i)}), element(0xa3, append([]byte{0x81, 0, 0, 0x80}, make([]byte, 60)...)))
		if i < clusters-1 {
			out = append(out, element(0x1f43b675, content)...)
			continue
		}
		out = join(out, []byte{0x1f, 0x43, 0xb6, 0x75, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, content)
	}
	return out
}

func box(name string, body ...[]byte) []byte {
	content := join(body...)
	b := binary.BigEndian.AppendUint32(nil, uint32(8+len(content)))
	return append(append(b, name...), content...)
}

// M4A returns an ISO media file with one track of a kind: "soun" or "vide".
func M4A(handler string) []byte {
	hdlr := box("hdlr", make([]byte, 8), []byte(handler), make([]byte, 13))
	return join(box("ftyp", []byte("M4A \x00\x00\x00\x00M4A mp42isom")), box("moov", box("mvhd", make([]byte, 100)),
		box("trak", box("tkhd", make([]byte, 84)), box("mdia", box("mdhd", make([]byte, 24)), hdlr))), box("mdat", make([]byte, 400)))
}

// PDF returns a document of one empty page.
func PDF() []byte {
	return []byte("%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n" +
		"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 72 72]>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n")
}

// ZIP returns an archive of files: name, content, name, content, …
func ZIP(t testing.TB, pairs ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i := 0; i < len(pairs); i += 2 {
		f, err := w.Create(pairs[i])
		if err == nil {
			_, err = f.Write([]byte(pairs[i+1]))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// DOCX returns a minimal Word document.
func DOCX(t testing.TB) []byte {
	return ZIP(t, "[Content_Types].xml", `<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>`,
		"_rels/.rels", "<Relationships/>", "word/document.xml", "<w:document/>")
}

// XLSX returns a minimal Excel workbook.
func XLSX(t testing.TB) []byte {
	return ZIP(t, "[Content_Types].xml", `<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>`,
		"_rels/.rels", "<Relationships/>", "xl/workbook.xml", "<workbook/>")
}
