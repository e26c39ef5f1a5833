package media

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"syscall"

	"github.com/gabriel-vasile/mimetype"

	"sohbet/server/apperr"
)

var (
	errEmpty = &apperr.Error{Code: apperr.CodeNoFile, Field: "file", Status: http.StatusBadRequest, Message: "The file is empty. Choose another one."}
	errFull  = &apperr.Error{Code: apperr.CodeUploadFailed, Status: http.StatusInsufficientStorage,
		Message: "There is no room for files at the moment. Please send a text, or try again later."}
	errBusy = &apperr.Error{Code: apperr.CodeUploadFailed, Status: http.StatusServiceUnavailable,
		Message: "Too many files are being checked at the moment. Please send it again in a minute."}
)

// wrongType refuses a file because of its type; why is logged.
func wrongType(kind Kind, found string, why error) *apperr.Error {
	return &apperr.Error{Code: apperr.CodeFileType, Field: "file", Status: http.StatusUnsupportedMediaType,
		Message: "This file cannot be sent: " + found + ". " + wanted[kind], Err: why}
}

func isWrongType(err error) bool {
	var known *apperr.Error
	return errors.As(err, &known) && known.Code == apperr.CodeFileType
}

// typeNames are descriptions of some media types. Others are shown as media types.
var typeNames = map[string]string{
	"application/pdf": "a PDF", "application/zip": "a ZIP archive", "application/x-ole-storage": "a Microsoft document",
	"application/vnd.microsoft.portable-executable": "a program", "application/x-elf": "a program", "application/x-mach-binary": "a program",
	"image/jpeg": "a JPEG picture", "image/png": "a PNG picture", "image/gif": "a GIF picture", "image/webp": "a WebP picture",
	"image/svg+xml": "an SVG drawing", "text/html": "an HTML page", "text/plain": "a text",
	"video/mp4": "an MP4 file", "video/quicktime": "a QuickTime video", "video/webm": "a WebM file", octets: "a file of an unknown type",
}

// describe describes the type of a file detected from its first bytes.
func describe(detected *mimetype.MIME) string {
	if isScript(detected) {
		return "a script"
	}
	if name := typeNames[baseType(detected)]; name != "" {
		return name
	}
	return "a file of the type " + baseType(detected)
}

func wrong(format string, args ...any) error { return fmt.Errorf(format, args...) }

func tooLarge(limit int64) *apperr.Error {
	return &apperr.Error{Code: apperr.CodeTooLarge, Field: "file", Status: http.StatusRequestEntityTooLarge,
		Message: fmt.Sprintf("The file is too large: it may have %d MB at most.", limit>>20)}
}

func tooManyPixels(why error) *apperr.Error {
	return &apperr.Error{Code: apperr.CodeTooLarge, Field: "file", Status: http.StatusRequestEntityTooLarge,
		Message: "The picture has too many pixels. Please make it smaller and send it again.", Err: why}
}

// refusal converts an error to the form that is returned to callers.
func refusal(err error) error {
	var known *apperr.Error
	switch {
	case errors.As(err, &known):
		return known
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		full := *errFull
		full.Err = err
		return &full
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, context.DeadlineExceeded):
		busy := *errBusy
		busy.Err = err
		return &busy
	}
	return &apperr.Error{Code: apperr.CodeUploadFailed, Status: http.StatusInternalServerError,
		Message: "The file could not be stored. Please try again.", Err: err}
}

// judged converts the error of a check to a refusal of the file, unless the disk or the client failed.
func judged(kind Kind, detected *mimetype.MIME, err error) error {
	var known *apperr.Error
	var disk *fs.PathError
	var system syscall.Errno
	switch {
	case errors.As(err, &known), errors.As(err, &disk), errors.As(err, &system), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	}
	return wrongType(kind, "it begins like "+describe(detected)+", but is damaged or holds something else", err)
}
