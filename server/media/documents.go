package media

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"unicode/utf8"
)

// maxEntries is what a ZIP archive may hold.
const maxEntries = 5000

// Documents and archives are never shown by this server, only downloaded; whoever opens one does so in a program of their own.

// checkPDF wants a document from the first byte on (ISO 32000-1 §7.5), and no archive behind it.
func checkPDF(w *walker) error {
	head, err := w.exactly(0, 5)
	if err != nil || string(head) != "%PDF-" {
		return wrong("no PDF")
	}
	n := min(w.size, 2048)
	tail, err := w.exactly(w.size-n, int(n))
	if err != nil {
		return err
	}
	if !bytes.Contains(tail, []byte("%%EOF")) {
		return wrong("a PDF without end")
	}
	if _, err := zipEnd(w); err == nil {
		return wrong("a PDF that is an archive too")
	}
	return nil
}

// checkText wants UTF-8 (or one of the single-byte encodings, in which nothing can be checked) without control characters that
// no text has. What it says is not looked at: it is only ever served as plain text, and as a download.
func checkText(w *walker) error {
	r := bufio.NewReaderSize(timed{w.ctx, io.NewSectionReader(w.r, 0, w.size)}, windowSize)
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

// zipDirectory is where an archive's directory lies, and how many entries its end record says that it has.
type zipDirectory struct {
	at, end int64
	entries int
}

// zipEnd finds the record at the end of an archive (APPNOTE.TXT §4.3.16), which may have a comment.
func zipEnd(w *walker) (zipDirectory, error) {
	const record, longest = 22, 1<<16 - 1
	// From the end backwards, in pieces that overlap by a signature and fit into the window.
	first := max(0, w.size-record-longest)
	for from, to := w.size, w.size; from > first; to = from + 3 {
		from = max(first, to-windowSize)
		b, err := w.exactly(from, int(to-from))
		if err != nil {
			return zipDirectory{}, err
		}
		if i := bytes.LastIndex(b, []byte("PK\x05\x06")); i >= 0 {
			at := from + int64(i)
			if b, err = w.exactly(at, record); err != nil {
				return zipDirectory{}, wrong("an archive without end")
			}
			if at+record+int64(binary.LittleEndian.Uint16(b[20:])) != w.size {
				return zipDirectory{}, wrong("an archive with something after its end")
			}
			d := zipDirectory{at: int64(binary.LittleEndian.Uint32(b[16:])), entries: int(binary.LittleEndian.Uint16(b[10:]))}
			d.end = d.at + int64(binary.LittleEndian.Uint32(b[12:]))
			if d.end > at {
				return zipDirectory{}, wrong("an archive whose directory lies beyond its end")
			}
			return d, nil
		}
	}
	return zipDirectory{}, wrong("an archive without end")
}

// officeParts tell a document by the part that holds its text.
var officeParts = map[string]examined{
	"word/document.xml": {mime: "application/vnd.openxmlformats-officedocument.wordprocessingml.document", ext: ".docx"},
	"xl/workbook.xml":   {mime: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", ext: ".xlsx"},
}

// zip walks the directory of an archive (APPNOTE.TXT §4.3.12) and finds out whether it is a document of an office program. The
// entries are counted: what the end record says must be true.
func (s *Service) zip(ctx context.Context, raw *part) (*examined, error) {
	w := newWalker(ctx, raw)
	head, err := w.exactly(0, 4)
	if err != nil || (string(head) != "PK\x03\x04" && string(head) != "PK\x05\x06") {
		return nil, wrong("an archive with something before its beginning")
	}
	d, err := zipEnd(w)
	if err != nil {
		return nil, err
	}
	found := &examined{body: raw, mime: "application/zip", ext: ".zip"}
	entries := 0
	for at := d.at; at < d.end; entries++ {
		if entries == maxEntries {
			return nil, wrong("an archive of more than %d files", maxEntries)
		}
		const header = 46
		b, err := w.exactly(at, header)
		if err != nil || string(b[:4]) != "PK\x01\x02" {
			return nil, wrong("an archive with a broken directory")
		}
		length := int(binary.LittleEndian.Uint16(b[28:]))
		next := at + header + int64(length) + int64(binary.LittleEndian.Uint16(b[30:])) + int64(binary.LittleEndian.Uint16(b[32:]))
		const longest = 1 << 10 // what is looked for is shorter; a longer name is judged by its end
		name, err := w.exactly(at+header+int64(max(0, length-longest)), min(length, longest))
		if err != nil || next > d.end {
			return nil, wrong("an archive with a broken directory")
		}
		part, office := officeParts[string(name)]
		switch {
		case office:
			found.mime, found.ext = part.mime, part.ext
		case string(name) == "META-INF/MANIFEST.MF", string(name) == "AndroidManifest.xml", bytes.HasSuffix(name, []byte("/vbaProject.bin")):
			return nil, wrong("an archive that is a program")
		}
		at = next
	}
	if entries != d.entries {
		return nil, wrong("an archive that says it has %d files and has %d", d.entries, entries)
	}
	return found, nil
}
