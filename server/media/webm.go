package media

import "math/bits"

// Element ids of Matroska (RFC 9559).
const (
	ebmlHeader   = 0x1a45dfa3
	mkvSegment   = 0x18538067
	mkvCluster   = 0x1f43b675
	mkvTracks    = 0x1654ae6b
	mkvTrack     = 0xae
	mkvTrackType = 0x83
	unknownSize  = -1
)

// tracks counts the tracks of a container by kind.
type tracks struct{ sound, video, other int }

// checkWebM checks that a file is WebM with only audio tracks.
func checkWebM(w *walker) error {
	t, err := webm(w)
	if err == nil && (t.sound == 0 || t.video+t.other > 0) {
		return wrong("a WebM with %d tracks of sound and %d others", t.sound, t.video+t.other)
	}
	return err
}

func checkWebMVideo(w *walker) error {
	t, err := webm(w)
	if err == nil && t.video == 0 {
		return wrong("a WebM without video")
	}
	return err
}

// webm walks the elements of a WebM file and counts its tracks.
func webm(w *walker) (t tracks, err error) {
	id, size, at, err := element(w, 0)
	if err != nil || id != ebmlHeader || size == unknownSize {
		return t, wrong("no WebM")
	}
	if at += size; at >= w.size {
		return t, wrong("a WebM without content")
	}
	id, size, at, err = element(w, at)
	if err != nil || id != mkvSegment {
		return t, wrong("a WebM without a segment")
	}
	if size != unknownSize && at+size != w.size {
		return t, wrong("a WebM with data after its end")
	}
	err = webmTracks(w, at, w.size, mkvTracks, &t)
	return t, err
}

// element reads an element's id and size (RFC 8794 §4, §5); at is the offset of its content.
func element(w *walker, from int64) (id uint32, size, at int64, err error) {
	b, err := w.bytes(from, 12)
	if err != nil {
		return 0, 0, 0, err
	}
	width := bits.LeadingZeros8(b[0]) + 1
	if width > 4 || len(b) <= width {
		return 0, 0, 0, wrong("a broken element")
	}
	for _, x := range b[:width] {
		id = id<<8 | uint32(x)
	}
	b = b[width:]
	length := bits.LeadingZeros8(b[0]) + 1
	if length > 8 || len(b) < length {
		return 0, 0, 0, wrong("a broken element")
	}
	size = int64(b[0]) & (1<<(8-length) - 1)
	for _, x := range b[1:length] {
		size = size<<8 | int64(x)
	}
	if size == 1<<(7*length)-1 {
		size = unknownSize
	}
	return id, size, from + int64(width+length), nil
}

// webmInside maps an element to the child element to descend into; no others are, which limits the depth.
var webmInside = map[uint32]uint32{mkvTracks: mkvTrack, mkvTrack: mkvTrackType}

// webmTracks walks elements, descends into those with one id, and counts tracks. Recorders write clusters of unknown size, which end
// where the next one begins; their content is walked as if it were the segment's.
func webmTracks(w *walker, at, end int64, opened uint32, t *tracks) error {
	for at < end {
		if err := w.step(); err != nil {
			return err
		}
		id, size, content, err := element(w, at)
		if err != nil {
			return wrong("a WebM with data between its elements: %w", err)
		}
		if size == unknownSize {
			if id != mkvCluster {
				return wrong("a WebM with an element of unknown size")
			}
			at = content
			continue
		}
		if size > end-content {
			return wrong("a truncated WebM")
		}
		switch {
		case id != opened:
		case id == mkvTrackType:
			kind, err := w.bytes(content, 1)
			if err != nil || size != 1 {
				return wrong("a WebM with a broken track")
			}
			switch kind[0] {
			case 1:
				t.video++
			case 2:
				t.sound++
			default:
				t.other++
			}
		default:
			if err := webmTracks(w, content, content+size, webmInside[id], t); err != nil {
				return err
			}
		}
		at = content + size
	}
	return nil
}
