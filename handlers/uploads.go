package handlers

import (
	"context"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"sohbet/server/apperr"
	"sohbet/server/media"
)

const (
	fileField = "file"
	maxParts  = 10       // fields of a form; older clients send one
	formBytes = 64 << 10 // maximum size of a form without its file: boundaries, headers, other fields

	// uploadPolicy prevents a directly opened file from running or loading anything. Styles are allowed for the browsers' built-in
	// viewers.
	uploadPolicy = "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox"
)

// uploaded is the answer to an upload (docs/protocol.md, "Uploads"); older clients read data.url or url.
type uploaded struct {
	Success  bool        `json:"success"`
	URL      string      `json:"url"`
	FileURL  string      `json:"file_url"`
	FilePath string      `json:"file_path"`
	Data     uploadedURL `json:"data"`
	Kind     media.Kind  `json:"content_type"`
	Type     string      `json:"type"`
	Name     string      `json:"name"`
	Size     int64       `json:"size"`
	Thumb    string      `json:"thumb_url,omitempty"`
	Width    int         `json:"width,omitempty"`
	Height   int         `json:"height,omitempty"`
}

type uploadedURL struct {
	URL string `json:"url"`
}

func (a *API) uploadedFile(f media.File) uploaded {
	if strings.HasPrefix(f.URL, "/") { // a file on this server, not at Cloudinary
		f.URL = a.Base + f.URL
	}
	if strings.HasPrefix(f.Thumb, "/") {
		f.Thumb = a.Base + f.Thumb
	}
	return uploaded{Success: true, URL: f.URL, FileURL: f.URL, FilePath: f.URL, Data: uploadedURL{f.URL}, Kind: f.Kind, Type: f.Type,
		Name: f.Name, Size: f.Size, Thumb: f.Thumb, Width: f.Width, Height: f.Height}
}

// Upload accepts a file of a kind from the form field "file". The form is streamed, not held in memory.
func (a *API) Upload(kind media.Kind) echo.HandlerFunc {
	return func(c echo.Context) error {
		save := func(ctx context.Context, name string, r io.Reader) (media.File, error) {
			return a.Media.Save(ctx, kind, name, r)
		}
		file, err := receive(c, kind, save, func(f media.File) { a.Media.Remove([]string{f.URL}) })
		if err != nil {
			return err
		}
		return c.JSON(http.StatusOK, a.uploadedFile(file))
	}
}

// ticket is the response to POST /api/upload/sign. Without Direct the file is to be uploaded to this server.
type ticket struct {
	Success bool              `json:"success"`
	Direct  bool              `json:"direct"`
	ID      string            `json:"id,omitempty"`
	URL     string            `json:"upload_url,omitempty"`
	Fields  map[string]string `json:"fields,omitempty"`
}

// SignUpload allows a browser to upload a file directly to Cloudinary: a form with these fields, and the file in "file", is posted to
// upload_url.
func (a *API) SignUpload(c echo.Context) error {
	var in struct {
		Kind media.Kind `json:"kind" form:"kind"`
	}
	if err := a.admitSender(c); err != nil {
		return err
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	if media.Limit(in.Kind) == 0 {
		return apperr.Invalid("", "kind must be image, audio or file.")
	}
	if !a.Media.Direct(in.Kind) { // does not count as an upload: the file is uploaded here
		return c.JSON(http.StatusOK, ticket{Success: true})
	}
	if err := a.admitUpload(c); err != nil {
		return err
	}
	t, ok, err := a.Media.Sign(c.Request().Context(), in.Kind)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, ticket{Success: true, Direct: ok, ID: t.ID, URL: t.URL, Fields: t.Fields})
}

// ConfirmUpload responds like Upload, for a file that was uploaded directly to Cloudinary.
func (a *API) ConfirmUpload(c echo.Context) error {
	var in struct {
		ID   string `json:"id" form:"id"`
		Name string `json:"name" form:"name"`
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	if in.ID == "" {
		return apperr.Invalid("", "id is missing: it is the one that /api/upload/sign gave.")
	}
	file, err := a.Media.Confirm(c.Request().Context(), in.ID, in.Name)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, a.uploadedFile(file))
}

// receive returns what save made of the file in the form field "file", and undoes it if another file follows.
func receive[T any](c echo.Context, kind media.Kind, save func(ctx context.Context, name string, r io.Reader) (T, error), undo func(T)) (saved T, err error) {
	r := c.Request()
	body := &counted{Reader: r.Body, left: formBytes}
	r.Body = io.NopCloser(body)
	form, err := r.MultipartReader()
	if err != nil {
		return saved, noFile(err)
	}
	found := false
	for n := 0; ; n++ {
		part, err := form.NextPart()
		switch {
		case errors.Is(err, io.EOF) && !found:
			return saved, noFile(nil)
		case errors.Is(err, io.EOF):
			return saved, nil
		case err == nil && n >= maxParts:
			err = apperr.Invalid("", "The form has too many fields; send one, named file.")
		case err == nil && !found && part.FormName() == fileField:
			body.left += media.Limit(kind) + 1
			saved, err = save(r.Context(), part.FileName(), cutOff{part})
			found = err == nil
			body.left = formBytes
		}
		if err != nil {
			if found { // another file followed
				undo(saved)
			}
			if body.left <= 0 {
				err = errFormTooLarge
			}
			var none T
			return none, arrival(err)
		}
	}
}

var errFormTooLarge = apperr.Invalid("", "The form is too large; send one file, in a field named file.")

func noFile(cause error) *apperr.Error {
	return &apperr.Error{Status: http.StatusBadRequest, Code: apperr.CodeNoFile, Message: "Send one file as multipart/form-data, in a field named file.", Err: cause}
}

// arrival converts an error of the form reader.
func arrival(err error) error {
	var own *apperr.Error
	var known *apperr.Error
	if errors.As(err, &own) || errors.As(err, &known) {
		return err
	}
	return &apperr.Error{Status: http.StatusBadRequest, Code: apperr.CodeUploadFailed, Message: "The file did not arrive whole. Please send it again.", Err: err}
}

// cutOff marks read errors of an upload as the sender's, to distinguish them from errors of this server's disk.
type cutOff struct{ part *multipart.Part }

func (r cutOff) Read(b []byte) (int, error) {
	n, err := r.part.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		err = arrival(err)
	}
	return n, err
}

// counted fails when the form has too many bytes around its file.
type counted struct {
	io.Reader
	left int64
}

func (r *counted) Read(b []byte) (int, error) {
	if r.left <= 0 {
		return 0, errFormTooLarge
	}
	n, err := r.Reader.Read(b[:min(int64(len(b)), r.left)])
	r.left -= int64(n)
	return n, err
}

// Uploaded serves GET /uploads/:folder/:name.
func (a *API) Uploaded(c echo.Context) error {
	r, h := c.Request(), c.Response().Header()
	url := "/uploads/" + c.Param("folder") + "/" + c.Param("name")
	body, file, err := a.Media.Open(r.Context(), url)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	content, ok := body.(io.ReadSeeker)
	if !ok {
		return errNotFound
	}
	// Allow enough time for slow mobile networks.
	_ = http.NewResponseController(c.Response()).SetWriteDeadline(time.Now().Add(uploadTimeout(file.Size)))
	h.Set("Content-Type", file.Type)
	h.Set("Content-Disposition", disposition(file))
	h.Set("Content-Security-Policy", uploadPolicy)
	h.Set("Cross-Origin-Resource-Policy", "cross-origin") // sites that embed the chat show its images
	h.Set("Cache-Control", "private, max-age=31536000, immutable")
	h.Set("ETag", `"`+c.Param("name")+`"`) // names are random, and a file never changes
	http.ServeContent(c.Response(), r, "", time.Time{}, content)
	return nil
}

// disposition returns a Content-Disposition with the sender's file name (RFC 6266). Only images and audio are shown inline.
func disposition(f media.File) string {
	how := "attachment"
	if f.Kind == media.Image || f.Kind == media.Audio {
		how = "inline"
	}
	if f.Name == "" { // a thumbnail
		return how
	}
	// FormatMediaType writes filename*=utf-8''… (RFC 5987) for non-ASCII names.
	return mime.FormatMediaType(how, map[string]string{"filename": f.Name})
}
