package media_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"image"
	"image/color"
	"image/draw"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"sohbet/models/storetest"
	"sohbet/server/apperr"
	"sohbet/server/media"
	"sohbet/server/media/mediatest"
)

// sharedCase reads a file created by a real program.
func sharedCase(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("../../../shared/cases/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestFilesOfRealPrograms: real files are recognized regardless of route and name, and files stored unchanged keep their bytes and
// name.
func TestFilesOfRealPrograms(t *testing.T) {
	d := newDesk(t, storetest.Open(t, "sqlite"))
	pdf := mediatest.PDF()
	photo := mediatest.Picture(40, 30, 0)
	const office = "application/vnd.openxmlformats-officedocument."
	const odf = "application/vnd.oasis.opendocument."
	docx := func(parts ...string) []byte {
		pairs := []string{"[Content_Types].xml", "<Types/>", "_rels/.rels", "<Relationships/>"}
		for _, part := range parts {
			pairs = append(pairs, part, "<x/>")
		}
		return mediatest.ZIP(t, pairs...)
	}
	for _, c := range []struct {
		route, kind media.Kind
		name        string
		content     []byte
		mime, keep  string // keep "" = name
	}{
		// By content, on any route.
		{media.Any, media.Image, "photo", mediatest.JPEG(t, photo), "image/jpeg", "photo.jpg"},
		{media.Any, media.Image, "a.webp", mediatest.WebP(t, photo), "image/webp", ""},
		{media.Any, media.Audio, "a.mp3", mediatest.MP3(10), "audio/mpeg", ""},
		{media.Any, media.Audio, "voice", mediatest.WebM(2, 3), "audio/webm", "voice.webm"},
		{media.Any, media.Audio, "a.m4a", mediatest.M4A("soun"), "audio/mp4", ""},
		// Photos that this program cannot decode.
		{media.Image, media.Any, "photo.heic", sharedCase(t, "photo.heic"), "image/heic", ""},
		{media.Any, media.Any, "IMG_0001.HEIC", mediatest.HEIC("heic"), "image/heic", ""},
		{media.Image, media.Any, "a.heif", mediatest.HEIC("mif1"), "image/heic", ""},
		{media.Image, media.Any, "a.avif", mediatest.HEIC("avif"), "image/avif", ""},
		{media.Image, media.Image, "a.webp", mediatest.AnimatedWebP(mediatest.WebP(t, photo), mediatest.WebP(t, photo)), "image/webp", ""},
		// Audio.
		{media.Audio, media.Audio, "a.aac", mediatest.AAC(10), "audio/aac", ""},
		{media.Any, media.Audio, "a.aac", append([]byte("ID3\x04\x00\x00\x00\x00\x00\x00"), mediatest.AAC(10)...), "audio/aac", ""},
		{media.Audio, media.Audio, "cover.mp3", slices.Concat([]byte("ID3\x04\x00\x00\x00\x00\x7f\x00"), make([]byte, 0x7f<<7), mediatest.MP3(10)[21:]), "audio/mpeg", ""},
		{media.Audio, media.Audio, "a.amr", mediatest.AMR(10, false), "audio/amr", ""},
		{media.Any, media.Audio, "a.amr", mediatest.AMR(10, true), "audio/amr", ""},
		// Videos.
		{media.Any, media.Any, "IMG_0002.MOV", mediatest.Video("qt  "), "video/quicktime", ""},
		{media.Any, media.Any, "old.mov", mediatest.Video(""), "video/quicktime", ""},
		{media.Any, media.Any, "a.mp4", mediatest.Video("isom"), "video/mp4", ""},
		{media.Any, media.Any, "a.3gp", mediatest.Video("3gp4"), "video/mp4", ""},
		{media.Any, media.Any, "a.webm", mediatest.WebM(1, 3), "video/webm", ""},
		// PDFs.
		{media.Any, media.Any, "leading-newline.pdf", sharedCase(t, "leading-newline.pdf"), "application/pdf", ""},
		{media.Any, media.Any, "scan.pdf", append([]byte("\x1b%-12345X@PJL JOB\r\n"), pdf...), "application/pdf", ""},
		{media.Any, media.Any, "mail.pdf", append(bytes.Clone(pdf), bytes.Repeat([]byte("\r\n-- \r\nSent by a scanner\x00"), 500)...), "application/pdf", ""},
		{media.Any, media.Any, "open.pdf", bytes.TrimSuffix(pdf, []byte("%%EOF\n")), "application/pdf", ""},
		// Documents.
		{media.Any, media.Any, "word-online.docx", sharedCase(t, "word-online.docx"), office + "wordprocessingml.document", ""},
		{media.Any, media.Any, "a.xlsx", docx("xl/workbook3.xml"), office + "spreadsheetml.sheet", ""},
		{media.Any, media.Any, "b.xlsx", docx(`xl\Workbook.xml`), office + "spreadsheetml.sheet", ""},
		{media.Any, media.Any, "c.xlsx", docx("/xl/worksheets/sheet.xml", "xl/book.xml"), office + "spreadsheetml.sheet", ""},
		{media.Any, media.Any, "a.pptx", docx("ppt/presentation.xml"), office + "presentationml.presentation", ""},
		{media.Any, media.Any, "folder.zip", mediatest.ZIP(t, "word/a.txt", "x"), "application/zip", ""},
		{media.Any, media.Any, "eski.doc", mediatest.Compound("WordDocument"), "application/msword", ""},
		{media.Any, media.Any, "eski.xls", mediatest.Compound("Workbook"), "application/vnd.ms-excel", ""},
		{media.Any, media.Any, "eski.ppt", mediatest.Compound("PowerPoint Document"), "application/vnd.ms-powerpoint", ""},
		{media.Any, media.Any, "a.odt", mediatest.OpenDocument(t, "text"), odf + "text", ""},
		{media.Any, media.Any, "a.ods", mediatest.OpenDocument(t, "spreadsheet"), odf + "spreadsheet", ""},
		{media.Any, media.Any, "a.rtf", []byte(`{\rtf1\ansi Merhaba}`), "application/rtf", ""},
		// Texts.
		{media.Any, media.Any, "utf16le-bom.csv", sharedCase(t, "utf16le-bom.csv"), "text/plain; charset=utf-16le", ""},
		{media.Any, media.Any, "a.txt", mediatest.UTF16("ığüşöç\r\n", binary.BigEndian), "text/plain; charset=utf-16be", ""},
		{media.Any, media.Any, "page.html", []byte("<!DOCTYPE html><html><script>alert(1)</script>"), "text/plain; charset=utf-8", "page.html.txt"},
		{media.Any, media.Any, "log.txt", []byte("<error>no such file</error>\n"), "text/plain; charset=utf-8", ""},
		{media.Any, media.Any, "feed.xml", []byte(`<?xml version="1.0"?><rss/>`), "text/plain; charset=utf-8", "feed.xml.txt"},
		{media.Any, media.Any, "cars.txt", []byte("BMW  fiyat listesi\nMZ\n"), "text/plain; charset=utf-8", ""},
		{media.Any, media.Any, "about.txt", []byte("Each of these files begins with %PDF-1.4\n"), "text/plain; charset=utf-8", ""},
	} {
		f, err := d.Save(t.Context(), c.route, c.name, bytes.NewReader(c.content))
		if err != nil {
			t.Errorf("%s by %s: %v (%v)", c.name, c.route, err, errors.Unwrap(err))
			continue
		}
		if c.keep == "" {
			c.keep = c.name
		}
		if f.Kind != c.kind || f.Type != c.mime || f.Name != c.keep {
			t.Errorf("%s by %s: %+v", c.name, c.route, f)
		}
		if a, err := d.Claim(t.Context(), f.URL, "a", false); err != nil || a.Kind != string(c.kind) {
			t.Errorf("%s in a message: %+v, %v", c.name, a, err)
		}
		stored := d.read(t, f.URL)
		if bytes.Contains(stored, []byte("SECRET PLACE")) {
			t.Errorf("%s says where it was taken", c.name)
		}
		if c.kind != media.Image && !strings.Contains(string(c.content), "SECRET PLACE") && !bytes.Equal(stored, c.content) {
			t.Errorf("%s was changed", c.name)
		}
	}
}

// TestRefusalsNameWhatWasFound: a refusal names the detected type, and files that only begin like an accepted type are refused.
func TestRefusalsNameWhatWasFound(t *testing.T) {
	d := newDesk(t, storetest.Open(t, "sqlite"))
	docm := []string{"[Content_Types].xml", "<Types/>", "word/document2.xml", "<x/>", `word\vbaProject2.bin`, "x"}
	for _, c := range []struct {
		route   media.Kind
		name    string
		content []byte
		says    string
	}{
		{media.Image, "a.jpg", mediatest.PDF(), "it is a PDF."},
		{media.Image, "a.jpg", mediatest.MP3(9), "it is a file of the type audio/mpeg."},
		{media.Audio, "a.mp3", []byte("<html>"), "it is an HTML page."},
		{media.Any, "a.pdf", append([]byte("MZ\x90\x00"), make([]byte, 200)...), "it is a program."},
		{media.Any, "a.txt", []byte("#!/bin/sh\nrm -rf /\n"), "it is a script."},
		{media.Any, "a.bin", bytes.Repeat([]byte{0, 1, 2, 3, 5, 8, 13}, 99), "it is a file of an unknown type."},
		{media.Image, "a.jpg", mediatest.JPEG(t, mediatest.Picture(40, 30, 0))[:300], "it begins like a JPEG picture, but is damaged"},
		{media.Audio, "a.m4a", mediatest.Video("isom"), "it begins like an MP4 file, but is damaged or holds something else."},
		{media.Any, "a.pdf", []byte("%PDF-1.4\n\x00\x01"), "it begins like a PDF, but is damaged"},
		{media.Any, "a.pdf", append(mediatest.PDF(), mediatest.ZIP(t, "a", "b")...), "a PDF, but"},
		{media.Any, "far.pdf", append(make([]byte, 1030), mediatest.PDF()...), "unknown type"},
		{media.Any, "a.heic", append(mediatest.HEIC("heic"), "<html>"...), "image/heic"},
		{media.Any, "a.heic", bytes.Replace(mediatest.HEIC("heic"), []byte("\x44\x00\x00\x01\x00\x02\x00\x00\x00\x01\x00"), []byte("\x44\x00\x00\x01\x00\x02\x00\x00\x00\x01\x7f"), 1), "image/heic"},
		{media.Any, "a.heic", mediatest.Video("heic")[:28], "image/heic"},
		{media.Any, "a.mov", mediatest.Video("qt  ")[:200], "a QuickTime video, but"},
		{media.Any, "a.mp4", append(mediatest.Video("isom"), "<html>"...), "an MP4 file, but"},
		{media.Any, "a.doc", mediatest.Compound("WordDocument", "_VBA_PROJECT"), "a Microsoft document, but"},
		{media.Any, "a.msi", mediatest.Compound("\u4840\u3f3f"), "but is damaged or holds something else"},
		{media.Any, "a.docx", mediatest.ZIP(t, docm...), "but is damaged or holds something else"},
		{media.Audio, "a.aac", append(mediatest.AAC(4), "<html><script>"...), "but is damaged"},
		{media.Audio, "a.amr", append(mediatest.AMR(4, false), strings.Repeat("<html>", 20)...), "but is damaged"},
		{media.Any, "a.txt", mediatest.UTF16("a\x00b", binary.LittleEndian), "a text, but"},
		{media.Any, "a.txt", append(mediatest.UTF16("abc", binary.LittleEndian), 'd'), "a text, but"},
	} {
		_, err := d.Save(t.Context(), c.route, c.name, bytes.NewReader(c.content))
		var refused *apperr.Error
		if !errors.As(err, &refused) || refused.Code != apperr.CodeFileType || !strings.Contains(refused.Message, c.says) {
			t.Errorf("%s by %s: %v, want %q", c.name, c.route, err, c.says)
		}
	}
	if list := d.files(t); len(list) > 0 {
		t.Errorf("left: %v", list)
	}
}

// TestLimitIsThatOfWhatAFileIs: the size limit of pictures also applies to a picture uploaded as a file.
func TestLimitIsThatOfWhatAFileIs(t *testing.T) {
	d := newDesk(t, storetest.Open(t, "sqlite"))
	photo := mediatest.JPEG(t, mediatest.Picture(40, 30, 0))
	_, err := d.Save(t.Context(), media.Any, "a.jpg", bytes.NewReader(append(photo, make([]byte, 6<<20)...)))
	if code(err) != apperr.CodeTooLarge {
		t.Errorf("6 MB: %v", err)
	}
}

func TestAnimatedWebP(t *testing.T) {
	d := newDesk(t, storetest.Open(t, "sqlite"))
	frame := mediatest.WebP(t, mediatest.Picture(700, 500, 9))
	small := mediatest.WebP(t, mediatest.Picture(70, 50, 9))
	f := d.save(t, media.Image, "a.webp", mediatest.AnimatedWebP(frame, frame, small))
	stored := d.read(t, f.URL)
	if f.Width != 700 || f.Height != 500 || bytes.Count(stored, []byte("ANMF")) != 3 || bytes.Contains(stored, []byte("EXIF")) || bytes.Contains(stored, []byte("SECRET PLACE")) {
		t.Errorf("%+v with %d frames", f, bytes.Count(stored, []byte("ANMF")))
	}
	if again := d.save(t, media.Image, "a.webp", stored); !bytes.Equal(d.read(t, again.URL), stored) {
		t.Error("the stored file is not a complete WebP")
	}
	if m, _ := decode(t, d.read(t, f.Thumb)); m.Bounds().Size() != image.Pt(560, 400) {
		t.Errorf("a thumbnail of %v", m.Bounds())
	}
	broken := bytes.Clone(mediatest.AnimatedWebP(frame, small))
	at := bytes.LastIndex(broken, []byte("ANMF"))
	for name, c := range map[string]struct {
		content []byte
		code    string
	}{
		"a frame beyond the edges":      {mediatest.AnimatedWebP(small, frame), apperr.CodeFileType},
		"a frame of another size":       {append(append(bytes.Clone(broken[:at+8+6]), 3), broken[at+8+7:]...), apperr.CodeFileType},
		"no frames":                     {mediatest.AnimatedWebP(frame)[:44], apperr.CodeFileType},
		"a first frame that is damaged": {bytes.Replace(mediatest.AnimatedWebP(small), small[30:60], bytes.Repeat([]byte{0xff}, 30), 1), apperr.CodeFileType},
		"too many frames":               {mediatest.AnimatedWebP(repeated(mediatest.WebP(t, mediatest.Picture(1, 1, 0)), 5001)...), apperr.CodeFileType},
		"too many pixels":               {mediatest.AnimatedWebP(repeated(mediatest.WebP(t, image.NewNRGBA(image.Rect(0, 0, 2000, 2000))), 31)...), apperr.CodeTooLarge},
		"a first frame that costs much": {mediatest.AnimatedWebP(mediatest.WebPGroups(2600, 11)), apperr.CodeTooLarge},
	} {
		var err error
		used := allocated(func() { _, err = d.Save(t.Context(), media.Image, "x", bytes.NewReader(c.content)) })
		if code(err) != c.code || used > 4<<20 {
			t.Errorf("%s: %v, %d bytes allocated", name, err, used)
		}
	}
}

func repeated(b []byte, n int) [][]byte {
	list := make([][]byte, n)
	for i := range list {
		list[i] = b
	}
	return list
}

// near reports whether two colours differ by at most by in each channel.
func near(a color.Color, r, g, b, by int) bool {
	n := color.NRGBAModel.Convert(a).(color.NRGBA)
	off := func(x uint8, y int) bool { return int(x)-y > by || y-int(x) > by }
	return !off(n.R, r) && !off(n.G, g) && !off(n.B, b)
}

// TestColorsAreSRGB: a picture in another colour space looks the same after its profile was removed, and so does its thumbnail.
func TestColorsAreSRGB(t *testing.T) {
	d := newDesk(t, storetest.Open(t, "sqlite"))
	check := func(name string, content []byte, r, g, b int) {
		t.Helper()
		f := d.save(t, media.Image, name, content)
		for _, url := range []string{f.URL, f.Thumb} {
			if url == "" {
				continue
			}
			stored := d.read(t, url)
			m, _ := decode(t, stored)
			size := m.Bounds().Size() // the right half of p3.jpg is red
			if c := m.At(size.X*3/4, size.Y/2); !near(c, r, g, b, 4) || bytes.Contains(stored, []byte("ICC")) || bytes.Contains(stored, []byte("iCCP")) {
				t.Errorf("%s (%s): %v, want %d %d %d", name, url, color.NRGBAModel.Convert(c), r, g, b)
			}
		}
	}
	check("p3.jpg", sharedCase(t, "p3.jpg"), 252, 0, 18)

	// sRGB red in Display P3.
	p3 := color.NRGBA{234, 51, 35, 255}
	flat := image.NewNRGBA(image.Rect(0, 0, 613, 41))
	draw.Draw(flat, flat.Rect, image.NewUniform(p3), image.Point{}, draw.Src)
	colours := image.NewPaletted(flat.Rect, color.Palette{p3, color.Black})
	half := image.NewNRGBA(flat.Rect)
	draw.Draw(half, half.Rect, image.NewUniform(color.NRGBA{234, 51, 35, 128}), image.Point{}, draw.Src)
	deep := image.NewRGBA64(flat.Rect)
	draw.Draw(deep, deep.Rect, flat, image.Point{}, draw.Src)
	profile := mediatest.DisplayP3()
	for name, content := range map[string][]byte{
		"a.jpg": mediatest.JPEG(t, flat), "a.png": mediatest.PNG(t, flat), "colours.png": mediatest.PNG(t, colours), "deep.png": mediatest.PNG(t, deep),
		"half.png": mediatest.PNG(t, half), "a.webp": mediatest.WebP(t, flat),
	} {
		check(name, mediatest.WithProfile(t, content, profile), 255, 0, 0)
		check("turned "+name, mediatest.WithEXIF(mediatest.WithProfile(t, content, profile), mediatest.EXIF(6)), 255, 0, 0)
		check("plain "+name, content, 234, 51, 35)
		check("sRGB "+name, mediatest.WithProfile(t, content, mediatest.SRGB()), 234, 51, 35)
	}
	// Curves as tables and exponents, as in profiles of screens: half the light at gamma 1.8 is 188 in sRGB.
	gamma := binary.BigEndian.AppendUint16([]byte("curv\x00\x00\x00\x00\x00\x00\x00\x01"), 461)
	table := []byte("curv\x00\x00\x00\x00\x00\x00\x04\x00")
	for i := range 1024 {
		table = binary.BigEndian.AppendUint16(table, uint16(math.Pow(float64(i)/1023, 1.8)*0xffff+0.5))
	}
	grey := uint8(math.Pow(0.5, 1/1.8)*255 + 0.5)
	plain := image.NewNRGBA(flat.Rect)
	draw.Draw(plain, plain.Rect, image.NewUniform(color.NRGBA{grey, grey, grey, 255}), image.Point{}, draw.Src)
	srgb := [3][3]uint32{{0x6fa2, 0x38f5, 0x0390}, {0x6299, 0xb785, 0x18da}, {0x24a0, 0x0f84, 0xb6cf}}
	for name, curve := range map[string][]byte{"gamma": gamma, "table": table} {
		check(name+".png", mediatest.WithProfile(t, mediatest.PNG(t, plain), mediatest.Profile(srgb, curve)), 188, 188, 188)
	}
	// An invalid profile, or one in another format, changes nothing and costs little.
	lies := mediatest.DisplayP3()
	for i := 136; i < 200; i += 12 {
		binary.BigEndian.PutUint32(lies[i:], 1<<31) // the offsets of its tags are beyond the end
	}
	for name, profile := range map[string][]byte{
		"empty": {}, "cut off": profile[:200], "lies": lies, "CMYK": bytes.Replace(profile, []byte("RGB "), []byte("CMYK"), 1),
		"a table that is cut off": mediatest.Profile(srgb, table[:100]), "bomb": make([]byte, 50<<20),
	} {
		for _, content := range [][]byte{mediatest.JPEG(t, flat), mediatest.PNG(t, flat)} {
			if len(profile) > 1<<16-20 && content[0] == 0xff {
				continue // too large for a JPEG
			}
			content = mediatest.WithProfile(t, content, profile)
			if used := allocated(func() { check(name, content, 234, 51, 35) }); used > 16<<20 {
				t.Errorf("%s: %d bytes allocated", name, used)
			}
		}
	}
}

// TestConvertingColorsFitsIntoTheBudget: the conversion needs no extra memory, whatever the format of the picture.
func TestConvertingColorsFitsIntoTheBudget(t *testing.T) {
	const budget, overhead = 14 << 20, 1 << 20
	d := newDesk(t, storetest.Open(t, "sqlite"), func(o *media.Options) { o.Memory = budget })
	photo := mediatest.JPEG(t, image.NewYCbCr(image.Rect(0, 0, 2400, 1800), image.YCbCrSubsampleRatio420)) // 6.5 of the remaining 8 MB
	used := allocated(func() {
		if f := d.save(t, media.Image, "a.jpg", mediatest.WithProfile(t, photo, mediatest.DisplayP3())); f.Width != 2400 {
			t.Errorf("%+v", f)
		}
	})
	if used > budget+overhead {
		t.Errorf("%d bytes allocated", used)
	}
}
