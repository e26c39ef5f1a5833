package media

import (
	"bytes"
	"context"
	"encoding/binary"
	"unicode/utf16"
)

const openXML = "application/vnd.openxmlformats-officedocument."

// officeFolders tell a document of Office Open XML by the folder that its content is in (ECMA-376 part 1). The names of the parts in
// it are the program's own: Word Online writes word/document2.xml.
var officeFolders = []struct{ folder, mime, ext string }{
	{"word/", openXML + "wordprocessingml.document", ".docx"},
	{"xl/", openXML + "spreadsheetml.sheet", ".xlsx"},
	{"ppt/", openXML + "presentationml.presentation", ".pptx"},
}

// officeParts is what the names in an archive say about it.
type officeParts struct {
	types   bool // it has the list of types that makes it a document
	folders [3]bool
	name    []byte
}

// add takes in one name; whole is false when its beginning is missing. A program is refused, as a document with macros is.
func (p *officeParts) add(name []byte, whole bool) error {
	p.name = p.name[:0]
	for _, c := range bytes.TrimLeft(name, `/\`) { // some programs write names as Windows does
		switch {
		case c == '\\':
			c = '/'
		case 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		}
		p.name = append(p.name, c)
	}
	switch path := string(p.name); {
	case path == "meta-inf/manifest.mf", path == "androidmanifest.xml", bytes.Contains(p.name, []byte("vbaproject")) && bytes.HasSuffix(p.name, []byte(".bin")):
		return wrong("an archive that is a program")
	case path == "[content_types].xml":
		p.types = true
	}
	for i, f := range officeFolders {
		p.folders[i] = p.folders[i] || whole && bytes.HasPrefix(p.name, []byte(f.folder))
	}
	return nil
}

// document is the document that an archive is; nil = it is none.
func (p *officeParts) document() (found *examined) {
	for i, f := range officeFolders {
		if !p.folders[i] || !p.types {
			continue
		}
		if found != nil {
			return nil
		}
		found = &examined{mime: f.mime, ext: f.ext}
	}
	return found
}

// openDocuments are the formats of OpenDocument, after its prefix.
var openDocuments = map[string]string{"text": ".odt", "spreadsheet": ".ods", "presentation": ".odp", "graphics": ".odg"}

// openDocument reads which format of OpenDocument an archive is (OpenDocument 1.3 part 2 §3.3), by its first file, which is not
// compressed; nil = it is none.
func openDocument(w *walker) (*examined, error) {
	const header, name, prefix = 30, "mimetype", "application/vnd.oasis.opendocument."
	b, err := w.bytes(0, header+len(name)+len(prefix)+16)
	if err != nil || len(b) < header+len(name)+len(prefix) || string(b[header:header+len(name)]) != name {
		return nil, err
	}
	rest, ok := bytes.CutPrefix(b[header+len(name):], []byte(prefix))
	if !ok {
		return nil, nil
	}
	for format, ext := range openDocuments {
		if bytes.HasPrefix(rest, []byte(format+"PK")) { // the next file's header
			return &examined{mime: prefix + format, ext: ext}, nil
		}
	}
	return nil, nil
}

// compoundStreams tell a document of older programs by the stream that holds its content.
var compoundStreams = map[string]examined{
	"WordDocument":        {mime: "application/msword", ext: ".doc"},
	"Workbook":            {mime: "application/vnd.ms-excel", ext: ".xls"},
	"Book":                {mime: "application/vnd.ms-excel", ext: ".xls"},
	"PowerPoint Document": {mime: "application/vnd.ms-powerpoint", ext: ".ppt"},
}

// compound looks for the entries of a compound file's directory ([MS-CFB] §2.6), which have 128 bytes each and begin at multiples of
// that. A document with macros is refused.
func (s *Service) compound(ctx context.Context, raw *part) (*examined, error) {
	const header, entry = 512, 128
	w := newWalker(ctx, raw)
	var found *examined
	for at := int64(header); at+entry <= w.size; at += entry {
		if err := w.step(); err != nil {
			return nil, err
		}
		b, err := w.exactly(at, entry)
		if err != nil {
			return nil, err
		}
		length := int(binary.LittleEndian.Uint16(b[64:])) // bytes of the name, its ending zero included
		if kind := b[66]; kind != 1 && kind != 2 || length < 4 || length > 64 || length%2 == 1 {
			continue
		}
		var units [31]uint16
		n := length/2 - 1
		for i := range n {
			units[i] = binary.LittleEndian.Uint16(b[2*i:])
		}
		name := string(utf16.Decode(units[:n]))
		if name == "_VBA_PROJECT" || name == "_VBA_PROJECT_CUR" {
			return nil, wrong("a document with macros")
		}
		if document, ok := compoundStreams[name]; ok && found == nil {
			document.body = raw
			found = &document
		}
	}
	if found == nil {
		return nil, wrong("a compound file without a document")
	}
	return found, nil
}
