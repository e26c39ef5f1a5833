package media

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cloudinary/cloudinary-go/v2/api"
	"github.com/cloudinary/cloudinary-go/v2/api/uploader"
	"github.com/sony/gobreaker/v2"

	"sohbet/models"
	"sohbet/server/apperr"
)

// Ticket lets a browser upload one file directly to Cloudinary.
type Ticket struct {
	ID     string            // id for Confirm
	URL    string            // URL to which the form is posted
	Fields map[string]string // form fields other than the file
}

const (
	// Cloudinary accepts a signature for an hour from its timestamp. With a timestamp in the past it expires earlier.
	signatureLife = time.Hour
	ticketLife    = 5 * time.Minute

	pendingURL = placeCloud + ":" // prefix of the URL in the record of an unconfirmed file, followed by its id
	// Cloudinary stores pictures with this transformation, which limits their size and removes metadata.
	cloudPicture = "c_limit,h_4096,w_4096"
)

var (
	cloudFormats = map[Kind][]string{Image: {"gif", "jpg", "png", "webp"}, Audio: {"aac", "amr", "m4a", "mp3", "mp4", "oga", "ogg", "opus", "wav", "webm"}}
	cloudID      = regexp.MustCompile(`^(chat_images|chat_audio)/[a-z2-7]{26}$`)
)

// Direct reports whether files of a kind may be uploaded directly to Cloudinary now.
func (s *Service) Direct(kind Kind) bool {
	return s.cloud != nil && cloudFolders[kind] != "" && s.cloud.breaker.State() != gobreaker.StateOpen
}

// Sign returns a ticket. ok is false if files of that kind must be uploaded to this server. Files uploaded with a ticket and not
// confirmed within an hour are deleted.
func (s *Service) Sign(ctx context.Context, kind Kind) (t Ticket, ok bool, err error) {
	if !s.Direct(kind) {
		return Ticket{}, false, nil
	}
	folder := cloudFolders[kind]
	name := newName()
	now := s.now()
	t = Ticket{ID: folder + "/" + name}
	_, err = s.store.AddUpload(ctx, models.Upload{
		URL: pendingURL + t.ID, Kind: string(kind), Type: string(kind), Place: placeCloud, Path: t.ID, CreatedAt: now,
	})
	if err != nil {
		return Ticket{}, false, refusal(err)
	}
	fields := url.Values{
		"allowed_formats": {strings.Join(cloudFormats[kind], ",")},
		"folder":          {folder},
		"overwrite":       {"false"},
		"public_id":       {name},
		"timestamp":       {strconv.FormatInt(now.Add(ticketLife-signatureLife).Unix(), 10)},
	}
	if kind == Image {
		fields.Set("transformation", cloudPicture)
	}
	signature, err := api.SignParameters(maps.Clone(fields), s.cloud.Secret)
	if err != nil {
		return Ticket{}, false, refusal(err)
	}
	t.URL = s.cloud.Prefix + "/v1_1/" + s.cloud.Name + "/" + cloudTypes[kind].String() + "/upload"
	t.Fields = map[string]string{"api_key": s.cloud.Key, "signature": signature}
	for field := range fields {
		t.Fields[field] = fields.Get(field)
	}
	return t, true, nil
}

// Confirm checks a file uploaded with a ticket, and makes it available for messages. A file that is too large or of a wrong type is
// deleted.
func (s *Service) Confirm(ctx context.Context, id, name string) (File, error) {
	if s.cloud == nil || !cloudID.MatchString(id) {
		return File{}, ErrNotFound
	}
	pending, err := s.find(ctx, pendingURL+id)
	if err != nil {
		return File{}, err
	}
	kind := Kind(pending.Kind)
	var r *uploader.ExplicitResult
	err = s.cloud.call(func() (err error) {
		r, err = s.cloud.up.Explicit(ctx, uploader.ExplicitParams{PublicID: id, Type: api.Upload, ResourceType: cloudTypes[kind].String()})
		return err
	})
	if err == nil {
		err = refused(r.Error)
	}
	if err != nil {
		return File{}, &apperr.Error{Code: apperr.CodeUploadFailed, Status: http.StatusBadGateway,
			Message: "The file could not be found where it was sent. Please send it again.", Err: err}
	}
	switch {
	case int64(r.Bytes) > limits[kind]:
		err = tooLarge(limits[kind])
	case !slices.Contains(cloudFormats[kind], r.Format):
		err = wrongType(kind, "it is of the type "+r.Format, wrong("it is %q", r.Format))
	case kind == Audio && r.Width > 0:
		err = wrongType(kind, "it is a video", wrong("it is a video"))
	}
	if err != nil {
		s.Remove([]string{pending.URL})
		return File{}, err
	}
	u := pending
	u.Type = "image/" + strings.Replace(r.Format, "jpg", "jpeg", 1)
	if err := s.cloud.describe(&r.UploadResult, &u); err != nil {
		return File{}, refusal(err)
	}
	u.Name = cleanName(name, u.URL[strings.LastIndexByte(u.URL, '.'):])
	u, err = s.store.RenameUpload(ctx, u)
	if errors.Is(err, models.ErrNotFound) {
		return File{}, ErrNotFound
	}
	if err != nil {
		return File{}, refusal(err)
	}
	return fileOf(u), nil
}
