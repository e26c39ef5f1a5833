package media

import (
	"bytes"
	"context"
	"encoding/binary"
	"unicode/utf16"
)

const openXML = "application/vnd.openxmlformats-officedocument."

// officeFolders identify Office Open XML documents by the folder of their content (ECMA-376 part 1). The names of the parts inside it
// vary: Word Online writes word/document2.xml.
var officeFolders = []struct{ folder, mime, ext string }{
	{"word/", openXML + "wordprocessingml.document", ".docx"},
	{"xl/", openXML + "spreadsheetml.sheet", ".xlsx"},
	{"ppt/", openXML + "presentationml.presentation", ".pptx"},
}

// officeParts collects what the names in an archive reveal about it.
type officeParts struct {
	types   bool // it has the list of content types, which makes it a document
	folders [3]bool
	name    []byte
}

// add records one name; whole is false if its beginning is missing. It returns an error for a program or a document with macros.
func (p *officeParts) add(name []byte, whole bool) error {
	p.name = p.name[:0]
	for _, c := range bytes.TrimLeft(name, `/\`) { // some programs write backslashes and leading separators
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

// document returns the kind of document; nil if the archive is not a document.
func (p *officeParts) document() (found *inspected) {
	for i, f := range officeFolders {
		if !p.folders[i] || !p.types {
			continue
		}
		if found != nil {
			return nil
		}
		found = &inspected{mime: f.mime, ext: f.ext}
	}
	return found
}

// openDocuments are the media types of OpenDocument without their common prefix.
var openDocuments = map[string]string{"text": ".odt", "spreadsheet": ".ods", "presentation": ".odp", "graphics": ".odg"}

// openDocument returns the OpenDocument format of an archive (OpenDocument 1.3 part 2 §3.3), according to its first file, which is
// uncompressed; nil if it is not one.
func openDocument(w *walker) (*inspected, error) {
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
		if bytes.HasPrefix(rest, []byte(format+"PK")) { // the header of the next file
			return &inspected{mime: prefix + format, ext: ext}, nil
		}
	}
	return nil, nil
}

// compoundStreams identify documents of older programs by the stream with their content.
var compoundStreams = map[string]inspected{
	"WordDocument":        {mime: "application/msword", ext: ".doc"},
	"Workbook":            {mime: "application/vnd.ms-excel", ext: ".xls"},
	"Book":                {mime: "application/vnd.ms-excel", ext: ".xls"},
	"PowerPoint Document": {mime: "application/vnd.ms-powerpoint", ext: ".ppt"},
}

// compound searches the directory entries of a compound file ([MS-CFB] §2.6), which have 128 bytes each and are aligned to that. A
// document with macros is rejected.
func (s *Service) compound(ctx context.Context, raw *part) (*inspected, error) {
	const header, entry = 512, 128
	w := newWalker(ctx, raw)
	var found *inspected
	for at := int64(header); at+entry <= w.size; at += entry {
		if err := w.step(); err != nil {
			return nil, err
		}
		b, err := w.exactly(at, entry)
		if err != nil {
			return nil, err
		}
		length := int(binary.LittleEndian.Uint16(b[64:])) // length of the name in bytes, including its terminating zero
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
