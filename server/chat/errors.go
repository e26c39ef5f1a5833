package chat

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"sohbet/models"
)

// The codes of an [Error], as sent to sockets.
const (
	CodeUnauthorized = "unauthorized"
	CodeValidation   = "validation_error"
	CodeRateLimit    = "rate_limit_exceeded"
	CodeSaveFailed   = "db_save_failed"
	CodeNotFound     = "not_found"
	CodeBlocked      = "blocked"
	CodeConflict     = "conflict"
	CodeInternal     = "internal_error"
)

// Error is a refusal or failure. Message is shown to the user; Err, the cause, is only logged.
type Error struct {
	Code       string
	Field      string // the invalid input field, for validation_error
	Message    string
	Status     int           // HTTP status
	RetryAfter time.Duration // for rate_limit_exceeded
	Err        error
}

func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s: %v", e.Code, e.Err)
	}
	return e.Code
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

func unauthorized(message string) *Error {
	return &Error{Code: CodeUnauthorized, Message: message, Status: http.StatusForbidden}
}

func invalid(field, message string) *Error {
	return &Error{Code: CodeValidation, Field: field, Message: message, Status: http.StatusBadRequest}
}

// Limited returns the error for exceeding a rate limit.
func Limited(wait time.Duration) *Error {
	return &Error{Code: CodeRateLimit, Message: "That was a lot at once. Please wait a moment and try again.",
		Status: http.StatusTooManyRequests, RetryAfter: wait}
}

// ErrThreadNotFound means that a thread is not stored, or no longer.
var ErrThreadNotFound = &Error{Code: CodeNotFound, Message: "This conversation does not exist any more.", Status: http.StatusNotFound}

// Public converts any error to the form that is sent to clients.
func Public(err error) *Error {
	var own *Error
	var bad *models.InvalidError
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &bad):
		return invalid(bad.Field, fmt.Sprintf("%s: %s.", bad.Field, bad.Reason))
	case errors.Is(err, models.ErrNotFound):
		return ErrThreadNotFound
	case errors.Is(err, context.Canceled):
		return &Error{Code: CodeInternal, Message: "The request was cancelled.", Status: http.StatusServiceUnavailable, Err: err}
	}
	return &Error{Code: CodeInternal, Message: "Something went wrong here. Please try again.", Status: http.StatusInternalServerError, Err: err}
}

// saveFailed is like Public for a message that could not be stored: the client may retry with the same client_id.
func saveFailed(err error) *Error {
	e := Public(err)
	if e.Code != CodeInternal {
		return e
	}
	return &Error{Code: CodeSaveFailed, Message: "The message could not be saved. Please try again.",
		Status: http.StatusServiceUnavailable, Err: err}
}
