package media

import (
	"bytes"
	"encoding/binary"
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
