package media_test

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/gif"
	"io"
	"io/fs"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sohbet/models"
	"sohbet/models/storetest"
	"sohbet/server/apperr"
	"sohbet/server/media"
	"sohbet/server/media/mediatest"
)

// clock is a clock that tests move.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

type desk struct {
	*media.Service
	dir   string
	clock *clock
	store *models.Store
}

func plenty() (uint64, error) { return 1 << 40, nil }

func newDesk(t testing.TB, s *models.Store, change ...func(*media.Options)) *desk {
	t.Helper()
	d := &desk{dir: filepath.Join(t.TempDir(), "uploads"), clock: &clock{at: time.Now()}, store: s}
	o := media.Options{Dir: d.dir, Limit: 100 << 20, Free: plenty, Store: s, Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Now: d.clock.now}
	for _, f := range change {
		f(&o)
	}
	var err error
	if d.Service, err = media.New(o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func (d *desk) save(t testing.TB, kind media.Kind, name string, content []byte) media.File {
	t.Helper()
	f, err := d.Save(t.Context(), kind, name, bytes.NewReader(content))
	if err != nil {
		t.Fatalf("save %s: %v", name, err)
	}
	return f
}

func (d *desk) read(t testing.TB, url string) []byte {
	t.Helper()
	r, _, err := d.Open(t.Context(), url)
	if err != nil {
		t.Fatalf("open %s: %v", url, err)
	}
	defer func() { _ = r.Close() }()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// files lists the files in the folder.
func (d *desk) files(t testing.TB) []string {
	t.Helper()
	var list []string
	err := filepath.WalkDir(d.dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			name, _ := filepath.Rel(d.dir, path)
			list = append(list, filepath.ToSlash(name))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func code(err error) string {
	var e *apperr.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return fmt.Sprint(err)
}

func decode(t testing.TB, b []byte) (image.Image, string) {
	t.Helper()
	m, kind, err := image.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatalf("what is stored is no picture: %v", err)
	}
	return m, kind
}

func TestEveryKindIsTaken(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		d := newDesk(t, s)
		picture := mediatest.Picture(40, 30, 0)
		for _, c := range []struct {
			kind            media.Kind
			name            string
			content         []byte
			mime, ext, keep string
		}{
			{media.Image, "a.jpg", mediatest.JPEG(t, picture), "image/jpeg", ".jpg", "a.jpg"},
			{media.Image, "a.JPEG", mediatest.JPEG(t, picture), "image/jpeg", ".jpg", "a.JPEG"},
			{media.Image, "ekran görüntüsü.png", mediatest.PNG(t, picture), "image/png", ".png", "ekran görüntüsü.png"},
			{media.Image, "x.gif", mediatest.GIF(t, 40, 30, 4), "image/gif", ".gif", "x.gif"},
			{media.Image, "x.webp", mediatest.WebP(t, picture), "image/webp", ".webp", "x.webp"},
			{media.Image, "picture", mediatest.PNG(t, picture), "image/png", ".png", "picture.png"},
			{media.Audio, "a.wav", mediatest.WAV(100), "audio/wav", ".wav", "a.wav"},
			{media.Audio, "a.mp3", mediatest.MP3(10), "audio/mpeg", ".mp3", "a.mp3"},
			{media.Audio, "a.oga", mediatest.Ogg(3), "audio/ogg", ".ogg", "a.oga"},
			{media.Audio, "voice.webm", mediatest.WebM(2, 3), "audio/webm", ".webm", "voice.webm"},
			{media.Audio, "a.m4a", mediatest.M4A("soun"), "audio/mp4", ".m4a", "a.m4a"},
			{media.Any, "a.pdf", mediatest.PDF(), "application/pdf", ".pdf", "a.pdf"},
			{media.Any, "notes.txt", []byte("Merhaba,\nnasılsınız?\n"), "text/plain; charset=utf-8", ".txt", "notes.txt"},
			{media.Any, "table.csv", []byte("a,b,c\n1,2,3\n4,5,6\n"), "text/plain; charset=utf-8", ".txt", "table.csv"},
			{media.Any, "a.zip", mediatest.ZIP(t, "a.txt", "hello"), "application/zip", ".zip", "a.zip"},
			{media.Any, "a.docx", mediatest.DOCX(t), "application/vnd.openxmlformats-officedocument.wordprocessingml.document", ".docx", "a.docx"},
			{media.Any, "a.xlsx", mediatest.XLSX(t), "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", ".xlsx", "a.xlsx"},
			{media.Any, "invoice.pdf.exe", mediatest.PDF(), "application/pdf", ".pdf", "invoice.pdf.exe.pdf"},
		} {
			f := d.save(t, c.kind, c.name, c.content)
			if f.Type != c.mime || !strings.HasSuffix(f.URL, c.ext) || f.Name != c.keep || f.Kind != c.kind {
				t.Errorf("%s: %+v", c.name, f)
			}
			stored := d.read(t, f.URL)
			if int64(len(stored)) != f.Size {
				t.Errorf("%s: %d bytes stored, size %d", c.name, len(stored), f.Size)
			}
			if c.kind == media.Image {
				if m, _ := decode(t, stored); m.Bounds().Dx() != 40 || f.Width != 40 || f.Height != 30 {
					t.Errorf("%s: %v, size %d × %d", c.name, m.Bounds(), f.Width, f.Height)
				}
			} else if !bytes.Equal(stored, c.content) {
				t.Errorf("%s was changed", c.name)
			}
			if known, err := d.Describe(t.Context(), []string{f.URL}); err != nil || known[f.URL].Name != c.keep || known[f.URL].Size != f.Size {
				t.Errorf("%s is described as %+v, %v", c.name, known, err)
			}
		}
	})
}

func TestPicturesAreRotatedAndStripped(t *testing.T) {
	d := newDesk(t, storetest.Open(t, "sqlite"))
	// The corner of the red quarter in the stored picture, by orientation.
	corners := [9]image.Point{1: {0, 0}, 2: {1, 0}, 3: {1, 1}, 4: {0, 1}, 5: {0, 0}, 6: {1, 0}, 7: {1, 1}, 8: {0, 1}}
	for _, make := range []struct {
		name   string
		encode func(testing.TB, image.Image) []byte
	}{{"jpg", mediatest.JPEG}, {"png", mediatest.PNG}, {"webp", mediatest.WebP}} {
		for orientation := 1; orientation <= 8; orientation++ {
			for _, odd := range []int{0, 1} {
				w, h := 96+odd, 64+odd
				content := mediatest.WithEXIF(make.encode(t, mediatest.Picture(w, h, 0)), mediatest.EXIF(orientation))
				if !bytes.Contains(content, []byte("SECRET PLACE")) {
					t.Fatal("the test's picture has no location")
				}
				f := d.save(t, media.Image, "x."+make.name, content)
				stored := d.read(t, f.URL)
				if bytes.Contains(stored, []byte("SECRET PLACE")) || bytes.Contains(stored, []byte("EXIF")) || bytes.Contains(stored, []byte("Exif")) {
					t.Errorf("%s %d: still contains the location", make.name, orientation)
				}
				m, _ := decode(t, stored)
				want := image.Pt(w, h)
				if orientation >= 5 {
					want = image.Pt(h, w)
				}
				if m.Bounds().Size() != want || f.Width != want.X || f.Height != want.Y {
					t.Errorf("%s %d: %v, want %v", make.name, orientation, m.Bounds().Size(), want)
					continue
				}
				for y := range 2 {
					for x := range 2 {
						r, _, b, _ := m.At(want.X/4+x*want.X/2, want.Y/4+y*want.Y/2).RGBA()
						if red := r > b; red != (corners[orientation] == image.Pt(x, y)) {
							t.Errorf("%s %d (%d × %d): quarter %d %d is red: %v", make.name, orientation, w, h, x, y, red)
						}
					}
				}
			}
		}
	}
}

func TestAnimationStaysAndCommentsGo(t *testing.T) {
	d := newDesk(t, storetest.Open(t, "sqlite"))
	content := mediatest.GIF(t, 50, 40, 12)
	comment := append([]byte{0x21, 0xfe, 31}, "<script>alert('a comment')</scri"[:31]...)
	at := bytes.Index(content, []byte{0x21, 0xf9}) // before the first frame
	dirty := slices.Concat(content[:at], comment, []byte{0}, content[at:], []byte("<script>after the end</script>"))
	f := d.save(t, media.Image, "x.gif", dirty)
	stored := d.read(t, f.URL)
	if bytes.Contains(stored, []byte("script")) {
		t.Error("the script is still there")
	}
	was, err := gif.DecodeAll(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	is, err := gif.DecodeAll(bytes.NewReader(stored))
	if err != nil {
		t.Fatal(err)
	}
	if len(is.Image) != 12 || !slices.Equal(is.Delay, was.Delay) || is.LoopCount != was.LoopCount || !slices.Equal(is.Disposal, was.Disposal) {
		t.Fatalf("%d frames, delays %v, rounds %d", len(is.Image), is.Delay, is.LoopCount)
	}
	for i := range is.Image {
		if !bytes.Equal(is.Image[i].Pix, was.Image[i].Pix) {
			t.Fatalf("frame %d is another", i)
		}
	}
}

func TestThumbnails(t *testing.T) {
	d := newDesk(t, storetest.Open(t, "sqlite"))
	if f := d.save(t, media.Image, "small.png", mediatest.PNG(t, mediatest.Picture(300, 200, 0))); f.Thumb != "" {
		t.Errorf("a small picture has the thumbnail %s", f.Thumb)
	}
	for name, content := range map[string][]byte{
		"a.jpg": mediatest.JPEG(t, mediatest.Picture(900, 600, 9)), "a.png": mediatest.PNG(t, mediatest.Picture(900, 600, 9)),
		"a.gif": mediatest.GIF(t, 900, 600, 2), "a.webp": mediatest.WebP(t, mediatest.Picture(900, 600, 9)),
	} {
		f := d.save(t, media.Image, name, content)
		b := d.read(t, f.Thumb)
		if m, _ := decode(t, b); m.Bounds().Size() != image.Pt(560, 373) || len(b) > 200<<10 {
			t.Errorf("%s: a thumbnail of %v, %d bytes", name, m.Bounds().Size(), len(b))
		}
	}
}

func TestDiskLimit(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		change := func(o *media.Options) { o.Limit = 300 << 10 }
		d := newDesk(t, s, change)
		text := bytes.Repeat([]byte("sohbet "), 15_000)
		first := d.save(t, media.Any, "1.txt", text)
		d.save(t, media.Any, "2.txt", text)
		_, err := d.Save(t.Context(), media.Any, "3.txt", bytes.NewReader(text))
		var full *apperr.Error
		if !errors.As(err, &full) || full.Status != 507 || full.Code != apperr.CodeUploadFailed {
			t.Fatalf("beyond the limit: %v", err)
		}
		if list := d.files(t); len(list) != 2 {
			t.Errorf("left behind: %v", list)
		}
		d.Remove([]string{first.URL})
		d.Sweep(t.Context())
		d.save(t, media.Any, "3.txt", text)

		again := newDesk(t, s, change, func(o *media.Options) { o.Dir = d.dir }) // stored files count after a restart
		if _, err := again.Save(t.Context(), media.Any, "4.txt", bytes.NewReader(text)); code(err) != apperr.CodeUploadFailed {
			t.Errorf("after a restart: %v", err)
		}
		scarce := newDesk(t, s, func(o *media.Options) { o.Free = func() (uint64, error) { return 1 << 20, nil } })
		if _, err := scarce.Save(t.Context(), media.Any, "5.txt", strings.NewReader("x")); code(err) != apperr.CodeUploadFailed {
			t.Errorf("on a full disk: %v", err)
		}
	})
}

func TestFilesAreDeletedWithTheirMessages(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		d := newDesk(t, s)
		say := func(thread, url string) {
			t.Helper()
			_, err := s.AppendWait(t.Context(), models.NewMessage{ThreadID: thread, SenderType: models.Visitor, ContentType: "image", FileURL: url,
				FilePath: url, OpenThread: &models.NewThread{}})
			if err != nil {
				t.Fatal(err)
			}
		}
		big := mediatest.JPEG(t, mediatest.Picture(800, 700, 20))
		named, unnamed, shared := d.save(t, media.Image, "a.jpg", big), d.save(t, media.Image, "b.jpg", big), d.save(t, media.Image, "c.jpg", big)
		say("one", named.URL)
		say("one", shared.URL)
		say("two", shared.URL)
		if n := len(d.files(t)); n != 6 {
			t.Fatalf("%d files, want three with their thumbnails", n)
		}
		d.clock.add(59 * time.Minute)
		d.Sweep(t.Context())
		if n := len(d.files(t)); n != 6 {
			t.Errorf("%d files after 59 minutes", n)
		}
		d.clock.add(2 * time.Minute)
		d.Sweep(t.Context())
		if _, _, err := d.Open(t.Context(), unnamed.URL); code(err) != apperr.CodeNotFound {
			t.Errorf("what no message names is still there: %v", err)
		}
		if n := len(d.files(t)); n != 4 {
			t.Errorf("%d files after an hour: %v", n, d.files(t))
		}
		if err := s.DeleteThread(t.Context(), "one"); err != nil {
			t.Fatal(err)
		}
		d.Remove([]string{named.URL, shared.URL, "https://elsewhere.example/a.png", "/uploads/../chat.db"})
		d.Sweep(t.Context())
		if _, _, err := d.Open(t.Context(), named.URL); code(err) != apperr.CodeNotFound {
			t.Errorf("the file of a deleted message: %v", err)
		}
		d.read(t, shared.URL)
		if n := len(d.files(t)); n != 2 {
			t.Errorf("%d files: %v", n, d.files(t))
		}
	})
}

func TestRunTakesAwayWhatIsRemoved(t *testing.T) {
	d := newDesk(t, storetest.Open(t, "sqlite"))
	f := d.save(t, media.Any, "a.txt", []byte("hello"))
	var running sync.WaitGroup
	running.Go(func() { d.Run(t.Context()) })
	t.Cleanup(running.Wait) // t.Context ends before
	d.Remove([]string{f.URL})
	deadline := time.After(10 * time.Second)
	for len(d.files(t)) > 0 {
		select {
		case <-deadline:
			t.Fatal("the file is still there")
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func TestClaim(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		d := newDesk(t, s)
		f := d.save(t, media.Any, "rapor.pdf", mediatest.PDF())
		if a, err := d.Claim(t.Context(), f.URL, "a", false); err != nil || a.Name != "rapor.pdf" || a.Size != f.Size {
			t.Errorf("a stored file: %+v, %v", a, err)
		}
		for _, url := range []string{"/uploads/files/aaaaaaaaaaaaaaaaaaaaaaaaaa.pdf", "/uploads/../chat.db", "/%75ploads/x", f.URL + "?x", "/uploads/",
			"https://elsewhere.example/a.png", "https://res.cloudinary.com/elsewhere/image/upload/a.png"} {
			if _, err := d.Claim(t.Context(), url, "a", true); code(err) != apperr.CodeNotFound {
				t.Errorf("%s: %v", url, err)
			}
		}
		if _, err := d.Claim(t.Context(), f.URL, "b", false); code(err) != apperr.CodeNotFound {
			t.Errorf("another thread's file: %v", err)
		}
		if _, err := d.Claim(t.Context(), f.URL, "b", true); err != nil {
			t.Errorf("passed on by an agent: %v", err)
		}
	})
}

func TestNamesAreData(t *testing.T) {
	d := newDesk(t, storetest.Open(t, "sqlite"))
	for name, want := range map[string]string{
		"../../etc/passwd":              "passwd.txt",
		`C:\Users\ada\notes.txt`:        "notes.txt",
		"a\x00b\r\nSet-Cookie: x.txt":   "abSet-Cookie: x.txt",
		"invoice\u202efdp.txt":          "invoicefdp.txt", // without the right-to-left override
		"":                              "file.txt",
		"...":                           "file.txt",
		"\xff\xfe":                      "file.txt",
		"page.html":                     "page.html.txt",
		strings.Repeat("ü", 400):        strings.Repeat("ü", 251) + ".txt",
		strings.Repeat("x", 300) + ".t": strings.Repeat("x", 251) + ".txt",
	} {
		f := d.save(t, media.Any, name, []byte("hello"))
		if f.Name != want {
			t.Errorf("%.60q is kept as %.60q, want %.60q", name, f.Name, want)
		}
	}
	for _, path := range d.files(t) {
		if !strings.HasPrefix(path, "files/") || len(path) != len("files/")+26+4 {
			t.Errorf("a file called %s", path)
		}
	}
}

func TestRemainsAreSwept(t *testing.T) {
	d := newDesk(t, storetest.Open(t, "sqlite"))
	f := d.save(t, media.Image, "a.jpg", mediatest.JPEG(t, mediatest.Picture(800, 700, 20)))
	write(t, d.dir, "incoming/aaaaaaaaaaaaaaaaaaaaaaaaaa", "images/aaaaaaaaaaaaaaaaaaaaaaaaaa.jpg", "thumbs/aaaaaaaaaaaaaaaaaaaaaaaaaa.jpg")
	d.Sweep(t.Context())
	if n := len(d.files(t)); n != 5 {
		t.Errorf("%d files while they may still arrive", n)
	}
	if _, err := d.store.AppendWait(t.Context(), models.NewMessage{ThreadID: "one", SenderType: models.Visitor, FileURL: f.URL, OpenThread: &models.NewThread{}}); err != nil {
		t.Fatal(err)
	}
	d.clock.add(2 * time.Hour)
	d.Sweep(t.Context())
	if list := d.files(t); len(list) != 2 || !strings.Contains(strings.Join(list, " "), strings.TrimPrefix(f.URL, "/uploads/")) {
		t.Errorf("left: %v", list)
	}
}
