// Package media is the file service: it accepts, checks, sanitizes and stores the pictures, voice messages and files of conversations.
//
// Uploads are first written to disk, up to a size limit, then checked by their content, and only then get a name and a final path.
// Pictures are decoded and re-encoded; no file is served with a type that a browser would execute.
package media

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sony/gobreaker/v2"

	"sohbet/models"
	"sohbet/server/apperr"
	"sohbet/server/chat"
)

// Kind is the kind of a file, which is also the content type of messages with it.
type Kind string

// The kinds.
const (
	Image Kind = "image"
	Audio Kind = "audio"
	Any   Kind = "file"
)

// File describes a stored file.
type File struct {
	URL           string // URL for browsers
	Thumb         string // URL of a thumbnail; "" = none
	Kind          Kind
	Type          string // media type, according to the content
	Name          string // name given by the sender: for display, never used as a path
	Size          int64  // bytes
	Width, Height int    // pixels of an image, 0 for others
}

// Store is the part of models.Store that the service uses.
type Store interface {
	AddUpload(context.Context, models.Upload) (models.Upload, error)
	Uploads(ctx context.Context, urls []string) ([]models.Upload, error)
	ClaimUpload(ctx context.Context, url, threadID string, shared bool, at time.Time) (models.Upload, error)
	CondemnUploads(ctx context.Context, urls []string, at time.Time) ([]models.Upload, error)
	CondemnUnnamed(ctx context.Context, since, at time.Time) ([]models.Upload, bool, error)
	Condemned(ctx context.Context, limit int) ([]models.Upload, error)
	PostponeUpload(ctx context.Context, id int64, at time.Time) error
	DropUploads(ctx context.Context, ids []int64) error
	RenameUpload(context.Context, models.Upload) (models.Upload, error)
	RecordedUploads(ctx context.Context, urls []string) ([]string, error)
}

// Options configure a [Service].
type Options struct {
	Dir   string                 // folder of the files; created if missing
	Limit int64                  // maximum total size of the files in bytes
	Free  func() (uint64, error) // free bytes on the disk that files may use
	// Memory is the memory budget for decoding all pictures in bytes; 0 = DefaultMemory. A picture that may need more is refused.
	Memory int64
	Store  Store
	Cloud  Cloud // without a Name all files are stored in Dir
	// Observe, if set, wraps the transport to Cloudinary, for metrics.
	Observe func(http.RoundTripper) http.RoundTripper
	Log     *slog.Logger
	Now     func() time.Time
}

// Service is the file service. It is safe for concurrent use.
type Service struct {
	store Store
	local *local
	cloud *cloud // nil = not configured
	log   *slog.Logger
	now   func() time.Time

	memory *budget
	wake   chan struct{} // signals that files are to be deleted
}

// New opens the folder and returns the service.
func New(o Options) (*Service, error) {
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("uploads: %w", err)
	}
	local, err := openLocal(o.Dir, o.Limit, o.Free)
	if err != nil {
		return nil, err
	}
	s := &Service{
		store: o.Store, local: local, log: o.Log, now: o.Now,
		memory: newBudget(o.Memory), wake: make(chan struct{}, 1),
	}
	if o.Cloud.Name != "" {
		if s.cloud, err = newCloud(o); err != nil {
			return nil, errors.Join(err, local.root.Close())
		}
	}
	return s, nil
}

// Close closes the folder. Nothing may be saved or read afterwards.
func (s *Service) Close() error { return s.local.root.Close() }

// Save stores a file uploaded as a kind; its content decides which kind it becomes. If the file is refused the error is a *apperr.Error,
// and nothing is stored.
func (s *Service) Save(ctx context.Context, kind Kind, name string, r io.Reader) (File, error) {
	limit, known := limits[kind]
	if !known {
		return File{}, fmt.Errorf("media: unknown kind %q", kind)
	}
	raw, err := s.local.receive(r, limit)
	if err != nil {
		return File{}, refusal(err)
	}
	defer raw.discard()
	if raw.size == 0 {
		return File{}, errEmpty
	}
	found, err := s.inspect(ctx, kind, raw)
	if err != nil {
		return File{}, refusal(err)
	}
	defer found.discard()
	f, err := s.storeFile(ctx, cleanName(name, found.ext), found)
	if err != nil {
		return File{}, refusal(err)
	}
	return f, nil
}

// inspected is a checked file that has no final path yet.
type inspected struct {
	kind          Kind
	body          *part
	thumb         *part // nil = none
	mime, ext     string
	thumbExt      string
	width, height int
}

func (e *inspected) discard() {
	e.body.discard()
	if e.thumb != nil {
		e.thumb.discard()
	}
}

// storeFile gives a checked file its name, path and record.
func (s *Service) storeFile(ctx context.Context, name string, e *inspected) (File, error) {
	id := newName()
	u := models.Upload{Kind: string(e.kind), Type: e.mime, Name: name, Size: e.body.size, Width: e.width, Height: e.height, CreatedAt: s.now()}
	// After the upload is complete, a client that disconnects must not leave a file without a record.
	ctx = context.WithoutCancel(ctx)
	if !s.storeRemote(ctx, &u, id, e) {
		if err := s.storeLocal(&u, id, e); err != nil {
			return File{}, err
		}
	}
	if _, err := s.store.AddUpload(ctx, u); err != nil {
		return File{}, errors.Join(err, s.removeStored(ctx, u))
	}
	return fileOf(u), nil
}

// storeRemote uploads a file to Cloudinary and reports success. Otherwise it is stored on this machine.
func (s *Service) storeRemote(ctx context.Context, u *models.Upload, id string, e *inspected) bool {
	if s.cloud == nil || cloudFolders[Kind(u.Kind)] == "" {
		return false
	}
	sent := *u
	err := s.cloud.upload(ctx, e, id, &sent)
	switch {
	case errors.Is(err, gobreaker.ErrOpenState), errors.Is(err, gobreaker.ErrTooManyRequests): // logged when the breaker opened
		return false
	case err != nil:
		s.log.Warn("failed to upload a file to Cloudinary; it is kept on this machine", slog.Any("error", err))
		return false
	}
	*u = sent
	return true
}

// storeLocal moves a file and its thumbnail to their paths on this machine.
func (s *Service) storeLocal(u *models.Upload, id string, e *inspected) error {
	u.Place, u.Path = placeLocal, folders[Kind(u.Kind)]+"/"+id+e.ext
	u.URL = urlPrefix + u.Path
	if err := e.body.settle(u.Path); err != nil {
		return err
	}
	if e.thumb == nil {
		return nil
	}
	path := thumbFolder + "/" + id + e.thumbExt
	if err := e.thumb.settle(path); err != nil {
		return errors.Join(err, s.local.remove(u.Path))
	}
	u.ThumbURL = urlPrefix + path
	return nil
}

func fileOf(u models.Upload) File {
	return File{URL: u.URL, Thumb: u.ThumbURL, Kind: Kind(u.Kind), Type: u.Type, Name: u.Name, Size: u.Size, Width: u.Width, Height: u.Height}
}

// ErrNotFound means that a file is not stored, or no longer.
var ErrNotFound = &apperr.Error{Code: apperr.CodeNotFound, Message: "This file does not exist any more.", Status: 404}

func (s *Service) find(ctx context.Context, url string) (models.Upload, error) {
	list, err := s.store.Uploads(ctx, []string{url})
	if err != nil {
		return models.Upload{}, err
	}
	if len(list) == 0 {
		return models.Upload{}, ErrNotFound
	}
	return list[0], nil
}

// Open opens a stored file, or a thumbnail; the caller closes it. The reader of a local file also implements io.ReadSeeker.
func (s *Service) Open(ctx context.Context, url string) (io.ReadCloser, File, error) {
	if path, _ := localPath(url); strings.HasPrefix(path, thumbFolder+"/") {
		return s.openThumb(path)
	}
	u, err := s.find(ctx, url)
	if err != nil {
		return nil, File{}, err
	}
	if u.Place == placeCloud {
		return s.openRemote(ctx, u)
	}
	f, err := s.local.open(u.Path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, File{}, ErrNotFound
	}
	if err != nil {
		return nil, File{}, fmt.Errorf("open an upload: %w", err)
	}
	return f, fileOf(u), nil
}

func (s *Service) openRemote(ctx context.Context, u models.Upload) (io.ReadCloser, File, error) {
	if s.cloud == nil { // Cloudinary is no longer configured
		return nil, File{}, ErrNotFound
	}
	r, err := s.cloud.fetch(ctx, u)
	return r, fileOf(u), err
}

// openThumb opens a thumbnail. It has no record of its own, only its picture has.
func (s *Service) openThumb(path string) (io.ReadCloser, File, error) {
	f, err := s.local.open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, File{}, ErrNotFound
	}
	if err != nil {
		return nil, File{}, fmt.Errorf("open a thumbnail: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, File{}, errors.Join(fmt.Errorf("open a thumbnail: %w", err), f.Close())
	}
	kind := "image/jpeg"
	if filepath.Ext(path) == ".png" {
		kind = "image/png"
	}
	return f, File{URL: urlPrefix + path, Kind: Image, Type: kind, Size: info.Size()}, nil
}

// Claim records that a message of a thread is about to refer to a file. It returns ErrNotFound if it is not stored or, unless shared,
// another thread's message referred to it first.
func (s *Service) Claim(ctx context.Context, url, threadID string, shared bool) (chat.Attachment, error) {
	u, err := s.store.ClaimUpload(ctx, url, threadID, shared, s.now())
	if errors.Is(err, models.ErrNotFound) {
		return chat.Attachment{}, ErrNotFound
	}
	return attachment(u), err
}

func attachment(u models.Upload) chat.Attachment {
	return chat.Attachment{Kind: u.Kind, Name: u.Name, Type: u.Type, Size: u.Size, Thumb: u.ThumbURL, Width: u.Width, Height: u.Height}
}

// Describe returns the metadata of files by URL. Files at Cloudinary from before files were recorded have empty metadata.
func (s *Service) Describe(ctx context.Context, urls []string) (map[string]chat.Attachment, error) {
	list, err := s.store.Uploads(ctx, urls)
	if err != nil {
		return nil, err
	}
	known := make(map[string]chat.Attachment, len(list))
	if s.cloud != nil {
		for _, url := range urls {
			if s.cloud.uploaded(url) {
				known[url] = chat.Attachment{}
			}
		}
	}
	for _, u := range list {
		known[u.URL] = attachment(u)
	}
	return known, nil
}

var _ chat.Files = (*Service)(nil)
