package mediatest

import "encoding/binary"

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
