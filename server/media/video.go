package media

import (
	"context"
	"io"

	"github.com/gabriel-vasile/mimetype"
)

// videoTypes are the types of video that operators send, with their file name extensions.
var videoTypes = map[string]string{"video/mp4": ".mp4", "video/x-m4v": ".mp4", "audio/mp4": ".mp4", "audio/x-m4a": ".mp4", "video/quicktime": ".mov", "video/webm": ".webm"}

// SaveVideo stores a video of up to limit bytes as kind Any, which browsers only download. Only operators send videos, so their content
// is not checked. Errors are as for Save.
func (s *Service) SaveVideo(ctx context.Context, name string, r io.Reader, limit int64) (File, error) {
	raw, err := s.local.receive(r, limit)
	if err != nil {
		return File{}, refusal(err)
	}
	defer raw.discard()
	if raw.size == 0 {
		return File{}, errEmpty
	}
	content, err := raw.rewind()
	if err != nil {
		return File{}, refusal(err)
	}
	detected, err := mimetype.DetectReader(content)
	if err != nil {
		return File{}, refusal(err)
	}
	kind := baseType(detected)
	ext := videoTypes[kind]
	if ext == "" {
		return File{}, refusal(wrongType(Any, "it is "+describe(detected), wrong("it is %s", kind)))
	}
	mime := map[string]string{".mp4": "video/mp4", ".mov": "video/quicktime", ".webm": "video/webm"}[ext]
	f, err := s.storeFile(ctx, cleanName(name, ext), &inspected{kind: Any, body: raw, mime: mime, ext: ext})
	if err != nil {
		return File{}, refusal(err)
	}
	return f, nil
}
