package telegram

import (
	"context"
	"errors"
	"html"
	"io"
	"strconv"
	"strings"
	"time"

	tele "gopkg.in/telebot.v3"

	"sohbet/server/apperr"
	"sohbet/server/media"
)

// maxDownload is the maximum file size that the public Bot API server gives to bots.
const maxDownload = 20 << 20

const (
	maxLoads  = 4                // concurrent downloads
	loadStall = 20 * time.Second // how long a download may make no progress
)

// moving resets a timer whenever data was read.
type moving struct {
	io.Reader
	watch *time.Timer
}

func (m moving) Read(p []byte) (int, error) {
	n, err := m.Reader.Read(p)
	if n > 0 {
		m.watch.Reset(loadStall)
	}
	return n, err
}

// incomingFile is a file in a Telegram message.
type incomingFile struct {
	id, name string
	kind     media.Kind
	video    bool
	size     int64
}

// fileOf returns the file of a message.
func fileOf(m *tele.Message) *incomingFile {
	of := func(f tele.File, name string, kind media.Kind) *incomingFile {
		return &incomingFile{id: f.FileID, name: name, kind: kind, size: f.FileSize}
	}
	video := func(f tele.File, name string) *incomingFile {
		return &incomingFile{id: f.FileID, name: name, kind: media.Any, video: true, size: f.FileSize}
	}
	switch {
	case m.Photo != nil:
		return of(m.Photo.File, "photo.jpg", media.Image)
	case m.Voice != nil:
		return of(m.Voice.File, "voice.ogg", media.Audio)
	case m.Audio != nil:
		return of(m.Audio.File, m.Audio.FileName, media.Audio)
	case m.Animation != nil:
		return video(m.Animation.File, m.Animation.FileName)
	case m.Video != nil:
		return video(m.Video.File, m.Video.FileName)
	case m.VideoNote != nil:
		return video(m.VideoNote.File, "video.mp4")
	case m.Document != nil:
		kind := media.Any
		switch {
		case strings.HasPrefix(m.Document.MIME, "image/") && m.Document.MIME != "image/svg+xml":
			kind = media.Image
		case strings.HasPrefix(m.Document.MIME, "audio/"):
			kind = media.Audio
		case strings.HasPrefix(m.Document.MIME, "video/"):
			return video(m.Document.File, m.Document.FileName)
		}
		return of(m.Document.File, m.Document.FileName, kind)
	}
	return nil
}

// fetch copies a file from Telegram to the file service. why is the message for the operator if the file is refused; an error may be
// temporary.
func (b *Bridge) fetch(ctx context.Context, f *incomingFile, lang string) (stored media.File, why string, err error) {
	tooLarge := localized(lang, "too_large", "max", strconv.Itoa(maxDownload>>20))
	if f.size > maxDownload {
		return media.File{}, tooLarge, nil
	}
	if b.files == nil {
		return media.File{}, localized(lang, "unsupported"), nil
	}
	select {
	case b.loads <- struct{}{}:
		defer func() { <-b.loads }()
	case <-ctx.Done():
		return media.File{}, "", ctx.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, uploadTimeout)
	defer cancel()
	watch := time.AfterFunc(loadStall, cancel)
	defer watch.Stop()
	r, err := b.api.download(ctx, f.id)
	var e *apiError
	if errors.As(err, &e) && strings.Contains(e.Description, "too big") {
		return media.File{}, tooLarge, nil
	} else if err != nil {
		return media.File{}, "", err
	}
	defer func() { _ = r.Close() }()
	content := io.LimitReader(moving{r, watch}, maxDownload+1)
	if f.video {
		stored, err = b.files.SaveVideo(ctx, f.name, content, maxDownload)
	} else {
		stored, err = b.files.Save(ctx, f.kind, f.name, content)
	}
	var no *apperr.Error
	if errors.As(err, &no) && no.Status < 500 {
		return media.File{}, localized(lang, "bad_file", "reason", html.EscapeString(reason(lang, no))), nil
	}
	return stored, "", err
}
