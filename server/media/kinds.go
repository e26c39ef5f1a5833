package media

import (
	"context"
	"fmt"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gabriel-vasile/mimetype"

	"sohbet/models"
)

// limits are the sizes that contract §3's routes take, in bytes.
var limits = map[Kind]int64{Image: 5 << 20, Audio: 10 << 20, Any: 10 << 20}

// Limit is the largest file of a kind, in bytes.
func Limit(kind Kind) int64 { return limits[kind] }

var wanted = map[Kind]string{
	Image: "A picture must be a JPEG, PNG, GIF or WebP.",
	Audio: "A sound must be WebM, Ogg, WAV, MP3 or M4A.",
	Any:   "A file must be PDF, TXT, DOCX, XLSX or ZIP.",
}

// checks judge the content of a type that a kind takes. They find the type in the first bytes, then read the whole file: what
// only begins like one is refused.
var checks = map[Kind]map[string]func(*Service, context.Context, *part) (*examined, error){
	Image: {
		"image/jpeg": (*Service).jpeg,
		"image/png":  (*Service).png,
		"image/gif":  (*Service).gif,
		"image/webp": (*Service).webp,
	},
	Audio: {
		"video/webm":      as(".webm", "audio/webm", checkWebM), // the container does not tell sound from film in its first bytes
		"audio/webm":      as(".webm", "audio/webm", checkWebM),
		"application/ogg": as(".ogg", "audio/ogg", checkOgg),
		"audio/ogg":       as(".ogg", "audio/ogg", checkOgg),
		"audio/wav":       as(".wav", "audio/wav", checkWAV),
		"audio/mpeg":      as(".mp3", "audio/mpeg", checkMP3),
		"audio/x-m4a":     as(".m4a", "audio/mp4", checkMP4),
		"audio/mp4":       as(".m4a", "audio/mp4", checkMP4),
		"video/mp4":       as(".m4a", "audio/mp4", checkMP4),
	},
	Any: {
		"application/pdf": as(".pdf", "application/pdf", checkPDF),
		"text/plain":      as(".txt", "text/plain; charset=utf-8", checkText),
		"application/zip": (*Service).zip,
	},
}

// as makes a check for a type whose file stays as it is.
func as(ext, mime string, check func(*walker) error) func(*Service, context.Context, *part) (*examined, error) {
	return func(_ *Service, ctx context.Context, raw *part) (*examined, error) {
		if err := check(newWalker(ctx, raw)); err != nil {
			return nil, err
		}
		return &examined{body: raw, mime: mime, ext: ext}, nil
	}
}

// examine finds out what a file is, whatever its name and its sender say, and cleans it.
func (s *Service) examine(ctx context.Context, kind Kind, raw *part) (*examined, error) {
	f, err := raw.rewind()
	if err != nil {
		return nil, err
	}
	detected, err := mimetype.DetectReader(f)
	if err != nil {
		return nil, err
	}
	for m := detected; m != nil; m = m.Parent() {
		name, _, _ := strings.Cut(m.String(), ";")
		check := checks[kind][name]
		if check == nil || refusedText(name, detected) {
			continue
		}
		if _, err := raw.rewind(); err != nil {
			return nil, err
		}
		found, err := check(s, ctx, raw)
		if ctx.Err() != nil && err != nil {
			return nil, fmt.Errorf("check a file: %w", ctx.Err())
		}
		if err != nil {
			return nil, judged(kind, err)
		}
		return found, nil
	}
	return nil, wrongType(kind, wrong("it is %s", detected.String()))
}

// refusedText reports whether a text is of a kind that some program would run or draw, were it ever to see it: HTML, SVG and
// other markup, scripts. Tables, JSON and the like are plain text to people who send them.
func refusedText(name string, detected *mimetype.MIME) bool {
	if name != "text/plain" {
		return false
	}
	switch detected.Extension() {
	case ".txt", ".csv", ".tsv", ".json", ".ndjson", ".srt", ".vtt", ".ics", ".vcf":
		return false
	}
	return true
}

// cleanName makes a sender's name for a file fit to be shown and to be suggested for saving: the last element of a path, no
// control or direction characters, and an end that says what the file is.
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

// sameType reports whether a name's end says what the file's own does.
func sameType(given, ext string) bool {
	given = strings.ToLower(given)
	switch given {
	case ".jpeg", ".jpe", ".jfif":
		given = ".jpg"
	case ".oga", ".opus":
		given = ".ogg"
	case ".mp4", ".aac":
		return ext == ".m4a"
	case ".csv", ".tsv", ".json", ".log", ".md", ".srt", ".vtt", ".ics", ".vcf":
		return ext == ".txt"
	}
	return given == ext
}
