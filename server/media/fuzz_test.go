package media

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"runtime"
	"testing"
	"time"

	"golang.org/x/image/vp8l"

	"sohbet/models"
	"sohbet/server/media/mediatest"
)

// noStore is a Store that records nothing.
type noStore struct{ Store }

func (noStore) AddUpload(_ context.Context, u models.Upload) (models.Upload, error) { return u, nil }

// total returns the bytes allocated since the program started.
func total() int64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.TotalAlloc)
}

// fuzzed saves arbitrary data as a file of a kind. It may allocate the budget and store up to the output limit, but no more, and leaves
// nothing behind if it is refused.
func fuzzed(f *testing.F, kind Kind) {
	const budget, overhead = 12 << 20, 1 << 20
	s, err := New(Options{Dir: f.TempDir(), Limit: 1 << 30, Free: func() (uint64, error) { return 1 << 40, nil }, Memory: budget,
		Store: noStore{}, Log: slog.New(slog.DiscardHandler), Now: time.Now})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		if err := s.Close(); err != nil {
			f.Error(err)
		}
	})
	f.Fuzz(func(t *testing.T, content []byte) {
		before, used := s.local.used, total()
		file, err := s.Save(t.Context(), kind, "x", bytes.NewReader(content))
		if used = total() - used; used > budget+overhead {
			t.Errorf("%d bytes allocate %d (%v)", len(content), used, err)
		}
		stored := s.local.used - before
		if err != nil && stored != 0 || stored > outputLimit(int64(len(content))) {
			t.Errorf("%d bytes leave %d (%v)", len(content), stored, err)
		}
		if err != nil {
			return
		}
		for _, url := range []string{file.URL, file.Thumb} {
			if name, _ := localPath(url); name != "" {
				if err := s.local.remove(name); err != nil {
					t.Error(err)
				}
			}
		}
	})
}

func FuzzImage(f *testing.F) {
	small := mediatest.Picture(50, 40, 8)
	for _, b := range [][]byte{
		mediatest.JPEG(f, small), mediatest.PNG(f, small), mediatest.WebP(f, small), mediatest.GIF(f, 50, 40, 3),
		mediatest.WebPGroups(2600, 11), mediatest.WebPGroups(3, 4), mediatest.JPEGScans(300, 200, 6), mediatest.JPEGScans(3000, 2000, 90),
		mediatest.GIFFrames(f, 3, 3, 10), mediatest.GIFFrames(f, 1, 1, 6000),
		mediatest.RawPNG(f, mediatest.PNGOptions{Width: 3000, Height: 2000, Depth: 1, Adam7: true, Before: mediatest.PNGChunk("tRNS", []byte{0, 0})}),
		mediatest.RawPNG(f, mediatest.PNGOptions{Width: 30, Height: 20, Depth: 16, ColorType: 4, Adam7: true, Noise: 255}),
		mediatest.RawPNG(f, mediatest.PNGOptions{Width: 30, Height: 20, Depth: 2, ColorType: 3, Before: mediatest.PNGChunk("PLTE", make([]byte, 12))}),
		mediatest.RawPNG(f, mediatest.PNGOptions{Width: 20_000_000, Height: 1, Depth: 1}),
		mediatest.AnimatedWebP(mediatest.WebP(f, small), mediatest.WebP(f, small)), mediatest.HEIC("heic"),
		mediatest.WithProfile(f, mediatest.JPEG(f, small), mediatest.DisplayP3()), mediatest.WithProfile(f, mediatest.PNG(f, small), mediatest.DisplayP3()),
	} {
		f.Add(b)
		if b[0] != 'G' {
			f.Add(mediatest.WithEXIF(b, mediatest.EXIF(6)))
		}
	}
	fuzzed(f, Image)
}

func FuzzAudio(f *testing.F) {
	for _, b := range [][]byte{
		mediatest.WAV(10), mediatest.MP3(4), mediatest.Ogg(3), mediatest.WebM(2, 3), mediatest.WebM(1, 3), mediatest.M4A("soun"), mediatest.M4A("vide"),
		mediatest.AAC(4), mediatest.AMR(4, false), mediatest.AMR(4, true), mediatest.WebMNested(10_000), mediatest.WebMEmpty(600_000), append([]byte("ID3"), bytes.Repeat([]byte("\x04\x00\x00\x00\x00\x00\x00ID3"), 1000)...),
	} {
		f.Add(b)
	}
	fuzzed(f, Audio)
}

func FuzzDocument(f *testing.F) {
	for _, b := range [][]byte{
		mediatest.PDF(), mediatest.DOCX(f), mediatest.XLSX(f), mediatest.ZIP(f, "a", "b"), []byte("Merhaba\n"), append(mediatest.PDF(), mediatest.ZIP(f, "a", "b")...),
		mediatest.HEIC("heic"), mediatest.Video("qt  "), mediatest.Video(""), mediatest.Compound("WordDocument"), mediatest.OpenDocument(f, "text"),
		mediatest.UTF16("Merhaba\n", binary.LittleEndian), append([]byte("\r\n"), mediatest.PDF()...),
		mediatest.ZIPEntries(1<<16+10, 10, 0), mediatest.ZIPEntries(10, 10, 1<<31), mediatest.ZIPEntries(6000, 6000, 0),
	} {
		f.Add(b)
	}
	fuzzed(f, Any)
}

// FuzzEXIF reads blocks of EXIF that consist only of the directory, whose directory is elsewhere, or that are invalid.
func FuzzEXIF(f *testing.F) {
	big := []byte("MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00\x00\x00\x00\x00")
	f.Add(mediatest.EXIF(6))
	f.Add(big)
	f.Add(append([]byte("Exif\x00\x00"), big...))
	f.Add([]byte("II*\x00\xff\xff\xff\x7f"))
	f.Add(append([]byte("II*\x00\x08\x00\x00\x00\xff\xff"), make([]byte, 9000)...))
	f.Fuzz(func(t *testing.T, block []byte) {
		w := &walker{ctx: t.Context(), r: bytes.NewReader(block), size: int64(len(block))}
		for _, length := range []int64{int64(len(block)), 1 << 40, -1} {
			if n := exifOrientation(w, span{0, length}); n < 1 || n > 8 {
				t.Errorf("orientation %d", n)
			}
		}
	})
}

// FuzzProfile converts every colour with arbitrary profiles.
func FuzzProfile(f *testing.F) {
	p3 := mediatest.DisplayP3()
	for i := range 5 { // the types of a parametric curve
		f.Add(bytes.ReplaceAll(p3, []byte("para\x00\x00\x00\x00\x00\x03"), []byte{'p', 'a', 'r', 'a', 0, 0, 0, 0, 0, byte(i)}))
	}
	f.Add(bytes.ReplaceAll(p3, []byte("para\x00\x00\x00\x00\x00\x03\x00\x00"), []byte("curv\x00\x00\x00\x00\x00\x00\x00\x02")))
	f.Fuzz(func(t *testing.T, b []byte) {
		before := total()
		if p := readProfile(bytes.NewReader(b)); p != nil {
			for i := range 256 {
				p.rgb(byte(i), byte(255-i), byte(i/2))
			}
		}
		if used := total() - before; used > 1<<20 {
			t.Errorf("%d bytes allocate %d", len(b), used)
		}
	})
}

// FuzzVP8L: the decoder allocates at most what the walker computes, and the walker accepts everything that the decoder accepts.
func FuzzVP8L(f *testing.F) {
	for _, b := range [][]byte{
		mediatest.WebP(f, mediatest.Picture(50, 40, 0)), mediatest.WebP(f, mediatest.Picture(33, 20, 255)), mediatest.WebPGroups(5, 0),
		mediatest.WebPGroups(40, 11), mediatest.WebPGroups(300, 3),
	} {
		f.Add(b[bytes.Index(b, []byte("VP8L"))+8:])
	}
	f.Fuzz(func(t *testing.T, bitstream []byte) {
		if len(bitstream) < 5 {
			return
		}
		bits := binary.LittleEndian.Uint32(bitstream[1:])
		w, h := int(bits&0x3fff)+1, int(bits>>14&0x3fff)+1
		if w*h > 1<<20 {
			return
		}
		var cost int64
		var err error
		before := total()
		cost, err = vp8lCost(bytes.NewReader(bitstream[5:]), w, h)
		if used := total() - before; used > 128<<10 {
			t.Errorf("walking allocates %d", used)
		}
		if err == nil && cost > 64<<20 {
			return // would be refused
		}
		if err != nil && len(bitstream) > 4<<10 {
			return // the decoder might allocate much before it fails too
		}
		before = total()
		_, decoded := vp8l.Decode(struct {
			io.Reader
			io.ByteReader
		}{nil, bytes.NewReader(bitstream)})
		used := total() - before
		if err != nil && decoded == nil {
			t.Errorf("the decoder takes what the walker does not: %v", err)
		}
		if err == nil && used > cost+64<<10 {
			t.Errorf("%d bytes cost %d, not %d (%v)", len(bitstream), used, cost, decoded)
		}
	})
}
