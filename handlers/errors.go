package handlers

import (
	"cmp"
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
	"sohbet/server/apperr"
	"sohbet/server/audit"
)

// httpCodes are the codes of responses (docs/protocol.md, "HTTP errors") that differ from an error's own code.
var httpCodes = map[string]string{
	apperr.CodeUnauthorized: "FORBIDDEN",
	apperr.CodeValidation:   "VALIDATION_FAILED",
	apperr.CodeRateLimit:    "RATE_LIMIT_EXCEEDED",
	apperr.CodeSaveFailed:   "INTERNAL_ERROR",
	apperr.CodeNotFound:     "NOT_FOUND",
	apperr.CodeBlocked:      "BLOCKED",
	apperr.CodeConflict:     "CONFLICT",
	apperr.CodeInternal:     "INTERNAL_ERROR",
}

var (
	errUnauthorized = &apperr.Error{Status: http.StatusUnauthorized, Code: apperr.CodeSignIn, Message: "Please sign in."}
	errForbidden    = apperr.Unauthorized("This is not allowed.")
	errNotFound     = &apperr.Error{Status: http.StatusNotFound, Code: apperr.CodeNotFound, Message: "Not found."}
	errMissing      = &apperr.Error{Status: http.StatusBadRequest, Code: apperr.CodeMissingThreadID, Message: "thread_id is missing."}
)

// tooMany refuses for a rate limit; the caller may come back after wait.
func tooMany(wait time.Duration) *apperr.Error {
	return &apperr.Error{Status: http.StatusTooManyRequests, Code: apperr.CodeRateLimit, Message: "Too many requests. Please wait a little.", RetryAfter: wait}
}

// CrossSite returns the error for a request that another site made a browser send.
func CrossSite(cause error) error {
	return &apperr.Error{Status: http.StatusForbidden, Code: apperr.CodeUnauthorized, Message: "This request came from another site.", Err: cause}
}

// answer is the JSON of an error (docs/protocol.md, "HTTP errors").
type answer struct {
	Success   bool              `json:"success"`
	Error     string            `json:"error"`
	Message   string            `json:"message,omitempty"`
	Code      string            `json:"code"`
	Status    int               `json:"status"`
	Timestamp string            `json:"timestamp"`
	Errors    map[string]string `json:"errors,omitempty"` // by field
}

// asError converts an error returned by a handler or by Echo.
func asError(err error) *apperr.Error {
	var own *apperr.Error
	if errors.As(err, &own) {
		return own
	}
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return &apperr.Error{Status: http.StatusRequestEntityTooLarge, Code: apperr.CodeValidation, Message: "The request is too large.", Err: err}
	}
	var he *echo.HTTPError
	if errors.As(err, &he) {
		e := &apperr.Error{Status: he.Code, Message: http.StatusText(he.Code), Err: he.Internal}
		switch {
		case he.Code == http.StatusUnauthorized:
			e.Code, e.Message = apperr.CodeSignIn, errUnauthorized.Message
		case he.Code == http.StatusForbidden:
			e.Code, e.Message = apperr.CodeUnauthorized, errForbidden.Message
		case he.Code == http.StatusNotFound:
			e.Code, e.Message = apperr.CodeNotFound, errNotFound.Message
		case he.Code == http.StatusMethodNotAllowed:
			e.Code, e.Message = apperr.CodeMethodNotAllowed, "This URL does not support that method."
		case he.Code == http.StatusTooManyRequests:
			e.Code = apperr.CodeRateLimit
		case he.Code >= 500:
			e.Code = apperr.CodeInternal
		default:
			e.Code = apperr.CodeValidation
		}
		return e
	}
	e := apperr.Internal(err)
	if errors.Is(err, context.Canceled) {
		e.Status = 499 // the client disconnected: no one reads the response, and it should not be logged as a server error
	}
	return e
}

// signInRefusal is the key in an Echo context that marks the errors of the sign-in routes: their clients also read the text from
// "message", and those routes write their own audit entries.
const signInRefusal = "sign-in refusal"

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
	body := answer{Error: e.Message, Code: cmp.Or(httpCodes[e.Code], e.Code), Status: e.Status, Timestamp: stamp(a.now())}
	body.Errors = e.Errors
	if c.Get(signInRefusal) != nil {
		body.Message = e.Message
	}
	text, err := json.Marshal(body)
	if err != nil { // cannot happen: the struct has only strings and numbers
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
func (a *API) auditRefusal(c echo.Context, e *apperr.Error) {
	event := audit.Event{Name: audit.Request, Detail: c.Path()}
	switch {
	case c.Get(signInRefusal) != nil:
		return
	case e.Code == apperr.CodeBlocked:
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
	a.record(c, event)
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
