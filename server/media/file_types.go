package media

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gabriel-vasile/mimetype"

	"sohbet/models"
)

// limits are the sizes that the upload routes take, in bytes (docs/protocol.md, "Uploads").
var limits = map[Kind]int64{Image: 5 << 20, Audio: 10 << 20, Any: 10 << 20}

// Limit returns the maximum size of a file of a kind, in bytes.
func Limit(kind Kind) int64 { return limits[kind] }

var wanted = map[Kind]string{
	Image: "A picture must be a JPEG, PNG, GIF, WebP, HEIC or AVIF.",
	Audio: "A sound must be WebM, Ogg, WAV, MP3, M4A, AAC or AMR.",
	Any:   "Pictures, sounds, videos (MP4, MOV, WebM), PDF, text, Word, Excel, PowerPoint, OpenDocument and ZIP files can be sent.",
}

// check validates the whole content of a file of a detected type: files that only begin like the type are rejected.
type check = func(*Service, context.Context, *part) (*inspected, error)

// table maps media types to checks, for files that become one kind.
type table struct {
	kind  Kind
	types map[string]check
}

var (
	pictures = table{Image, map[string]check{
		"image/jpeg": (*Service).jpeg,
		"image/png":  (*Service).png,
		"image/gif":  (*Service).gif,
		"image/webp": (*Service).webp,
	}}
	// downloads are pictures that this program cannot decode and not every browser can display.
	downloads = table{Any, map[string]check{
		"image/heic":          heif(".heic", "image/heic"),
		"image/heic-sequence": heif(".heic", "image/heic"),
		"image/heif":          heif(".heic", "image/heic"),
		"image/heif-sequence": heif(".heic", "image/heic"),
		"image/avif":          heif(".avif", "image/avif"),
	}}
	sounds = table{Audio, map[string]check{
		"video/webm":      as(".webm", "audio/webm", checkWebM), // its first bytes do not distinguish audio from video
		"audio/webm":      as(".webm", "audio/webm", checkWebM),
		"application/ogg": as(".ogg", "audio/ogg", checkOgg),
		"audio/ogg":       as(".ogg", "audio/ogg", checkOgg),
		"audio/wav":       as(".wav", "audio/wav", checkWAV),
		"audio/mpeg":      (*Service).mpegAudio,
		"audio/aac":       (*Service).mpegAudio,
		"audio/amr":       as(".amr", "audio/amr", checkAMR),
		"audio/x-m4a":     as(".m4a", "audio/mp4", checkMP4),
		"audio/mp4":       as(".m4a", "audio/mp4", checkMP4),
		"video/mp4":       as(".m4a", "audio/mp4", checkMP4),
		"video/3gpp":      as(".m4a", "audio/mp4", checkMP4), // recorded by older phones' voice recorders
		"video/3gpp2":     as(".m4a", "audio/mp4", checkMP4),
	}}
	videos = table{Any, map[string]check{
		"video/mp4":       as(".mp4", "video/mp4", checkVideo),
		"video/x-m4v":     as(".mp4", "video/mp4", checkVideo),
		"video/3gpp":      as(".mp4", "video/mp4", checkVideo),
		"video/3gpp2":     as(".mp4", "video/mp4", checkVideo),
		"video/quicktime": as(".mov", "video/quicktime", checkVideo),
		"video/webm":      as(".webm", "video/webm", checkWebMVideo),
	}}
	documents = table{Any, map[string]check{
		"application/pdf":           as(".pdf", "application/pdf", checkPDF),
		"text/rtf":                  as(".rtf", "application/rtf", checkText),
		"text/plain":                (*Service).text,
		"application/zip":           (*Service).zip,
		"application/x-ole-storage": (*Service).compound,
	}}
	// anything is the last resort: a text may begin like another type, such as with "BM" or "%PDF-".
	anything = table{Any, map[string]check{octets: (*Service).text}}
)

// of returns the check for a type or its nearest supported parent type; nil = none.
func (t table) of(detected *mimetype.MIME) check {
	for m := detected; m != nil; m = m.Parent() {
		if check := t.types[baseType(m)]; check != nil {
			return check
		}
	}
	return nil
}

const octets = "application/octet-stream" // the root of the type hierarchy

func baseType(m *mimetype.MIME) string {
	name, _, _ := strings.Cut(m.String(), ";")
	return name
}

// detect detects the type of a file from its first bytes.
func detect(r io.Reader) (*mimetype.MIME, error) {
	var head [3]byte
	n, err := io.ReadFull(r, head[:])
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	detected, err := mimetype.DetectReader(io.MultiReader(bytes.NewReader(head[:n]), r))
	if err == nil && baseType(detected) == octets && string(head[:n]) == "ID3" { // the frames are beyond the bytes examined, or are AAC
		return mimetype.Lookup("audio/mpeg"), nil
	}
	return detected, err
}

// isScript reports whether a text is a type that a shell or a web server would execute. Markup and tables are sent as plain text.
func isScript(m *mimetype.MIME) bool {
	name := baseType(m)
	return strings.HasPrefix(name, "text/x-") || name == "text/javascript"
}

// tables are the types accepted by each upload route. The content of a file, not the route, decides what it becomes.
var tables = map[Kind][]table{
	Image: {pictures, downloads},
	Audio: {sounds},
	Any:   {pictures, downloads, sounds, videos, documents, anything},
}

// as returns a check for a type whose files are stored unchanged.
func as(ext, mime string, check func(*walker) error) check {
	return func(_ *Service, ctx context.Context, raw *part) (*inspected, error) {
		if err := check(newWalker(ctx, raw)); err != nil {
			return nil, err
		}
		return &inspected{body: raw, mime: mime, ext: ext}, nil
	}
}

// inspect determines the type of a file from its content, ignoring its name and declared type, and sanitizes it.
func (s *Service) inspect(ctx context.Context, route Kind, raw *part) (*inspected, error) {
	f, err := raw.rewind()
	if err != nil {
		return nil, err
	}
	detected, err := detect(f)
	if err != nil {
		return nil, err
	}
	var damaged error
	for _, t := range tables[route] {
		check := t.of(detected)
		if check == nil || isScript(detected) {
			continue
		}
		if raw.size > limits[t.kind] {
			return nil, tooLarge(limits[t.kind])
		}
		found, err := check(s, ctx, raw)
		if err == nil {
			found.kind = t.kind
			return found, nil
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("check a file: %w", ctx.Err())
		}
		if err = judged(route, detected, err); !isWrongType(err) {
			return nil, err
		}
		if damaged == nil && t.types[octets] == nil {
			damaged = err
		}
	}
	if damaged != nil {
		return nil, damaged
	}
	return nil, wrongType(route, "it is "+describe(detected), wrong("it is %s", detected))
}

// cleanName makes a file name from a client safe to display and to suggest for downloads: the last element of a path, without control
// or bidirectional formatting characters, with the extension of the actual type.
func cleanName(name, ext string) string {
	name = strings.ToValidUTF8(name, "")
	if i := strings.LastIndexAny(name, `/\`); i >= 0 {
		name = name[i+1:]
	}
	name = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) {
			return -1
		}
		return r
	}, name)
	name = strings.Trim(name, " .")
	if !sameType(path.Ext(name), ext) {
		name += ext
	}
	if over := utf8.RuneCountInString(name) - models.MaxFileName; over > 0 {
		end := path.Ext(name)
		stem := []rune(strings.TrimSuffix(name, end))
		name = string(stem[:max(0, len(stem)-over)]) + end
	}
	if strings.HasPrefix(name, ".") {
		name = "file" + name
	}
	return name
}

// sameType reports whether a name's extension denotes the same type as ext.
func sameType(given, ext string) bool {
	given = strings.ToLower(given)
	switch given {
	case ".jpeg", ".jpe", ".jfif":
		given = ".jpg"
	case ".oga", ".opus":
		given = ".ogg"
	case ".mp4", ".3gp", ".3g2":
		return ext == ".m4a" || ext == ".mp4"
	case ".aac":
		return ext == ".m4a" || ext == given
	case ".m4v":
		given = ".mp4"
	case ".qt":
		given = ".mov"
	case ".heif", ".hif":
		given = ".heic"
	case ".dot", ".xlt", ".pps", ".pot": // templates and slide shows have the format of documents
		given = map[string]string{".dot": ".doc", ".xlt": ".xls", ".pps": ".ppt", ".pot": ".ppt"}[given]
	case ".dotx", ".xltx", ".xlsb", ".ppsx", ".potx":
		given = map[string]string{".dotx": ".docx", ".xltx": ".xlsx", ".xlsb": ".xlsx", ".ppsx": ".pptx", ".potx": ".pptx"}[given]
	case ".csv", ".tsv", ".json", ".log", ".md", ".srt", ".vtt", ".ics", ".vcf":
		return ext == ".txt"
	}
	return given == ext
}
