package app

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"image"
	"image/jpeg"
	"net/http"
	"runtime"
	"runtime/metrics"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sohbet/models/storetest"
	"sohbet/server/media/mediatest"
)

const script = "<script>alert(document.domain)</script>"

// bomb returns a PNG of w × h black pixels in a few kilobytes.
func bomb(t testing.TB, w, h int) []byte {
	t.Helper()
	var rows bytes.Buffer
	z := zlib.NewWriter(&rows)
	line := make([]byte, 1+min(w, 60_000)/8)
	for range min(h, 4000) {
		if _, err := z.Write(line); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	header := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, uint32(w)), uint32(h))
	return slices.Concat([]byte("\x89PNG\r\n\x1a\n"), mediatest.PNGChunk("IHDR", append(header, 1, 0, 0, 0, 0)),
		mediatest.PNGChunk("IDAT", rows.Bytes()), mediatest.PNGChunk("IEND", nil))
}

// sized changes the size in a JPEG's frame header.
func sized(file []byte, w, h uint16) []byte {
	file = bytes.Clone(file)
	at := bytes.Index(file, []byte{0xff, 0xc0})
	binary.BigEndian.PutUint16(file[at+5:], h)
	binary.BigEndian.PutUint16(file[at+7:], w)
	return file
}

func padded(file []byte, size int) []byte {
	return append(bytes.Clone(file), make([]byte, size-len(file))...)
}

// TestHostileUploads sends what an attacker would. Each is refused with its code (docs/protocol.md, "HTTP errors") and leaves
// nothing behind; what is harmless once cleaned is taken, and nothing of the attack is served.
func TestHostileUploads(t *testing.T) {
	s := open(t, storetest.Open(t, "sqlite"))
	photo := mediatest.JPEG(t, mediatest.Picture(120, 90, 0))
	shot := mediatest.PNG(t, mediatest.Picture(120, 90, 0))
	webp := mediatest.WebP(t, mediatest.Picture(120, 90, 0))
	anim := mediatest.GIF(t, 60, 40, 3)
	voice := mediatest.WebM(2, 4)
	comment := func(text string) []byte { // in a GIF, before its first frame
		at := bytes.Index(anim, []byte{0x21, 0xf9})
		return slices.Concat(anim[:at], []byte{0x21, 0xfe, byte(len(text))}, []byte(text), []byte{0}, anim[at:])
	}
	svg := []byte(`<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><script>alert(1)</script></svg>`)
	scans := slices.Concat(photo[:len(photo)-2], bytes.Repeat([]byte{0xff, 0xda, 0, 8, 1, 1, 0, 0, 0x3f, 0}, 5000), photo[len(photo)-2:])
	const wrongType, large, none = "INVALID_FILE_TYPE", "FILE_TOO_LARGE", "NO_FILE"
	cases := []struct {
		name, route, file string
		content           []byte
		code              string // "" = accepted and sanitized
	}{
		{"HTML as PNG", "image", "a.png", []byte("<!DOCTYPE html><html>" + script), wrongType},
		{"HTML as a picture with spaces before", "image", "a.jpg", []byte("\n\n   <html>" + script), wrongType},
		{"SVG", "image", "a.svg", svg, wrongType},
		{"SVG as PNG", "image", "a.png", svg, wrongType},
		{"script", "image", "a.js", []byte("alert(1)"), wrongType},
		{"program", "image", "a.exe", append([]byte("MZ\x90\x00"), make([]byte, 200)...), wrongType},
		{"ELF program as JPEG", "image", "a.jpg", append([]byte("\x7fELF\x02\x01\x01"), make([]byte, 200)...), wrongType},
		{"PHP", "image", "a.php.jpg", []byte("<?php system($_GET['x']); ?>"), wrongType},
		{"PDF as picture", "image", "a.jpg", mediatest.PDF(), wrongType},
		{"TIFF", "image", "a.tif", mediatest.EXIF(1), wrongType},
		{"BMP", "image", "a.bmp", append([]byte("BM\x3a\x00\x00\x00\x00\x00\x00\x00\x36\x00\x00\x00\x28\x00\x00\x00"), make([]byte, 60)...), wrongType},
		{"sound as picture", "image", "a.png", voice, wrongType},
		{"a PNG's first bytes, then HTML", "image", "a.png", append([]byte("\x89PNG\r\n\x1a\n"), "<html>"+script...), wrongType},
		{"a JPEG's first bytes, then HTML", "image", "a.jpg", append([]byte("\xff\xd8\xff\xe0"), "<html>"+script...), wrongType},
		{"a GIF's first bytes, then script", "image", "a.gif", []byte("GIF89a/*" + strings.Repeat("x", 40) + "*/=1;alert(1)"), large}, // the first letters are its size
		{"truncated JPEG", "image", "a.jpg", photo[:len(photo)*2/3], wrongType},
		{"truncated JPEG with an end", "image", "a.jpg", append(bytes.Clone(photo[:len(photo)/2]), 0xff, 0xd9), wrongType},
		{"truncated PNG", "image", "a.png", shot[:len(shot)-20], wrongType},
		{"PNG with a broken checksum", "image", "a.png", append(bytes.Clone(shot[:len(shot)-16]), make([]byte, 16)...), wrongType},
		{"truncated GIF", "image", "a.gif", anim[:len(anim)-30], wrongType},
		{"truncated WebP", "image", "a.webp", webp[:len(webp)-30], wrongType},
		{"decompression bomb", "image", "a.png", bomb(t, 60_000, 60_000), large},
		{"bomb of 2³¹ pixels a side", "image", "a.png", bomb(t, 1<<31-1, 1<<31-1), wrongType},
		{"JPEG that says it is 65,000 wide", "image", "a.jpg", sized(photo, 65_000, 65_000), large},
		{"JPEG without width", "image", "a.jpg", sized(photo, 0, 90), wrongType},
		{"JPEG of thousands of scans", "image", "a.jpg", scans, wrongType},
		{"GIF with a frame beyond its edges", "image", "a.gif", bytes.Replace(anim, []byte("\x2c\x00\x00\x00\x00\x3c\x00"), []byte("\x2c\x00\x00\x00\x00\xff\x7f"), 1), wrongType},
		{"GIF without a picture", "image", "a.gif", []byte("GIF89a\x01\x00\x01\x00\x00\x00\x00\x3b"), wrongType},
		{"5 MB and a byte", "image", "a.jpg", padded(photo, 5<<20+1), large},
		{"10 MB and a byte of sound", "audio", "a.wav", padded(mediatest.WAV(10), 10<<20+1), large},
		{"10 MB and a byte of text", "file", "a.txt", bytes.Repeat([]byte("x"), 10<<20+1), large},
		{"nothing", "image", "a.png", nil, none},
		{"HTML as sound", "audio", "a.mp3", []byte("<html>" + script), wrongType},
		{"an ID3 tag, then HTML", "audio", "a.mp3", append([]byte("ID3\x04\x00\x00\x00\x00\x00\x00"), "<html>"+script...), wrongType},
		{"MP3 with HTML in its middle", "audio", "a.mp3", slices.Concat(mediatest.MP3(5), []byte("<html>"+script), mediatest.MP3(5)), wrongType},
		{"film as sound", "audio", "a.webm", mediatest.WebM(1, 4), wrongType},
		{"film as M4A", "audio", "a.m4a", mediatest.M4A("vide"), wrongType},
		{"WAV with HTML behind", "audio", "a.wav", append(mediatest.WAV(50), "<html>"+script...), wrongType},
		{"Ogg with HTML between its pages", "audio", "a.ogg", append(mediatest.Ogg(3), "<html>"+script...), wrongType},
		{"WebM with HTML behind", "audio", "a.webm", append(mediatest.WebM(2, 3), "<html>"+script...), wrongType},
		{"M4A with HTML behind", "audio", "a.m4a", append(mediatest.M4A("soun"), "<html>"+script...), wrongType},
		{"a picture as sound", "audio", "a.mp3", photo, wrongType},
		{"shell script", "file", "a.txt", []byte("#!/bin/sh\nrm -rf /\n"), wrongType},
		{"program as PDF", "file", "a.pdf", append([]byte("MZ\x90\x00"), make([]byte, 200)...), wrongType},
		{"text with NULs", "file", "a.txt", []byte("hello\x00world"), wrongType},
		{"PDF that is a ZIP too", "file", "a.pdf", append(mediatest.PDF(), mediatest.ZIP(t, "a.txt", "x")...), wrongType},
		{"ZIP with something before it", "file", "a.zip", append([]byte("%!PS"), mediatest.ZIP(t, "a", "b")...), wrongType},
		{"ZIP with something behind it", "file", "a.zip", append(mediatest.ZIP(t, "a", "b"), script...), wrongType},
		{"Java program", "file", "a.zip", mediatest.ZIP(t, "META-INF/MANIFEST.MF", "Main-Class: X", "X.class", "x"), wrongType},
		{"document with macros", "file", "a.docx", mediatest.ZIP(t, "[Content_Types].xml", "<Types/>", "word/document.xml", "<w/>", "word/vbaProject.bin", "x"), wrongType},
		{"ZIP that is cut off", "file", "a.zip", mediatest.ZIP(t, "a", "b")[:40], wrongType},
		{"PDF of a header alone", "file", "a.pdf", []byte("%PDF-1.7\x00" + script), wrongType},
		{"animated WebP with a frame of HTML", "image", "a.webp", bytes.Replace(mediatest.AnimatedWebP(webp), webp[30:60], []byte(script)[:30], 1), wrongType},
		{"document of an older program with macros", "file", "a.doc", mediatest.Compound("WordDocument", "_VBA_PROJECT"), wrongType},
		{"installer", "file", "a.doc", mediatest.Compound("\u4840\u3f3f"), wrongType},
		{"video with HTML behind", "file", "a.mov", append(mediatest.Video("qt  "), script...), wrongType},
		{"HEIC that is HTML", "image", "a.heic", append([]byte("\x00\x00\x00\x18ftypheic\x00\x00\x00\x00"), script...), wrongType},
		{"AAC with HTML in its middle", "audio", "a.aac", slices.Concat(mediatest.AAC(5), []byte(script), mediatest.AAC(5)), wrongType},

		{"HTML as text", "file", "a.html", []byte("<!DOCTYPE html><html>" + script), ""},
		{"SVG as text", "file", "a.svg", svg, ""},
		{"HTML in UTF-16", "file", "a.txt", mediatest.UTF16("<!DOCTYPE html><html>"+script, binary.LittleEndian), ""},
		{"PDF after HTML", "file", "a.html", append([]byte(script), mediatest.PDF()...), ""},
		{"picture as document", "file", "a.pdf", append(bytes.Clone(photo), script...), ""},
		{"HEIC", "image", "a.heic", mediatest.HEIC("heic"), ""},
		{"video", "file", "a.mov", mediatest.Video("qt  "), ""},
		{"document of an older program", "file", "a.doc", mediatest.Compound("WordDocument"), ""},
		{"animated WebP with script in EXIF", "image", "a.webp", append(mediatest.AnimatedWebP(webp), script...), ""},
		{"GIF with script in a comment", "image", "a.gif", comment(script), ""},
		{"GIF with HTML behind", "image", "a.gif", append(bytes.Clone(anim), script...), ""},
		{"PNG with script in a text chunk", "image", "a.png", slices.Concat(shot[:33], mediatest.PNGChunk("tEXt", []byte("Comment\x00"+script)), shot[33:]), ""},
		{"PNG with HTML behind", "image", "a.png", append(bytes.Clone(shot), script...), ""},
		{"JPEG with script in a comment", "image", "a.jpg", slices.Concat(photo[:2], []byte{0xff, 0xfe, 0, byte(2 + len(script))}, []byte(script), photo[2:]), ""},
		{"JPEG with a ZIP behind", "image", "a.jpg", append(bytes.Clone(photo), mediatest.ZIP(t, script, script)...), ""},
		{"JPEG with script in EXIF", "image", "a.jpg", mediatest.WithEXIF(photo, append(mediatest.EXIF(1), script...)), ""},
		{"WebP with script in EXIF", "image", "a.webp", mediatest.WithEXIF(webp, append(mediatest.EXIF(1), script...)), ""},
		{"WebP with HTML behind", "image", "a.webp", append(bytes.Clone(webp), script...), ""},
		{"a path as name", "image", "../../../etc/passwd", photo, ""},
		{"a Windows path as name", "image", `..\\..\\boot.ini`, photo, ""},
		{"NUL in its name", "image", "a\x00.php", photo, "UPLOAD_FAILED"},
		{"markup as name", "image", "<img src=x onerror=alert(1)>.png", photo, ""},
		{"a name of 10,000 letters", "image", strings.Repeat("a", 10_000), photo, ""},
		{"text that is JavaScript", "file", "a.js", []byte("alert(document.domain)\n"), ""},
	}
	for _, c := range cases {
		r := s.upload(t, c.route, c.file, c.content)
		if c.code != "" {
			if r.code() != c.code || r.status < 400 || r.status >= 500 {
				t.Errorf("%s: %d %s", c.name, r.status, r.body)
			}
			if list := s.uploads(t); len(list) > 0 {
				t.Fatalf("%s leaves %v", c.name, list)
			}
			continue
		}
		var got uploadAnswer
		r.into(t, &got)
		if r.status != http.StatusOK {
			t.Errorf("%s: %d %s", c.name, r.status, r.body)
			continue
		}
		stored := s.do(t, s.browser(t), "GET", got.URL, "")
		if strings.HasPrefix(stored.header.Get("Content-Type"), "image/") && strings.Contains(stored.body, "script") || !inert(stored.header) || strings.Contains(got.URL, "..") {
			t.Errorf("%s: %s is served as %v", c.name, got.URL, stored.header)
		}
		if strings.ContainsAny(got.Name, "\x00/\\") {
			t.Errorf("%s: kept as %q", c.name, got.Name)
		}
		s.files.Remove([]string{got.URL})
		s.files.Sweep(t.Context())
	}
	if list := s.uploads(t); len(list) > 0 {
		t.Errorf("left at the end: %v", list)
	}
	t.Logf("%d hostile uploads", len(cases))
}

// inert reports whether a browser can only show a file as image or audio, or download it.
func inert(h http.Header) bool {
	kind := h.Get("Content-Type")
	safe := strings.HasPrefix(kind, "image/") && kind != "image/svg+xml" || strings.HasPrefix(kind, "audio/") ||
		strings.HasPrefix(h.Get("Content-Disposition"), "attachment")
	return safe && h.Get("X-Content-Type-Options") == "nosniff" && strings.Contains(h.Get("Content-Security-Policy"), "sandbox")
}

// TestHostileForms sends forms that no browser generates.
func TestHostileForms(t *testing.T) {
	s := open(t, storetest.Open(t, "sqlite"))
	var photo bytes.Buffer
	if err := jpeg.Encode(&photo, image.NewGray(image.Rect(0, 0, 9, 9)), nil); err != nil {
		t.Fatal(err)
	}
	part := func(head, body string) string {
		return "--x\r\nContent-Disposition: form-data; " + head + "\r\n\r\n" + body + "\r\n"
	}
	file := part(`name="file"; filename="a.jpg"`, photo.String())
	const multi = "multipart/form-data; boundary=x"
	for _, c := range []struct {
		name, kind, body, code string
	}{
		{"another field", multi, part(`name="upload"; filename="a.jpg"`, photo.String()) + "--x--\r\n", "NO_FILE"},
		{"no field", multi, "--x--\r\n", "NO_FILE"},
		{"no boundary", "multipart/form-data", file, "NO_FILE"},
		{"a boundary that does not come", "multipart/form-data; boundary=y", file, "NO_FILE"},
		{"no form", "image/jpeg", photo.String(), "NO_FILE"},
		{"JSON", "application/json", `{"file":"x"}`, "NO_FILE"},
		{"a form without files", "application/x-www-form-urlencoded", "file=x", "NO_FILE"},
		{"200 parts, then a file", multi, strings.Repeat(part(`name="a"`, "x"), 200) + file + "--x--\r\n", "VALIDATION_FAILED"},
		{"a file, then 200 parts", multi, file + strings.Repeat(part(`name="a"`, "x"), 200) + "--x--\r\n", "VALIDATION_FAILED"},
		{"200 files", multi, strings.Repeat(file, 200) + "--x--\r\n", "VALIDATION_FAILED"},
		{"a large field before the file", multi, part(`name="a"`, strings.Repeat("x", 1<<20)) + file + "--x--\r\n", "VALIDATION_FAILED"},
		{"a large field after the file", multi, file + part(`name="a"`, strings.Repeat("x", 1<<20)) + "--x--\r\n", "VALIDATION_FAILED"},
		{"endless headers", multi, "--x\r\n" + strings.Repeat("X-A: "+strings.Repeat("b", 900)+"\r\n", 2000) + "\r\n", "VALIDATION_FAILED"},
		{"a file of text without a name", multi, part(`name="file"`, "hello") + "--x--\r\n", "INVALID_FILE_TYPE"},
		{"6 MB of preamble", multi, strings.Repeat("x", 6<<20) + "\r\n" + file + "--x--\r\n", "UPLOAD_FAILED"},
	} {
		r := s.do(t, s.browser(t), "POST", "/api/upload/image", c.body, "Content-Type", c.kind)
		if r.code() != c.code || r.status < 400 || r.status >= 500 {
			t.Errorf("%s: %d %s", c.name, r.status, r.body)
		}
		s.files.Sweep(t.Context()) // deletes what was rolled back
		if list := s.uploads(t); len(list) > 0 {
			t.Fatalf("%s leaves %v", c.name, list)
		}
	}
	if r := s.do(t, s.browser(t), "GET", "/api/upload/image", ""); r.status != 405 || r.code() != "METHOD_NOT_ALLOWED" {
		t.Errorf("GET: %d %s", r.status, r.body)
	}
	if r := s.do(t, s.browser(t), "POST", "/api/upload/video", file, "Content-Type", multi); r.status != 404 {
		t.Errorf("another route: %d", r.status)
	}
}

// TestUploadBombs sends nine decompression bombs at once, with others whose declared size is over the limit, while a phone uploads a
// photo of twelve megapixels.
func TestUploadBombs(t *testing.T) {
	s := open(t, storetest.Open(t, "sqlite"))
	photo := mediatest.JPEG(t, image.NewYCbCr(image.Rect(0, 0, 4000, 3000), image.YCbCrSubsampleRatio420))
	sent := map[string][]byte{
		"image/0": mediatest.WebPGroups(2600, 11), "image/1": mediatest.WebPGroups(2600, 10),
		"image/2": mediatest.RawPNG(t, mediatest.PNGOptions{Width: 6500, Height: 4000, Depth: 1, Adam7: true, Before: mediatest.PNGChunk("tRNS", []byte{0, 0})}),
		"audio/0": mediatest.WebMNested(1_000_000), "audio/1": mediatest.WebMEmpty(4_000_000), "file/0": mediatest.ZIPEntries(3<<16+10, 10, 0),
	}
	for i := range 3 {
		sent[fmt.Sprintf("image/%d", 3+i)] = mediatest.WebPGroups(2600, 0) // within the memory budget each, but not together
	}
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	heap := func() uint64 { metrics.Read(sample); return sample[0].Value.Uint64() }
	runtime.GC()
	before, most := heap(), uint64(0)
	done := make(chan struct{})
	var watching, sending sync.WaitGroup
	watching.Go(func() {
		for {
			most = max(most, heap())
			select {
			case <-done:
				return
			case <-time.After(time.Millisecond):
			}
		}
	})
	for name, content := range sent {
		route, _, _ := strings.Cut(name, "/")
		sending.Go(func() {
			if r := s.upload(t, route, "x", content); r.status != 200 && r.status != 413 && r.status != 415 {
				t.Errorf("%s: %d %s", name, r.status, r.body)
			}
		})
	}
	sending.Go(func() {
		var got uploadAnswer
		if s.upload(t, "image", "IMG_0001.jpg", photo).into(t, &got); got.Width != 4000 {
			t.Errorf("the photo: %+v", got)
		}
	})
	sending.Wait()
	close(done)
	watching.Wait()
	growth := (int64(most) - int64(before)) >> 20
	if t.Logf("the heap grew by %d MB", growth); growth > 220 { // includes the requests' own copies in this process
		t.Errorf("the heap grew by %d MB", growth)
	}
}
