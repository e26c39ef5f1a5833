package media

import "encoding/binary"

// span is a range of bytes in a file.
type span struct{ at, n int64 }

// exifOrientation reads the Orientation tag (Exif 2.3 §4.6.4) from a block of EXIF: 1 (upright) to 8. It only reads the first
// directory. It returns 1 for anything that cannot be parsed.
func exifOrientation(w *walker, block span) int {
	get := func(at int64, n int) []byte {
		if at < 0 || at+int64(n) > block.n {
			return make([]byte, n)
		}
		b, err := w.exactly(block.at+at, n)
		if err != nil {
			return make([]byte, n)
		}
		return b
	}
	if string(get(0, 6)) == "Exif\x00\x00" { // a JPEG's prefix, which some programs write into WebP too
		block.at, block.n = block.at+6, block.n-6
	}
	var order binary.ByteOrder = binary.LittleEndian
	head := get(0, 8)
	switch string(head[:4]) {
	case "II*\x00":
	case "MM\x00*":
		order = binary.BigEndian
	default:
		return 1
	}
	directory := int64(order.Uint32(head[4:]))
	const orientation, short, most = 0x0112, 3, 512 // maximum number of entries; cameras write about a dozen
	for i := range min(int64(order.Uint16(get(directory, 2))), most) {
		entry := get(directory+2+12*i, 12)
		if order.Uint16(entry) == orientation && order.Uint16(entry[2:]) == short {
			if n := int(order.Uint16(entry[8:])); n >= 1 && n <= 8 {
				return n
			}
			return 1
		}
	}
	return 1
}
