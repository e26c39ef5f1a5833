package chat

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"sohbet/models"
	"sohbet/server/apperr"
)

// ErrThreadNotFound means that a thread is not stored, or no longer.
var ErrThreadNotFound = &apperr.Error{Code: apperr.CodeNotFound, Message: "This conversation does not exist any more.", Status: http.StatusNotFound}

// Public converts any error to the form that is sent to clients.
func Public(err error) *apperr.Error {
	var own *apperr.Error
	var bad *models.InvalidError
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &bad):
		return apperr.Invalid(bad.Field, fmt.Sprintf("%s: %s.", bad.Field, bad.Reason))
	case errors.Is(err, models.ErrNotFound):
		return ErrThreadNotFound
	case errors.Is(err, context.Canceled):
		return &apperr.Error{Code: apperr.CodeInternal, Message: "The request was cancelled.", Status: http.StatusServiceUnavailable, Err: err}
	}
	return apperr.Internal(err)
}

// saveFailed is like Public for a message that could not be stored: the client may retry with the same client_id.
func saveFailed(err error) *apperr.Error {
	e := Public(err)
	if e.Code != apperr.CodeInternal {
		return e
	}
	return &apperr.Error{Code: apperr.CodeSaveFailed, Message: "The message could not be saved. Please try again.",
		Status: http.StatusServiceUnavailable, Err: err}
}
