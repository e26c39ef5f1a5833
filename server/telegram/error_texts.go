package telegram

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"sohbet/assets/locales"
)

// Problem is an error of the connection to Telegram.
type Problem struct {
	Reason string // one of the constants below, which pages translate; "" = no problem
	Text   string // description in plain language
	Cure   string // how to fix it

	value string
}

// The reasons.
const (
	ReasonToken       = "telegram_token"
	ReasonMoved       = "telegram_moved"
	ReasonAbsent      = "telegram_absent"
	ReasonRights      = "telegram_rights"
	ReasonTopics      = "telegram_topics"
	ReasonConflict    = "telegram_conflict"
	ReasonBetween     = "telegram_between"
	ReasonUnreachable = "telegram_unreachable"
	ReasonFault       = "telegram_fault"
	ReasonRefused     = "telegram_refused"
	ReasonAside       = "telegram_aside"
)

// problem returns a Problem in English, with {value} replaced by value.
func problem(reason, value string) Problem { return Problem{Reason: reason, value: value}.in("en") }

// Explain returns the problem with that reason in a language, "tr" or "en". Its Text is empty for an unknown reason.
func Explain(reason, value, lang string) Problem {
	return Problem{Reason: reason, value: value}.in(lang)
}

// in returns the problem in a language, "tr" or "en".
func (p Problem) in(lang string) Problem {
	key := "telegram_problem." + p.Reason
	p.Text, p.Cure = locales.Text(lang, key, "value", p.value), locales.Text(lang, key+"_cure", "value", p.value)
	return p
}

// diagnose returns the problem behind an error; the zero Problem if a person could not fix it.
func diagnose(err error) Problem {
	var e *apiError
	var network *url.Error
	switch {
	case errors.As(err, &e):
	case errors.As(err, &network):
		return problem(ReasonUnreachable, "")
	default:
		return Problem{}
	}
	switch v := classify(err); {
	case e.Foreign && e.Code < 500:
		return problem(ReasonBetween, "")
	case e.Code >= 500:
		return problem(ReasonFault, "")
	case e.Code == http.StatusUnauthorized || e.Code == http.StatusNotFound:
		return problem(ReasonToken, "")
	case e.MigratedTo != 0:
		return problem(ReasonMoved, strconv.FormatInt(e.MigratedTo, 10))
	case e.Code == http.StatusConflict:
		return problem(ReasonConflict, "")
	case e.has("chat not found", "kicked", "not a member", "blocked by the user", "user is deactivated", "channel_private", "peer_id_invalid"):
		return problem(ReasonAbsent, "")
	case v == barred && e.has("topic"):
		return problem(ReasonTopics, "")
	case v == barred || v == lockedOut:
		return problem(ReasonRights, "")
	case v == refused || v == topicGone || v == topicClosed:
		return problem(ReasonRefused, "")
	}
	return Problem{}
}

// reasonOf describes for the console why a message was not sent; it contains no message text.
func reasonOf(err error) string {
	var e *apiError
	switch p := diagnose(err); {
	case errors.As(err, &e):
		return strings.TrimPrefix(e.Error(), "telegram: ")
	case p.Text != "":
		return p.Text
	}
	return "Telegram did not respond"
}
