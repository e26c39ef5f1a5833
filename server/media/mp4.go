package media

import "encoding/binary"

// boxes walks an ISO media file (ISO/IEC 14496-12) or a QuickTime file, its predecessor.
type boxes struct {
	w   *walker
	any bool // cameras add private boxes to videos and photos; if false, only known boxes are allowed at the top level
	tracks
	first string // the name of the first box
	meta  span   // content of the first meta box, which describes items such as a photo's
}

// checkMP4 checks that a file has only audio tracks.
func checkMP4(w *walker) error {
	b := boxes{w: w}
	err := b.walk(0, w.size, 0)
	if err == nil && (b.sound == 0 || b.video > 0) {
		return wrong("an MP4 with %d tracks of sound and %d of video", b.sound, b.video)
	}
	return err
}

// checkVideo checks that a file is MP4 or QuickTime with a video track. Frames are not decoded.
func checkVideo(w *walker) error {
	b := boxes{w: w, any: true}
	err := b.walk(0, w.size, 0)
	if err == nil && b.video == 0 {
		return wrong("an MP4 without video")
	}
	return err
}

func (b *boxes) walk(at, end int64, depth int) error {
	for at < end {
		if err := b.w.step(); err != nil {
			return err
		}
		if depth > 0 && b.any && end-at < 8 { // QuickTime ends a list of boxes with four zero bytes
			return nil
		}
		head, err := b.w.bytes(at, 16)
		if err != nil || len(head) < 8 {
			return wrong("a truncated MP4")
		}
		name := string(head[4:8])
		size, content := int64(binary.BigEndian.Uint32(head)), at+8
		switch size {
		case 0: // extends to the end
			size = end - at
		case 1:
			if len(head) < 16 {
				return wrong("a truncated MP4")
			}
			size, content = int64(binary.BigEndian.Uint64(head[8:])), at+16 // an overflow is negative
		}
		if size < content-at || size > end-at {
			return wrong("an MP4 with data between its boxes")
		}
		if depth == 0 {
			if !topBoxes[name] && !(b.any && printable(name)) {
				return wrong("an MP4 with an unknown box %q", name)
			}
			if at == 0 {
				b.first = name
			}
			if name == "meta" && b.meta.n == 0 {
				b.meta = span{content, at + size - content}
			}
		}
		switch {
		case name == "moov" && depth == 0, name == "trak" && depth == 1, name == "mdia" && depth == 2:
			if err := b.walk(content, at+size, depth+1); err != nil {
				return err
			}
		case name == "hdlr" && depth == 3:
			kind, err := b.w.exactly(content, 12) // version and flags, 4 bytes of zero, the kind of track
			if err != nil {
				return wrong("a truncated MP4")
			}
			switch string(kind[8:]) {
			case "soun":
				b.sound++
			case "vide":
				b.video++
			default:
				b.other++
			}
		}
		at += size
	}
	return nil
}

func printable(name string) bool {
	for _, c := range []byte(name) {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}

// topBoxes are the boxes allowed at the top level of audio files.
var topBoxes = map[string]bool{
	"ftyp": true, "styp": true, "moov": true, "mdat": true, "free": true, "skip": true, "wide": true, "moof": true,
	"mfra": true, "sidx": true, "uuid": true, "meta": true, "udta": true, "prft": true, "emsg": true, "pdin": true,
}
