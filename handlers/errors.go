package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"sohbet/assets"
	"sohbet/server/audit"
	"sohbet/server/chat"
	"sohbet/server/media"
)

// The codes of docs/protocol.md, "HTTP errors"; package media has those of uploads.
const (
	CodeUnauthorized     = "UNAUTHORIZED"
	CodeForbidden        = "FORBIDDEN"
	CodeNotFound         = "NOT_FOUND"
	CodeMethodNotAllowed = "METHOD_NOT_ALLOWED"
	CodeMissingThreadID  = "MISSING_THREAD_ID"
	CodeValidation       = "VALIDATION_FAILED"
	CodeRateLimit        = "RATE_LIMIT_EXCEEDED"
	CodeBlocked          = "BLOCKED"
	CodeConflict         = "CONFLICT"
	CodeNotDelivered     = "CODE_NOT_DELIVERED"
	CodeInternal         = "INTERNAL_ERROR"
)

// Error is returned by handlers when a request fails. Text is shown to the user; Err, the cause, is only logged.
type Error struct {
	Status     int
	Code, Text string
	RetryAfter time.Duration // for 429 and 503; 0 = no Retry-After header
	Err        error
	// Message adds the text to the response as "message" too, which clients of the sign-in routes expect.
	Message bool
}

// Error returns code and cause. It contains nothing that may not be logged.
func (e *Error) Error() string {
	if e.Err != nil {
		return e.Code + ": " + e.Err.Error()
	}
	return e.Code
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

var (
	errUnauthorized = &Error{Status: http.StatusUnauthorized, Code: CodeUnauthorized, Text: "Please sign in."}
	errForbidden    = &Error{Status: http.StatusForbidden, Code: CodeForbidden, Text: "This is not allowed."}
	errNotFound     = &Error{Status: http.StatusNotFound, Code: CodeNotFound, Text: "Not found."}
	errMissing      = &Error{Status: http.StatusBadRequest, Code: CodeMissingThreadID, Text: "thread_id is missing."}
)

func invalid(text string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: CodeValidation, Text: text}
}

// tooMany refuses for a rate limit; the caller may come back after wait.
func tooMany(wait time.Duration) *Error {
	return &Error{Status: http.StatusTooManyRequests, Code: CodeRateLimit, Text: "Too many requests. Please wait a little.", RetryAfter: wait}
}

// Unreadable returns the error for a URL whose query is not valid text.
func Unreadable() error {
	return invalid("The URL is not valid UTF-8 text without NUL.")
}

// CrossSite returns the error for a request that another site made a browser send.
func CrossSite(cause error) error {
	return &Error{Status: http.StatusForbidden, Code: CodeForbidden, Text: "This request came from another site.", Err: cause}
}

// answer is the JSON of an error (docs/protocol.md, "HTTP errors").
type answer struct {
	Success   bool   `json:"success"`
	Error     string `json:"error"`
	Message   string `json:"message,omitempty"`
	Code      string `json:"code"`
	Status    int    `json:"status"`
	Timestamp string `json:"timestamp"`
}

// StatusOf returns the HTTP status with which an error will be answered.
func StatusOf(err error) int { return asError(err).Status }

// asError converts an error returned by a handler or by Echo to an *Error.
func asError(err error) *Error {
	var own *Error
	if errors.As(err, &own) {
		return own
	}
	var refused *chat.Error
	if errors.As(err, &refused) {
		return fromChat(refused)
	}
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return &Error{Status: http.StatusRequestEntityTooLarge, Code: CodeValidation, Text: "The request is too large.", Err: err}
	}
	var he *echo.HTTPError
	if errors.As(err, &he) {
		e := &Error{Status: he.Code, Text: http.StatusText(he.Code), Err: he.Internal}
		switch {
		case he.Code == http.StatusUnauthorized:
			e.Code, e.Text = CodeUnauthorized, errUnauthorized.Text
		case he.Code == http.StatusForbidden:
			e.Code, e.Text = CodeForbidden, errForbidden.Text
		case he.Code == http.StatusNotFound:
			e.Code, e.Text = CodeNotFound, errNotFound.Text
		case he.Code == http.StatusMethodNotAllowed:
			e.Code, e.Text = CodeMethodNotAllowed, "This URL does not support that method."
		case he.Code == http.StatusTooManyRequests:
			e.Code = CodeRateLimit
		case he.Code >= 500:
			e.Code = CodeInternal
		default:
			e.Code = CodeValidation
		}
		return e
	}
	e := &Error{Status: http.StatusInternalServerError, Code: CodeInternal, Text: "Something went wrong here. Please try again.", Err: err}
	if errors.Is(err, context.Canceled) {
		e.Status = 499 // the client disconnected: no one reads the response, and it should not be logged as a server error
	}
	return e
}

// fromChat maps the error codes of package chat to those of HTTP responses.
func fromChat(e *chat.Error) *Error {
	code := map[string]string{
		chat.CodeUnauthorized: CodeForbidden, chat.CodeValidation: CodeValidation,
		chat.CodeRateLimit: CodeRateLimit, chat.CodeNotFound: CodeNotFound, chat.CodeBlocked: CodeBlocked, chat.CodeConflict: CodeConflict,
		media.CodeNoFile: media.CodeNoFile, media.CodeFileType: media.CodeFileType,
		media.CodeTooLarge: media.CodeTooLarge, media.CodeUploadFailed: media.CodeUploadFailed,
	}[e.Code]
	if code == "" {
		code = CodeInternal
	}
	out := &Error{Status: e.Status, Code: code, Text: e.Message, RetryAfter: e.RetryAfter, Err: e.Err}
	if out.Status == 0 {
		out.Status = http.StatusInternalServerError
	}
	return out
}

// RenderError is Echo's error handler and the only place that renders errors: as a page for browser navigations, otherwise as JSON.
// Server failures are logged with their cause, expected refusals at debug level.
func (a *API) RenderError(err error, c echo.Context) {
	e := asError(err)
	r, w := c.Request(), c.Response()
	if e.Status >= 500 && e.Status != http.StatusInsufficientStorage { // /health reports a full disk, so it is not logged for every request
		a.log.LogAttrs(r.Context(), slog.LevelError, "request failed", slog.String("route", c.Path()), slog.Any("error", err))
	} else {
		a.log.LogAttrs(r.Context(), slog.LevelDebug, "request refused", slog.String("route", c.Path()), slog.String("code", e.Code), slog.Any("cause", e.Err))
	}
	a.auditRefusal(c, e)
	if w.Committed {
		return
	}
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	if e.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(e.RetryAfter.Seconds()))))
	}
	if wantsPage(r) {
		name := "error"
		if e.Status == http.StatusNotFound {
			name = "notfound"
		}
		if err := a.page(c, e.Status, name, assets.ErrorData{Status: e.Status, RequestID: RequestID(c)}); err == nil {
			return
		}
	}
	body := answer{Error: e.Text, Code: e.Code, Status: e.Status, Timestamp: stamp(a.now())}
	if e.Message {
		body.Message = e.Text
	}
	text, err := json.Marshal(body)
	if err != nil { // cannot happen: the struct has only strings and a number
		text = []byte(`{"success":false}`)
	}
	h.Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(e.Status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(append(text, '\n')) // fails only if the client disconnected
	}
}

// auditRefusal writes requests that were refused for missing permission or a rate limit, and rejected files, to the audit log. The
// sign-in routes write their own entries.
func (a *API) auditRefusal(c echo.Context, e *Error) {
	event := audit.Event{Name: audit.Request, Address: a.Address(c.Request()), Detail: c.Path(), Request: RequestID(c)}
	switch {
	case e.Message:
		return
	case e.Code == CodeBlocked:
		event.Outcome = audit.Blocked
	case e.Status == http.StatusUnauthorized, e.Status == http.StatusForbidden:
		event.Outcome = audit.Refused
	case e.Status == http.StatusTooManyRequests:
		event.Outcome = audit.Limited
	case e.Status >= 400 && e.Status < 500 && strings.HasPrefix(c.Path(), "/api/upload/"):
		event.Name, event.Outcome = audit.Upload, audit.Refused
	default:
		return
	}
	a.Audit.Write(c.Request().Context(), event)
}

// wantsPage reports whether a request is a browser navigation, which is answered with a page.
func wantsPage(r *http.Request) bool {
	if (r.Method != http.MethodGet && r.Method != http.MethodHead) || strings.HasPrefix(r.URL.Path, "/api/") {
		return false
	}
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" {
		return mode == "navigate"
	}
	return r.Header.Get("X-Requested-With") == "" && strings.Contains(r.Header.Get("Accept"), "text/html")
}

// stamp formats a time for the wire: RFC 3339, UTC, milliseconds.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
