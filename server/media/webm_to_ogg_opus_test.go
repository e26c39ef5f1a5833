package media

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"testing"
	"testing/iotest"

	"sohbet/server/media/mediatest"
)

// oggPackets parses an Ogg file with one stream and checks everything that a player checks (RFC 3533, section 6).
func oggPackets(b []byte) (packets [][]byte, granules []uint64, err error) {
	var packet []byte
	for n := uint32(0); len(b) > 0; n++ {
		if len(b) < 27 || string(b[:5]) != "OggS\x00" || len(b) < 27+int(b[26]) {
			return nil, nil, fmt.Errorf("page %d has no header", n)
		}
		head, length := 27+int(b[26]), 0
		for _, x := range b[27:head] {
			length += int(x)
		}
		if len(b) < head+length {
			return nil, nil, fmt.Errorf("page %d is cut off", n)
		}
		page, body := bytes.Clone(b[:head+length]), b[head:head+length]
		flags, granule, sequence := b[5], binary.LittleEndian.Uint64(b[6:]), binary.LittleEndian.Uint32(b[18:])
		sum := binary.LittleEndian.Uint32(page[22:])
		copy(page[22:26], "\x00\x00\x00\x00")
		crc := uint32(0) // bit by bit, as in the specification
		for _, x := range page {
			crc ^= uint32(x) << 24
			for range 8 {
				if crc&(1<<31) != 0 {
					crc = crc<<1 ^ 0x04c11db7
				} else {
					crc <<= 1
				}
			}
		}
		if crc != sum || sequence != n || (flags&2 != 0) != (n == 0) || (flags&4 != 0) != (head+length == len(b)) || flags&1 != 0 {
			return nil, nil, fmt.Errorf("page %d has the number %d, flags %d, the checksum %x instead of %x", n, sequence, flags, sum, crc)
		}
		if len(granules) > 0 && granule < granules[len(granules)-1] {
			return nil, nil, fmt.Errorf("page %d goes back to %d", n, granule)
		}
		granules = append(granules, granule)
		for _, x := range b[27:head] {
			packet, body = append(packet, body[:x]...), body[x:]
			if x < 255 {
				packets, packet = append(packets, packet), nil
			}
		}
		if packet != nil {
			return nil, nil, fmt.Errorf("page %d ends within a packet", n)
		}
		b = b[head+length:]
	}
	return packets, granules, nil
}

func TestOpusFromWebM(t *testing.T) {
	for _, n := range []int{1, 2, 60, 700} {
		want := mediatest.OpusPackets(n)
		webm := mediatest.WebMOpus(want)
		ogg, err := io.ReadAll(OpusFromWebM(iotest.OneByteReader(bytes.NewReader(webm))))
		if err != nil {
			t.Fatal(n, err)
		}
		packets, granules, err := oggPackets(ogg)
		if err != nil || len(packets) != n+2 || !bytes.Equal(packets[0], mediatest.OpusHead()) || !bytes.HasPrefix(packets[1], []byte("OpusTags")) {
			t.Fatalf("%d packets became %d: %v", n, len(packets), err)
		}
		if !slices.EqualFunc(packets[2:], want, bytes.Equal) {
			t.Errorf("%d packets are not as they were", n)
		}
		if last := granules[len(granules)-1]; granules[0] != 0 || granules[1] != 0 || last != uint64(960*n) {
			t.Errorf("%d packets end at sample %d", n, last)
		}
		if len(ogg) > len(webm)+1024 {
			t.Errorf("%d bytes became %d", len(webm), len(ogg))
		}
	}
}

func TestWhatIsNoOpusStaysAsItIs(t *testing.T) {
	whole := mediatest.WebMOpus(mediatest.OpusPackets(3))
	laced := bytes.Replace(whole, []byte{0x81, 0, 20, 0x80}, []byte{0x81, 0, 20, 0x86}, 1)
	surround := bytes.Replace(whole, []byte("OpusHead\x01\x01"), []byte("OpusHead\x01\x06"), 1)
	for name, b := range map[string][]byte{
		"nothing": nil, "Ogg": mediatest.Ogg(3), "M4A": mediatest.M4A("soun"), "no header of Opus": mediatest.WebM(2, 3), "another codec": bytes.Replace(whole, []byte("A_OPUS"), []byte("A_AAC2"), 1),
		"no packets": mediatest.WebMOpus(nil), "cut off": whole[:len(whole)-2], "several packets in a block": laced, "six channels": surround,
		"a huge block": append(bytes.Clone(whole), "\xa3\x01\x00\x00\x00\x7f\xff\xff\xff"...),
	} {
		if n, err := io.Copy(io.Discard, OpusFromWebM(bytes.NewReader(b))); !errors.Is(err, ErrNoOpus) {
			t.Errorf("%s: %d bytes, %v", name, n, err)
		}
	}
	broken := errors.New("the disk is broken")
	if _, err := io.Copy(io.Discard, OpusFromWebM(io.MultiReader(bytes.NewReader(whole), iotest.ErrReader(broken)))); !errors.Is(err, broken) || errors.Is(err, ErrNoOpus) {
		t.Errorf("a file that cannot be read: %v", err)
	}
}

// Memory use does not grow with the recording.
func TestOpusFromWebMHoldsLittle(t *testing.T) {
	held := func(n int) uint64 {
		webm := mediatest.WebMOpus(mediatest.OpusPackets(n))
		r := OpusFromWebM(bytes.NewReader(webm)).(*opusRemuxer)
		if _, err := io.Copy(io.Discard, struct{ io.Reader }{r}); err != nil {
			t.Fatal(err)
		}
		runtime.KeepAlive(webm)
		return uint64(cap(r.body) + cap(r.segments) + r.out.Cap())
	}
	if small, large := held(700), held(7000); large > 2*small {
		t.Errorf("a recording ten times as long holds %d bytes, not %d", large, small)
	}
}

func FuzzOpusFromWebM(f *testing.F) {
	whole := mediatest.WebMOpus(mediatest.OpusPackets(60))
	for _, b := range [][]byte{whole, whole[:500], mediatest.WebM(2, 3), mediatest.WebMOpus(nil), mediatest.WebMOpus([][]byte{{0xff, 0x3f}, {0x03}, {0x00}})} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		ogg, err := io.ReadAll(OpusFromWebM(bytes.NewReader(b)))
		if len(ogg) > 40*len(b)+1024 { // a packet of one byte costs a lacing value, and a page header per 50 of them or 255 values at most
			t.Errorf("%d bytes became %d", len(b), len(ogg))
		}
		if err != nil {
			if !errors.Is(err, ErrNoOpus) {
				t.Errorf("%v", err)
			}
			return
		}
		packets, _, err := oggPackets(ogg)
		if err != nil || len(packets) < 3 {
			t.Errorf("%d packets, %v", len(packets), err)
		}
	})
}
