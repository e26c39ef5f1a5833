package mediatest

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"testing"
)

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
