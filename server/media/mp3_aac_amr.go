package media

import (
	"bytes"
	"context"
)

// Checks of audio formats that are sequences of frames: MP3, AAC, AMR.

var mp3Rates = [2][16]int64{ // kbit/s of layer III: MPEG-1, MPEG-2 and 2.5
	{0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0},
	{0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0},
}

var mp3Samples = [3]int64{44100, 48000, 32000}

// checkMP3 walks the frames of an MP3 (ISO/IEC 11172-3, 13818-3), after ID3v2 tags and before ID3v1 or APE tags.
func checkMP3(w *walker) error {
	at, err := skipID3(w)
	if err != nil {
		return err
	}
	frames := 0
	for at < w.size {
		if err := w.step(); err != nil {
			return err
		}
		head, err := w.bytes(at, 4)
		if err != nil {
			return err
		}
		if len(head) < 4 {
			break
		}
		length := mp3Frame([4]byte(head))
		if length == 0 {
			if tail := w.size - at; frames > 2 && (string(head[:3]) == "TAG" && tail <= 128+227 || string(head) == "APET" && tail < 64<<10) {
				return nil
			}
			if frames > 2 && onlyZeros(w, at) {
				return nil
			}
			return wrong("an MP3 with data between its frames")
		}
		frames++
		at += length
	}
	if frames < 3 {
		return wrong("no MP3")
	}
	return nil
}

// mpegAudio checks an MP3 or AAC file, which may both begin with an ID3v2 tag.
func (s *Service) mpegAudio(ctx context.Context, raw *part) (*inspected, error) {
	w := newWalker(ctx, raw)
	at, err := skipID3(w)
	if err != nil {
		return nil, err
	}
	if head, err := w.exactly(at, 7); err == nil && adtsFrame(head) > 0 {
		return as(".aac", "audio/aac", checkADTS)(s, ctx, raw)
	}
	return as(".mp3", "audio/mpeg", checkMP3)(s, ctx, raw)
}

// adtsFrame returns the length of the AAC frame with this header of 7 bytes (ISO/IEC 13818-7 §6.2), 0 if it is not a valid header.
func adtsFrame(h []byte) int64 {
	length := int64(h[3]&3)<<11 | int64(h[4])<<3 | int64(h[5]>>5)
	if h[0] != 0xff || h[1]&0xf6 != 0xf0 || h[2]>>2&0xf > 12 || length < 7 {
		return 0
	}
	return length
}

// checkADTS walks the frames of an AAC file. The last frame may be truncated, as by recorders that are switched off.
func checkADTS(w *walker) error {
	at, err := skipID3(w)
	frames := 0
	for ; err == nil && at < w.size; frames++ {
		if err := w.step(); err != nil {
			return err
		}
		head, err := w.bytes(at, 7)
		if err != nil {
			return err
		}
		if len(head) < 7 && frames > 2 {
			break
		}
		length := int64(0)
		if len(head) == 7 {
			length = adtsFrame(head)
		}
		if length == 0 {
			return wrong("an AAC with data between its frames")
		}
		at += length
	}
	if err == nil && frames < 3 {
		return wrong("no AAC")
	}
	return err
}

// amrFrames are the frame lengths in bytes by frame type, including the header, for narrow-band and wide-band (RFC 4867 §5.3); 0 =
// unused type.
var amrFrames = [2][16]int64{
	{13, 14, 16, 18, 20, 21, 27, 32, 6, 0, 0, 0, 0, 0, 0, 1},
	{18, 24, 33, 37, 41, 47, 51, 59, 61, 6, 0, 0, 0, 0, 1, 1},
}

// checkAMR walks the frames of an AMR file (RFC 4867 §5).
func checkAMR(w *walker) error {
	head, err := w.bytes(0, 9)
	if err != nil {
		return err
	}
	at, sizes := int64(6), &amrFrames[0]
	switch {
	case bytes.HasPrefix(head, []byte("#!AMR-WB\n")):
		at, sizes = 9, &amrFrames[1]
	case !bytes.HasPrefix(head, []byte("#!AMR\n")):
		return wrong("not an AMR with one channel")
	}
	first := at
	for at < w.size {
		if err := w.step(); err != nil {
			return err
		}
		b, err := w.exactly(at, 1)
		if err != nil {
			return err
		}
		length := sizes[b[0]>>3&0xf]
		if b[0]&0x83 != 0 || length == 0 {
			return wrong("an AMR with data between its frames")
		}
		at += length
	}
	if at == first {
		return wrong("an AMR without sound")
	}
	return nil
}

func skipID3(w *walker) (at int64, err error) {
	for {
		if err := w.step(); err != nil {
			return 0, err
		}
		head, err := w.exactly(at, 10)
		if err != nil {
			return 0, wrong("an MP3 without sound: %w", err)
		}
		if string(head[:3]) != "ID3" {
			return at, nil
		}
		size := int64(0)
		for _, b := range head[6:] {
			if b&0x80 != 0 {
				return 0, wrong("an MP3 with a broken tag")
			}
			size = size<<7 | int64(b)
		}
		at += 10 + size
	}
}

// mp3Frame returns the length of the frame with this header, 0 if it is not a valid header.
func mp3Frame(h [4]byte) int64 {
	version, layer, rate, samples := h[1]>>3&3, h[1]>>1&3, h[2]>>4, h[2]>>2&3
	if h[0] != 0xff || h[1]&0xe0 != 0xe0 || version == 1 || layer != 1 || samples == 3 {
		return 0
	}
	table, scale, perFrame := 0, int64(1), int64(144)
	if version != 3 {
		table, scale, perFrame = 1, 2, 72
	}
	if version == 0 {
		scale = 4
	}
	bits := mp3Rates[table][rate] * 1000
	if bits == 0 {
		return 0
	}
	return perFrame*bits/(mp3Samples[samples]/scale) + int64(h[2]>>1&1)
}

func onlyZeros(w *walker, at int64) bool {
	for at < w.size {
		b, err := w.bytes(at, 4096)
		if err != nil || len(bytes.Trim(b, "\x00")) > 0 {
			return false
		}
		at += int64(len(b))
	}
	return true
}
