package media_test

import (
	"bytes"
	"context"
	"errors"
	"image"
	"io"
	"runtime"
	"runtime/metrics"
	"strings"
	"sync"
	"testing"
	"time"

	"sohbet/models/storetest"
	"sohbet/server/apperr"
	"sohbet/server/media"
	"sohbet/server/media/mediatest"
)

// allocated returns the bytes that f allocates, regardless of garbage collection, plus the growth of the stack.
func allocated(f func()) int64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return int64(after.TotalAlloc-before.TotalAlloc) + max(0, int64(after.StackInuse)-int64(before.StackInuse))
}

// heapGrowth returns the maximum growth of the heap while f runs, in bytes.
func heapGrowth(f func()) int64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	read := func() int64 { metrics.Read(sample); return int64(sample[0].Value.Uint64()) }
	runtime.GC()
	before, most := read(), int64(0)
	done := make(chan struct{})
	var sampler sync.WaitGroup
	sampler.Go(func() {
		for {
			most = max(most, read()-before)
			select {
			case <-done:
				return
			case <-time.After(time.Millisecond):
			}
		}
	})
	f()
	close(done)
	sampler.Wait()
	return most
}

// TestBombsAreRefused: each file needs far more than it costs to send, and is refused with the right reason. A refusal may allocate
// only the file window, the type detection, and the record.
func TestBombsAreRefused(t *testing.T) {
	d := newDesk(t, storetest.Open(t, "sqlite"))
	for name, content := range mediatest.Bombs(t) {
		kind, _, _ := strings.Cut(name, ":")
		want := apperr.CodeFileType
		for _, large := range []string{"of 2,600 groups", "interlaced", "of one", "alpha"} {
			if strings.Contains(name, large) {
				want = apperr.CodeTooLarge
			}
		}
		if limit := media.Limit(media.Kind(kind)); int64(len(content)) > limit+256 {
			t.Fatalf("%s: of %d bytes, which are refused for their number", name, len(content))
		}
		content = content[:min(int64(len(content)), media.Limit(media.Kind(kind)))]
		var err error
		used := allocated(func() { _, err = d.Save(t.Context(), media.Kind(kind), "x", bytes.NewReader(content)) })
		if code(err) != want {
			t.Errorf("%s: %v", name, err)
		}
		if used > 2<<20 {
			t.Errorf("%s: refusing its %d bytes allocates %d", name, len(content), used)
		}
	}
	if list := d.files(t); len(list) > 0 {
		t.Errorf("left: %v", list)
	}
}

// TestManyBombsAtOnce: all files share one budget, and a phone's photo gets its share.
func TestManyBombsAtOnce(t *testing.T) {
	d := newDesk(t, storetest.Open(t, "sqlite"))
	bomb := mediatest.WebPGroups(1500, 0) // one fits into the budget, two do not
	photo := mediatest.JPEG(t, mediatest.Picture(2000, 1500, 4))
	errs := make([]error, 9)
	growth := heapGrowth(func() {
		var all sync.WaitGroup
		for i := range errs {
			all.Go(func() { _, errs[i] = d.Save(t.Context(), media.Image, "x.webp", bytes.NewReader(bomb)) })
		}
		all.Go(func() {
			if f, err := d.Save(t.Context(), media.Image, "a.jpg", bytes.NewReader(photo)); err != nil || f.Width != 2000 {
				t.Errorf("a photo meanwhile: %+v, %v", f, err)
			}
		})
		all.Wait()
	})
	for _, err := range errs {
		if err != nil {
			t.Errorf("one that fits: %v", err)
		}
	}
	if growth > 150<<20 {
		t.Errorf("nine at once take %d MB", growth>>20)
	}
	t.Logf("the heap grew by %d MB", growth>>20)
}

// TestWhatIsTakenFitsIntoTheBudget: no accepted file allocates more than the budget, whatever the budget is. With these sizes some
// files of each kind are accepted and some refused.
func TestWhatIsTakenFitsIntoTheBudget(t *testing.T) {
	store := storetest.Open(t, "sqlite")
	noisy := mediatest.Picture(800, 700, 8)
	files := map[string][]byte{
		"jpeg": mediatest.JPEG(t, noisy), "png": mediatest.PNG(t, noisy), "webp": mediatest.WebP(t, noisy), "upright gif": mediatest.GIF(t, 900, 800, 3),
		"grey jpeg": mediatest.JPEG(t, image.NewGray(image.Rect(0, 0, 1300, 1300))), "progressive jpeg": mediatest.JPEGScans(700, 700, 5),
		"upright webp of groups": mediatest.WebPGroups(150, 7),
	}
	for name, o := range map[string]mediatest.PNGOptions{
		"grey":         {Width: 1500, Height: 1000, Depth: 1},
		"see":          {Width: 700, Height: 600, Depth: 8, Before: mediatest.PNGChunk("tRNS", []byte{0, 0})},
		"deep":         {Width: 600, Height: 500, Depth: 16, ColorType: 6},
		"deep see":     {Width: 600, Height: 500, Depth: 16, Before: mediatest.PNGChunk("tRNS", []byte{0, 0})},
		"adam7":        {Width: 800, Height: 600, Depth: 8, ColorType: 2, Adam7: true},
		"colours":      {Width: 1200, Height: 1000, Depth: 4, ColorType: 3, Adam7: true, Before: mediatest.PNGChunk("PLTE", make([]byte, 48))},
		"upright wide": {Width: 65_000, Height: 20, Depth: 8, ColorType: 6},
		"upright high": {Width: 20, Height: 65_000, Depth: 8, ColorType: 4},
	} {
		files[name+" png"] = mediatest.RawPNG(t, o)
	}
	const overhead = 1 << 20 // the record, type detection, buffers
	taken, refused := map[string]bool{}, map[string]bool{}
	for _, budget := range []int64{7 << 20, 14 << 20} {
		d := newDesk(t, store, func(o *media.Options) { o.Memory = budget })
		for name, content := range files {
			if !strings.Contains(name, "upright") { // rotated, which takes more
				content = mediatest.WithEXIF(content, mediatest.EXIF(6))
			}
			var err error
			used := allocated(func() { _, err = d.Save(t.Context(), media.Image, "x", bytes.NewReader(content)) })
			limit := budget + overhead
			if err != nil {
				limit = 4 << 20 // a thumbnail may have been created before
			}
			if used > limit {
				t.Errorf("%s with %d bytes: %d allocated (%v)", name, budget, used, err)
			}
			switch code(err) {
			case "<nil>":
				taken[name] = true
			case apperr.CodeTooLarge:
				refused[name] = true
			default:
				t.Errorf("%s with %d bytes: %v", name, budget, err)
			}
		}
	}
	for name := range files {
		if !taken[name] || !refused[name] {
			t.Errorf("%s: taken %v, refused %v", name, taken[name], refused[name])
		}
	}
}

// TestWhatIsStoredIsNotMuchLargerThanWhatCame: at most four times as large, or a megabyte.
func TestWhatIsStoredIsNotMuchLargerThanWhatCame(t *testing.T) {
	d := newDesk(t, storetest.Open(t, "sqlite"))
	// Every other row is equal, and two rows are longer than PNG's compression window.
	wild := mediatest.PNGOptions{Width: 6500, Height: 150, Depth: 8, ColorType: 6, Adam7: true, Noise: 255}
	tame := mediatest.PNGOptions{Width: 5600, Height: 200, Depth: 8, ColorType: 2, Adam7: true, Noise: 7}
	for _, c := range []struct {
		name string
		mediatest.PNGOptions
		mime string // "" = refused
	}{
		{"noise", wild, ""},
		{"a little noise", tame, "image/jpeg"},
	} {
		content := mediatest.RawPNG(t, c.PNGOptions)
		limit := max(4*int64(len(content)), 1<<20)
		f, err := d.Save(t.Context(), media.Image, "x.png", bytes.NewReader(content))
		if c.mime == "" && code(err) != apperr.CodeTooLarge || f.Type != c.mime {
			t.Errorf("%s: %+v, %v", c.name, f, err)
		}
		if c.mime == "" {
			continue
		}
		stored := int64(len(d.read(t, f.URL)))
		if f.Thumb != "" {
			stored += int64(len(d.read(t, f.Thumb)))
		}
		if stored > limit || stored <= 0 {
			t.Errorf("%s: %d bytes became %d", c.name, len(content), stored)
		}
	}
	if list := d.files(t); len(list) != 2 {
		t.Errorf("left: %v", list)
	}
}

// stalled is a reader that returns some data, reports that, and blocks until it is released.
type stalled struct {
	io.Reader
	begun, end chan struct{}
	once       sync.Once
}

func (s *stalled) Read(b []byte) (int, error) {
	n, err := s.Reader.Read(b)
	if errors.Is(err, io.EOF) {
		s.once.Do(func() { close(s.begun) })
		<-s.end
	}
	return n, err
}

func TestFilesThatArriveCountAgainstTheDisk(t *testing.T) {
	d := newDesk(t, storetest.Open(t, "sqlite"), func(o *media.Options) { o.Limit = 300 << 10 })
	text := strings.Repeat("sohbet ", 30_000)
	slow := &stalled{Reader: strings.NewReader(text), begun: make(chan struct{}), end: make(chan struct{})}
	var first sync.WaitGroup
	first.Go(func() {
		if _, err := d.Save(context.Background(), media.Any, "1.txt", slow); err != nil {
			t.Error(err)
		}
	})
	<-slow.begun
	_, err := d.Save(t.Context(), media.Any, "2.txt", strings.NewReader(text))
	close(slow.end)
	first.Wait()
	var full *apperr.Error
	if !errors.As(err, &full) || full.Status != 507 {
		t.Errorf("while a file arrives that takes the rest: %v", err)
	}
}

// TestChecksEndWithTheirContext: work on a file stops when the client disconnects, or when it takes too long.
func TestChecksEndWithTheirContext(t *testing.T) {
	d := newDesk(t, storetest.Open(t, "sqlite"))
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	late, stop := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer stop()
	for kind, content := range map[media.Kind][]byte{
		media.Image: mediatest.PNG(t, mediatest.Picture(900, 900, 9)), media.Audio: mediatest.WebM(2, 4), media.Any: mediatest.ZIP(t, "a", "b"),
	} {
		if _, err := d.Save(ended, kind, "x", bytes.NewReader(content)); !errors.Is(err, context.Canceled) {
			t.Errorf("%s after its sender left: %v", kind, err)
		}
		var busy *apperr.Error
		if _, err := d.Save(late, kind, "x", bytes.NewReader(content)); !errors.As(err, &busy) || busy.Status != 503 || busy.Code != apperr.CodeUploadFailed {
			t.Errorf("%s after its time: %v", kind, err)
		}
	}
	if list := d.files(t); len(list) > 0 {
		t.Errorf("left: %v", list)
	}
}

// TestElementsAreCounted: a recording that is valid except for its number of elements is refused.
func TestElementsAreCounted(t *testing.T) {
	d := newDesk(t, storetest.Open(t, "sqlite"))
	for _, c := range []struct {
		name    string
		content []byte
		code    string
	}{
		{"a WebM of 400,000 empty elements", append(mediatest.WebM(2, 2), bytes.Repeat([]byte{0xec, 0x80}, 400_000)...), "<nil>"},
		{"a WebM of 600,000 empty elements", append(mediatest.WebM(2, 2), bytes.Repeat([]byte{0xec, 0x80}, 600_000)...), apperr.CodeFileType},
		{"an MP4 of 600,000 empty boxes", append(mediatest.M4A("soun"), bytes.Repeat([]byte("\x00\x00\x00\x08free"), 600_000)...), apperr.CodeFileType},
		{"a WAV of 600,000 empty chunks", riff(append(mediatest.WAV(10), bytes.Repeat([]byte("junk\x00\x00\x00\x00"), 600_000)...)), apperr.CodeFileType},
	} {
		if _, err := d.Save(t.Context(), media.Audio, "x", bytes.NewReader(c.content)); code(err) != c.code {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func riff(b []byte) []byte {
	n := uint32(len(b) - 8)
	copy(b[4:], []byte{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)})
	return b
}

// TestHugeMetadataIsLeftOut: megabytes of profiles and comments around a small picture cost little and are not stored.
func TestHugeMetadataIsLeftOut(t *testing.T) {
	d := newDesk(t, storetest.Open(t, "sqlite"))
	photo, shot := mediatest.JPEG(t, mediatest.Picture(60, 40, 0)), mediatest.PNG(t, mediatest.Picture(60, 40, 0))
	segment := append([]byte("\xff\xe2\xff\xff"), make([]byte, 65533)...)
	loop := []byte("II*\x00\x08\x00\x00\x00\xff\xff") // a directory of 65,535 entries, all within the block
	loop = append(loop, bytes.Repeat([]byte{1, 1, 4, 0, 1, 0, 0, 0, 8, 0, 0, 0}, 5000)...)
	for name, content := range map[string][]byte{
		"JPEG": append(append(bytes.Clone(photo[:2]), bytes.Repeat(segment, 70)...), photo[2:]...),
		"PNG":  append(append(bytes.Clone(shot[:33]), mediatest.PNGChunk("zTXt", make([]byte, 4<<20))...), shot[33:]...),
		"EXIF": mediatest.WithEXIF(photo, loop),
	} {
		var f media.File
		used := allocated(func() { f = d.save(t, media.Image, "x", content) })
		if f.Size > 20<<10 || used > 4<<20 {
			t.Errorf("%s: %d bytes of %d stored, %d allocated", name, f.Size, len(content), used)
		}
	}
}
