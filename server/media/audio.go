package media

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// Audio is not decoded: a file is walked from the first byte to the last, and every byte must belong to the container's structure. That
// rejects files that only begin like audio; anything hidden inside the audio data is harmless, because the file is only ever served as
// audio.

// checkWAV walks the chunks of a RIFF file (Multimedia Programming Interface 1.0).
func checkWAV(w *walker) error {
	head, err := w.exactly(0, 12)
	if err != nil || string(head[:4]) != "RIFF" || string(head[8:]) != "WAVE" {
		return wrong("no WAV")
	}
	var format, data bool
	at := int64(12)
	for at+8 <= w.size {
		if err := w.step(); err != nil {
			return err
		}
		chunk, err := w.exactly(at, 8)
		if err != nil {
			return err
		}
		length := int64(binary.LittleEndian.Uint32(chunk[4:]))
		switch string(chunk[:4]) {
		case "fmt ":
			format = length >= 16
		case "data":
			data = true
			if length == 0xffffffff || length == 0 { // written by a recorder that could not seek back to store the length
				length = w.size - at - 8
			}
		}
		if at += 8 + length; at > w.size {
			return wrong("a WAV with a chunk beyond its end")
		}
		at += length & 1
	}
	if !format || !data || at < w.size {
		return wrong("not a complete WAV")
	}
	return nil
}

// checkOgg walks the pages of an Ogg file (RFC 3533) that contains Opus, Vorbis, Speex or FLAC.
func checkOgg(w *walker) error {
	at := int64(0)
	for at < w.size {
		if err := w.step(); err != nil {
			return err
		}
		head, err := w.exactly(at, 27)
		if err != nil || string(head[:4]) != "OggS" || head[4] != 0 {
			return wrong("an Ogg file with data between its pages")
		}
		first, segments := head[5]&2 != 0, int64(head[26])
		lacing, err := w.exactly(at+27, int(segments))
		if err != nil {
			return wrong("a truncated Ogg file")
		}
		length := int64(0)
		for _, n := range lacing {
			length += int64(n)
		}
		if first { // the first page of a stream identifies its codec
			codec, err := w.bytes(at+27+segments, int(min(length, 8)))
			if err != nil || !oggSound(codec) {
				return wrong("an Ogg file with other content than audio")
			}
		} else if at == 0 {
			return wrong("an Ogg file without its first page")
		}
		at += 27 + segments + length
	}
	if at != w.size {
		return wrong("a truncated Ogg file")
	}
	return nil
}

func oggSound(codec []byte) bool {
	for _, name := range []string{"OpusHead", "\x01vorbis", "\x7fFLAC", "Speex   "} {
		if bytes.HasPrefix(codec, []byte(name)) {
			return true
		}
	}
	return false
}

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
