package mediatest

import (
	"archive/zip"
	"bytes"
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
