package mediatest

import (
	"archive/zip"
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"testing"
	"unicode/utf16"
)

// The files in this source file have the form in which programs, phones and cameras write them.

// HEIC returns a photo's container with a brand such as "heic" or "avif", without picture data, but with EXIF that contains a location.
func HEIC(brand string) []byte {
	exif := append([]byte("\x00\x00\x00\x06Exif\x00\x00"), EXIF(1)...)
	item := func(id byte, kind string) []byte {
		return box("infe", []byte{2, 0, 0, 0, 0, id, 0, 0}, []byte(kind+"\x00"))
	}
	file := func(at uint32) []byte {
		place := binary.BigEndian.AppendUint32([]byte{0, 0, 0, 0, 0x44, 0, 0, 1, 0, 2, 0, 0, 0, 1}, at)
		return join(box("ftyp", []byte(brand+"\x00\x00\x00\x00mif1")),
			box("meta", make([]byte, 4), box("hdlr", make([]byte, 8), []byte("pict"), make([]byte, 13)), box("iloc", binary.BigEndian.AppendUint32(place, uint32(len(exif)))),
				box("iinf", []byte{0, 0, 0, 0, 0, 2}, item(1, "hvc1"), item(2, "Exif"))),
			box("mdat", make([]byte, 300), exif))
	}
	whole := file(0)
	return file(uint32(len(whole) - len(exif)))
}

// Video returns a file with a video and an audio track: brand "qt  " is what iPhones record, "isom" an MP4, "" a QuickTime file without
// a brand. It ends with private boxes of camera makers.
func Video(brand string) []byte {
	track := func(kind string) []byte {
		return box("trak", box("tkhd", make([]byte, 84)), box("mdia", box("mdhd", make([]byte, 24)), box("hdlr", make([]byte, 8), []byte(kind), make([]byte, 13))))
	}
	rest := join(box("mdat", make([]byte, 400)), box("moov", box("mvhd", make([]byte, 100)), track("vide"), track("soun"), make([]byte, 4)), box("sefd", make([]byte, 8)))
	if brand == "" {
		return join(box("wide"), rest)
	}
	return join(box("ftyp", []byte(brand+"\x00\x00\x00\x00"+brand)), box("wide"), rest)
}

// AAC returns frames of audio in ADTS format.
func AAC(frames int) []byte {
	return bytes.Repeat(append([]byte{0xff, 0xf1, 0x50, 0x80, 100 >> 3, 100 << 5 & 0xff, 0xfc}, make([]byte, 93)...), frames)
}

// AMR returns frames as recorded by phones; wide selects the wide-band format.
func AMR(frames int, wide bool) []byte {
	if wide {
		return append([]byte("#!AMR-WB\n"), bytes.Repeat(append([]byte{0x04}, make([]byte, 17)...), frames)...)
	}
	return append([]byte("#!AMR\n"), bytes.Repeat(append([]byte{0x3c}, make([]byte, 31)...), frames)...)
}

// Compound returns a file in the format of older office programs, with streams of these names.
func Compound(streams ...string) []byte {
	b := append([]byte("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), make([]byte, 1016)...)
	for _, name := range append([]string{"Root Entry"}, streams...) {
		var entry [128]byte
		for i, c := range utf16.Encode([]rune(name)) {
			binary.LittleEndian.PutUint16(entry[2*i:], c)
		}
		binary.LittleEndian.PutUint16(entry[64:], uint16(2*len(name)+2))
		if entry[66] = 2; name == "Root Entry" {
			entry[66] = 5
		}
		b = append(b, entry[:]...)
	}
	return append(b, make([]byte, 512)...)
}

// OpenDocument returns a document of a format, such as "text".
func OpenDocument(t testing.TB, format string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, part := range [][2]string{{"mimetype", "application/vnd.oasis.opendocument." + format}, {"content.xml", "<office:document-content/>"}, {"META-INF/manifest.xml", "<manifest/>"}} {
		f, err := w.CreateHeader(&zip.FileHeader{Name: part[0], Method: zip.Store})
		if err == nil {
			_, err = f.Write([]byte(part[1]))
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

// UTF16 encodes a text with a byte order mark.
func UTF16(text string, order binary.AppendByteOrder) []byte {
	b := order.AppendUint16(nil, 0xfeff)
	for _, c := range utf16.Encode([]rune(text)) {
		b = order.AppendUint16(b, c)
	}
	return b
}

// WithProfile inserts a colour profile into a JPEG, PNG or lossless WebP.
func WithProfile(t testing.TB, file, profile []byte) []byte {
	t.Helper()
	switch {
	case bytes.HasPrefix(file, []byte("\xff\xd8")):
		segment := binary.BigEndian.AppendUint16([]byte{0xff, 0xe2}, uint16(len(profile)+16))
		return join(file[:2], segment, []byte("ICC_PROFILE\x00\x01\x01"), profile, file[2:])
	case bytes.HasPrefix(file, []byte("\x89PNG")):
		var b bytes.Buffer
		z := zlib.NewWriter(&b)
		_, err := z.Write(profile)
		if err == nil {
			err = z.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
		return join(file[:33], PNGChunk("iCCP", append([]byte("profile\x00\x00"), b.Bytes()...)), file[33:])
	}
	w, h := size(file)
	return riff(webpCanvas(0x30, w, h), webpChunk("ICCP", profile), file[12:])
}

func webpChunk(kind string, content ...[]byte) []byte {
	body := join(content...)
	b := binary.LittleEndian.AppendUint32([]byte(kind), uint32(len(body)))
	if b = append(b, body...); len(body)%2 == 1 {
		b = append(b, 0)
	}
	return b
}

func webpCanvas(flags byte, w, h int) []byte {
	return webpChunk("VP8X", []byte{flags, 0, 0, 0, byte(w - 1), byte((w - 1) >> 8), 0, byte(h - 1), byte((h - 1) >> 8), 0})
}

func riff(chunks ...[]byte) []byte {
	body := append([]byte("WEBP"), join(chunks...)...)
	return append(binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(len(body))), body...)
}

// AnimatedWebP combines lossless WebPs of the same size to an animation that ends with EXIF that contains a location.
func AnimatedWebP(files ...[]byte) []byte {
	w, h := size(files[0])
	chunks := [][]byte{webpCanvas(0x02|0x10|0x08, w, h), webpChunk("ANIM", make([]byte, 6))}
	for _, file := range files {
		fw, fh := size(file)
		chunks = append(chunks, webpChunk("ANMF", make([]byte, 6), []byte{byte(fw - 1), byte((fw - 1) >> 8), 0, byte(fh - 1), byte((fh - 1) >> 8), 0, 100, 0, 0, 0}, file[12:]))
	}
	return riff(append(chunks, webpChunk("EXIF", EXIF(1)))...)
}

// Profile returns an ICC profile of three primaries, each in XYZ under D50 as 16.16 fixed point, and one curve for all.
func Profile(primaries [3][3]uint32, curve []byte) []byte {
	xyz := func(c [3]uint32) []byte {
		b := []byte("XYZ \x00\x00\x00\x00")
		for _, v := range c {
			b = binary.BigEndian.AppendUint32(b, v)
		}
		return b
	}
	b := make([]byte, 128)
	copy(b[12:], "mntrRGB XYZ ")
	copy(b[36:], "acsp")
	b = binary.BigEndian.AppendUint32(b, 6)
	at := uint32(len(b) + 6*12)
	var data []byte
	for i, c := range []string{"r", "g", "b"} {
		for name, body := range map[string][]byte{"XYZ": xyz(primaries[i]), "TRC": curve} {
			b = append(b, c+name...)
			b = binary.BigEndian.AppendUint32(b, at+uint32(len(data)))
			b = binary.BigEndian.AppendUint32(b, uint32(len(body)))
			data = append(data, body...)
		}
	}
	return append(b, data...)
}

// SRGBCurve is the sRGB curve as a parametricCurveType.
var SRGBCurve = []byte("para\x00\x00\x00\x00\x00\x03\x00\x00\x00\x02\x66\x66\x00\x00\xf2\xa7\x00\x00\x0d\x59\x00\x00\x13\xd0\x00\x00\x0a\x5b")

// DisplayP3 returns the profile of iPhone pictures.
func DisplayP3() []byte {
	return Profile([3][3]uint32{{0x83df, 0x3dbf, 0xffffffbb}, {0x4abf, 0xb137, 0x0ab9}, {0x2838, 0x110b, 0xc8b9}}, SRGBCurve)
}

// SRGB returns the profile that most cameras and programs write.
func SRGB() []byte {
	return Profile([3][3]uint32{{0x6fa2, 0x38f5, 0x0390}, {0x6299, 0xb785, 0x18da}, {0x24a0, 0x0f84, 0xb6cf}}, SRGBCurve)
}
