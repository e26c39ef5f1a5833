// Package apperr has the type of all errors that clients see.
package apperr

import (
	"fmt"
	"net/http"
	"time"
)

// The codes of an [Error], as sent to sockets. In HTTP responses they have other names (docs/protocol.md, "HTTP errors").
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

// Codes of HTTP responses alone.
const (
	CodeSignIn           = "UNAUTHORIZED"
	CodeMethodNotAllowed = "METHOD_NOT_ALLOWED"
	CodeMissingThreadID  = "MISSING_THREAD_ID"
	CodeNotDelivered     = "CODE_NOT_DELIVERED"
	CodeNoFile           = "NO_FILE"
	CodeFileType         = "INVALID_FILE_TYPE"
	CodeTooLarge         = "FILE_TOO_LARGE"
	CodeUploadFailed     = "UPLOAD_FAILED"
	CodeNameTaken        = "NAME_TAKEN"
	CodeEmailTaken       = "EMAIL_TAKEN"
	CodeLastOwner        = "LAST_OWNER"
	CodeWrongPassword    = "WRONG_PASSWORD"
)

// Error is a refusal or failure. Message is shown to the user; Err, the cause, is only logged.
type Error struct {
	Code       string
	Field      string // the invalid input field, for CodeValidation
	Message    string
	Errors     map[string]string // what is wrong with several input fields; nil = none
	Status     int               // HTTP status
	RetryAfter time.Duration     // when to try again; 0 = not said
	Rev        int64             // revision of the thread that the refusal follows from; 0 = none
	Err        error
}

// Error returns code and cause. It contains nothing that may not be logged.
func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s: %v", e.Code, e.Err)
	}
	return e.Code
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Invalid returns the error for an invalid input field; "" for the input as a whole.
func Invalid(field, message string) *Error {
	return &Error{Code: CodeValidation, Field: field, Message: message, Status: http.StatusBadRequest}
}

// Unauthorized returns the error for a missing permission.
func Unauthorized(message string) *Error {
	return &Error{Code: CodeUnauthorized, Message: message, Status: http.StatusForbidden}
}

// Limited returns the error for exceeding a rate limit.
func Limited(wait time.Duration) *Error {
	return &Error{Code: CodeRateLimit, Message: "That was a lot at once. Please wait a moment and try again.",
		Status: http.StatusTooManyRequests, RetryAfter: wait}
}

// Internal returns the error for a failure that the user can do nothing about.
func Internal(cause error) *Error {
	return &Error{Code: CodeInternal, Message: "Something went wrong here. Please try again.", Status: http.StatusInternalServerError, Err: cause}
}
