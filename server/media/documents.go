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

// maxEntries is the maximum number of files in a ZIP archive.
const maxEntries = 5000

// Documents and archives are never displayed by this server, only offered for download.

// checkPDF checks that there is a header within the first 1,024 bytes, as PDF readers do (Adobe's PDF Reference 1.7, appendix H.3.4.1),
// followed by an object. Data before the header or after the end mark, or a missing end mark, is common in files from scanners and mail
// programs. A file that is an archive too is rejected.
func checkPDF(w *walker) error {
	at, err := w.find(0, []byte("%PDF-"))
	if err != nil || at > 1024 {
		return wrong("no PDF: %w", err)
	}
	if _, err := w.find(at, []byte(" obj")); err != nil {
		return wrong("a PDF without content: %w", err)
	}
	if _, err := zipEnd(w); err == nil {
		return wrong("a PDF that is an archive too")
	}
	return nil
}

// text checks a text in UTF-16, with a byte order mark, or in an encoding of bytes.
func (s *Service) text(ctx context.Context, raw *part) (*inspected, error) {
	w := newWalker(ctx, raw)
	head, err := w.bytes(0, 2)
	if err != nil {
		return nil, err
	}
	var order binary.ByteOrder
	charset := "utf-8"
	switch string(head) {
	case "\xff\xfe":
		order, charset = binary.LittleEndian, "utf-16le"
	case "\xfe\xff":
		order, charset = binary.BigEndian, "utf-16be"
	}
	return as(".txt", "text/plain; charset="+charset, func(w *walker) error {
		if order == nil {
			return checkText(w)
		}
		return checkUTF16(w, order)
	})(s, ctx, raw)
}

// notInText reports whether a character does not occur in texts.
func notInText(c rune) bool { return c < ' ' && !strings.ContainsRune("\t\n\v\f\r\x1a\x1b", c) }

func checkUTF16(w *walker, order binary.ByteOrder) error {
	for at := int64(0); at < w.size; {
		b, err := w.bytes(at, windowSize)
		if err != nil {
			return err
		}
		if len(b)%2 == 1 {
			return wrong("a text in UTF-16 that ends within a character")
		}
		for i := 0; i < len(b); i += 2 {
			if c := rune(order.Uint16(b[i:])); notInText(c) {
				return wrong("a text with the control character %#x", c)
			}
		}
		at += int64(len(b))
	}
	return nil
}

// checkText checks that a text is UTF-8, or a single-byte encoding (in which every byte is valid), and has no control characters that
// do not occur in texts. The content is not checked: it is only served as plain text, as a download.
func checkText(w *walker) error {
	r := bufio.NewReaderSize(timed{w.ctx, io.NewSectionReader(w.r, 0, w.size)}, windowSize)
	for {
		c, size, err := r.ReadRune()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case notInText(c):
			return wrong("a text with the control character %#x", c)
		case c == utf8.RuneError && size == 1:
			continue // an older single-byte encoding
		}
	}
}

// zipDirectory is the position of an archive's central directory, and the number of entries according to its end record.
type zipDirectory struct {
	at, end int64
	entries int
}

// zipEnd finds the end record of an archive (APPNOTE.TXT §4.3.16), which may have a comment.
func zipEnd(w *walker) (zipDirectory, error) {
	const record, longest = 22, 1<<16 - 1
	// Search backwards from the end, in pieces that fit into the window and overlap by the length of the signature.
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
				return zipDirectory{}, wrong("a truncated archive")
			}
			if at+record+int64(binary.LittleEndian.Uint16(b[20:])) != w.size {
				return zipDirectory{}, wrong("an archive with data after its end")
			}
			d := zipDirectory{at: int64(binary.LittleEndian.Uint32(b[16:])), entries: int(binary.LittleEndian.Uint16(b[10:]))}
			d.end = d.at + int64(binary.LittleEndian.Uint32(b[12:]))
			if d.end > at {
				return zipDirectory{}, wrong("an archive whose directory lies beyond its end")
			}
			return d, nil
		}
	}
	return zipDirectory{}, wrong("a truncated archive")
}

// zip walks the central directory of an archive (APPNOTE.TXT §4.3.12) and determines whether it is an office document. The number of
// entries must be the one in the end record.
func (s *Service) zip(ctx context.Context, raw *part) (*inspected, error) {
	w := newWalker(ctx, raw)
	head, err := w.exactly(0, 4)
	if err != nil || (string(head) != "PK\x03\x04" && string(head) != "PK\x05\x06") {
		return nil, wrong("an archive with data before its start")
	}
	d, err := zipEnd(w)
	if err != nil {
		return nil, err
	}
	var parts officeParts
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
		const longest = 1 << 10 // longer than all names searched for; of a longer name only the end is checked
		name, err := w.exactly(at+header+int64(max(0, length-longest)), min(length, longest))
		if err != nil || next > d.end {
			return nil, wrong("an archive with a broken directory")
		}
		if err := parts.add(name, length <= longest); err != nil {
			return nil, err
		}
		at = next
	}
	if entries != d.entries {
		return nil, wrong("an archive that declares %d files and has %d", d.entries, entries)
	}
	found := parts.document()
	if found == nil {
		if found, err = openDocument(w); err != nil {
			return nil, err
		}
	}
	if found == nil {
		found = &inspected{mime: "application/zip", ext: ".zip"}
	}
	found.body = raw
	return found, nil
}
