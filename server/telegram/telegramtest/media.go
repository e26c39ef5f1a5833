package telegramtest

import (
	"bytes"
	"fmt"
	"image"
	_ "image/gif"  // formats of photos
	_ "image/jpeg" // "
	_ "image/png"  // "
	"net/http"
	"path"
	"strings"
	"time"
)

const (
	maxPhoto    = 10 << 20
	maxFile     = 50 << 20
	maxDownload = 20 << 20
)

// file is a file on Telegram's servers.
type file struct {
	Media
	path string
	data []byte
}

// sending returns the implementation of sendPhoto, sendVoice, sendAudio, sendDocument or sendVideo, whose file is in the given field.
func sending(field string) func(*Server, *Call) (any, *refusal) {
	return func(s *Server, c *Call) (any, *refusal) {
		caption, entities, no := c.text("caption", "caption_entities")
		switch {
		case no != nil:
			return nil, no
		case units(caption) > maxCaption:
			return nil, bad("message caption is too long")
		}
		markup, no := c.markup()
		if no != nil {
			return nil, no
		}
		in, m, no := s.address(c)
		if no != nil {
			return nil, no
		}
		f, no := s.sentFile(c, field)
		if no != nil {
			return nil, no
		}
		if no := m.attach(field, f); no != nil {
			return nil, no
		}
		m.Caption, m.CaptionEntities, m.ReplyMarkup = caption, entities, markup
		return s.add(in, m), nil
	}
}

// sentFile returns the file that a call uploads or refers to by its id.
func (s *Server) sentFile(c *Call, field string) (*file, *refusal) {
	upload, ok := c.Files[field]
	name := c.Params[field]
	if attached, is := strings.CutPrefix(name, "attach://"); !ok && is {
		upload, ok = c.Files[attached]
	}
	switch {
	case ok:
	case name == "":
		return nil, bad("there is no %s in the request", field)
	case strings.Contains(name, "://"):
		return nil, bad("failed to get HTTP URL content") // the fake fetches no URLs
	case s.files[name] == nil:
		return nil, bad("wrong file identifier/HTTP URL specified")
	default:
		return s.files[name], nil
	}
	switch size := len(upload.Data); {
	case size == 0:
		return nil, bad("file must be non-empty")
	case size > maxFile:
		return nil, &refusal{code: http.StatusRequestEntityTooLarge, text: "Request Entity Too Large"}
	case field == "photo" && size > maxPhoto:
		return nil, bad("file of size %d bytes is too big for a photo; the maximum size is %d bytes", size, maxPhoto)
	}
	folder := map[string]string{"photo": "photos", "voice": "voice", "audio": "music", "document": "documents", "video": "videos"}[field]
	return s.store(folder, upload.Name, sniff(upload.Data), upload.Data, int64(len(upload.Data))), nil
}

// store saves a file; size is the size that the API reports for it. s.mu must be held.
func (s *Server) store(folder, name, kind string, data []byte, size int64) *file {
	n := len(s.files) + 1
	f := &file{data: data, Media: Media{FileID: fmt.Sprintf("AwACAgQAAxkBAAI%06d", n), UniqueID: fmt.Sprintf("AgAD%06d", n), Size: size, Name: name, Type: kind}}
	f.path = fmt.Sprintf("%s/file_%d%s", folder, n, path.Ext(name))
	s.files[f.FileID] = f
	return f
}

// attach adds a file to a message as Telegram does: a voice message in another format than Telegram accepts becomes audio or a
// document, and a photo's dimensions are read.
func (m *Message) attach(field string, f *file) *refusal {
	media := f.Media
	switch field {
	case "photo":
		if no := measure(&media, f.data); no != nil {
			return no
		}
		media.Name, media.Type = "", ""
		small := media
		small.FileID, small.UniqueID, small.Width, small.Height = media.FileID+"s", media.UniqueID+"s", max(media.Width/4, 1), max(media.Height/4, 1)
		m.Photo = []Media{small, media}
	case "voice":
		switch f.Type {
		case "audio/ogg", "audio/mpeg", "audio/mp4":
			media.Name = ""
			m.Voice = &media
		default:
			m.Document = &media
		}
	case "audio":
		switch f.Type {
		case "audio/mpeg", "audio/mp4":
			m.Audio = &media
		default:
			m.Document = &media
		}
	case "video":
		if f.Type == "video/mp4" {
			m.Video = &media
		} else {
			m.Document = &media
		}
	default:
		m.Document = &media
		if f.Type == "image/gif" {
			m.Animation = &media
		}
	}
	return nil
}

// measure sets a photo's dimensions, or refuses what Telegram does not accept as a photo.
func measure(m *Media, data []byte) *refusal {
	if m.Type == "image/webp" {
		m.Width, m.Height = 320, 240
		return nil
	}
	config, _, err := image.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return bad("IMAGE_PROCESS_FAILED")
	}
	w, h := config.Width, config.Height
	if w < 1 || h < 1 || w+h > 10000 || w > 20*h || h > 20*w {
		return bad("PHOTO_INVALID_DIMENSIONS")
	}
	m.Width, m.Height = w, h
	return nil
}

// sniff detects a file's type by its first bytes, as far as Telegram's response depends on it.
func sniff(data []byte) string {
	switch head := data[:min(len(data), 64)]; {
	case bytes.HasPrefix(head, []byte("OggS")) && bytes.Contains(head, []byte("OpusHead")):
		return "audio/ogg"
	case bytes.HasPrefix(head, []byte("ID3")), len(head) > 1 && head[0] == 0xFF && head[1]&0xE0 == 0xE0 && head[1] != 0xD8:
		return "audio/mpeg"
	case len(head) > 12 && string(head[4:8]) == "ftyp":
		return "audio/mp4"
	}
	kind, _, _ := strings.Cut(http.DetectContentType(data), ";")
	return kind
}

func (s *Server) getFile(c *Call) (any, *refusal) {
	id := strings.TrimSuffix(c.Params["file_id"], "s")
	f := s.files[id]
	switch {
	case id == "":
		return nil, bad("file_id not specified")
	case f == nil:
		return nil, bad("wrong file_id or the file is temporarily unavailable")
	case f.Size > maxDownload:
		return nil, bad("file is too big")
	}
	return map[string]any{"file_id": f.FileID, "file_unique_id": f.UniqueID, "file_size": f.Size, "file_path": f.path}, nil
}

// serveFile serves a download, which a call of getFile must have allowed.
func (s *Server) serveFile(w http.ResponseWriter, r *http.Request, rest, token string) {
	c := &Call{At: time.Now(), Method: "download", Params: map[string]string{}}
	given, name, _ := strings.Cut(rest, "/")
	c.Params["file_path"] = name
	if fault := s.nextFault(c); fault != nil {
		c.Fault = fault.String()
		if !s.pause(r.Context(), fault.Delay) {
			return
		}
		if fault.stops() {
			s.applyFault(w, c, fault)
			return
		}
	}
	if given != token {
		s.finish(w, c, nil, &refusal{code: http.StatusUnauthorized, text: "Unauthorized"})
		return
	}
	s.mu.Lock()
	var found *file
	for _, f := range s.files {
		if f.path == name && f.Size <= maxDownload {
			found = f
		}
	}
	if found != nil {
		c.Status, c.Performed = http.StatusOK, true
		s.note(c)
	}
	s.mu.Unlock()
	if found == nil {
		s.finish(w, c, nil, &refusal{code: http.StatusNotFound, text: "Not Found"})
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream") // of every file, as the real server does
	_, _ = w.Write(found.data)                                 // see finish
}

// File returns the content of the file with this id.
func (s *Server) File(id string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.files[strings.TrimSuffix(id, "s")]; f != nil {
		return f.data
	}
	return nil
}
