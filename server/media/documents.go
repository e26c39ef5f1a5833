package media

import (
	"archive/zip"
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"unicode/utf8"
)

// maxEntries is what a ZIP archive may hold: reading its list takes memory for each.
const maxEntries = 5000

// Documents and archives are never shown by this server, only downloaded; whoever opens one does so in a program of their own.

// checkPDF wants a document from the first byte on (ISO 32000-1 §7.5), and no archive behind it.
func checkPDF(p *part) error {
	var head [5]byte
	if _, err := p.file.ReadAt(head[:], 0); err != nil || string(head[:]) != "%PDF-" {
		return wrong("no PDF")
	}
	tail := make([]byte, min(p.size, 2048))
	if _, err := p.file.ReadAt(tail, p.size-int64(len(tail))); err != nil {
		return err
	}
	if !bytes.Contains(tail, []byte("%%EOF")) {
		return wrong("a PDF without end")
	}
	if _, err := zipEntries(p); err == nil {
		return wrong("a PDF that is an archive too")
	}
	return nil
}

// checkText wants UTF-8 (or one of the single-byte encodings, in which nothing can be checked) without control characters that
// no text has. What it says is not looked at: it is only ever served as plain text, and as a download.
func checkText(p *part) error {
	f, err := p.rewind()
	if err != nil {
		return err
	}
	r := bufio.NewReaderSize(f, 16<<10)
	for {
		c, size, err := r.ReadRune()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case c < ' ' && !strings.ContainsRune("\t\n\v\f\r\x1a\x1b", c):
			return wrong("a text with the control character %#x", c)
		case c == utf8.RuneError && size == 1:
			continue // an older encoding
		}
	}
}

// zipEntries reads the number of entries from the end of an archive (APPNOTE.TXT §4.3.16).
func zipEntries(p *part) (int, error) {
	tail := make([]byte, min(p.size, 22+1<<16))
	if _, err := p.file.ReadAt(tail, p.size-int64(len(tail))); err != nil {
		return 0, err
	}
	at := bytes.LastIndex(tail, []byte("PK\x05\x06"))
	if at < 0 || at+22 > len(tail) {
		return 0, wrong("an archive without end")
	}
	if comment := int(binary.LittleEndian.Uint16(tail[at+20:])); at+22+comment != len(tail) {
		return 0, wrong("an archive with something after its end")
	}
	return int(binary.LittleEndian.Uint16(tail[at+10:])), nil
}

// officeParts tell a document by the part that holds its text.
var officeParts = map[string]examined{
	"word/document.xml": {mime: "application/vnd.openxmlformats-officedocument.wordprocessingml.document", ext: ".docx"},
	"xl/workbook.xml":   {mime: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", ext: ".xlsx"},
}

// zip reads the list of an archive, and finds out whether it is a document of an office program.
func (s *Service) zip(ctx context.Context, raw *part) (*examined, error) {
	var head [4]byte
	if _, err := raw.file.ReadAt(head[:], 0); err != nil || (string(head[:]) != "PK\x03\x04" && string(head[:]) != "PK\x05\x06") {
		return nil, wrong("an archive with something before its beginning")
	}
	n, err := zipEntries(raw)
	if err != nil {
		return nil, err
	}
	if n > maxEntries {
		return nil, wrong("an archive of more than %d files", maxEntries)
	}
	found := &examined{body: raw, mime: "application/zip", ext: ".zip"}
	err = s.alone(ctx, int64(n)<<10, func(context.Context) error {
		archive, err := zip.NewReader(raw.file, raw.size)
		if err != nil {
			return err
		}
		for _, f := range archive.File {
			switch name := f.Name; {
			case officeParts[name].ext != "":
				found.mime, found.ext = officeParts[name].mime, officeParts[name].ext
			case name == "META-INF/MANIFEST.MF", name == "AndroidManifest.xml", strings.HasSuffix(name, "/vbaProject.bin"):
				return wrong("an archive that is a program")
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}
