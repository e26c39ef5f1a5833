package telegram

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// verdict classifies an error with regard to retries.
type verdict int

const (
	passing     verdict = iota // a network or server error: the same call may succeed later
	flooded                    // rate limited; the error has the time to wait
	topicGone                  // the topic was deleted
	topicClosed                // the topic is closed
	refused                    // Telegram refuses this call, probably because of its content
	barred                     // the bot lacks a permission in the chat; sometimes caused by the content
	lockedOut                  // all calls fail until the configuration changes
)

// barring are substrings of errors with code 400 that concern the bot's permissions or the chat, in lower case, as used by the Bot API
// server and Telegram's servers.
var barring = []string{
	"not enough rights", "have no rights", "need administrator rights", "chat not found", "group is deactivated", "group chat was deactivated",
	"chat_write_forbidden", "chat_restricted", "chat_admin_required", "chat_send_", "chat_forbidden", "user_banned_in_channel",
	"channel_private", "channel_invalid", "peer_id_invalid", "user is deactivated", "chat_guest_send_forbidden", "allow_payment_required",
}

// has reports whether the description contains one of parts, which are in lower case.
func (e *apiError) has(parts ...string) bool {
	text := strings.ToLower(e.Description)
	return slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(text, part) })
}

// classify classifies the error of a call.
func classify(err error) verdict {
	var e *apiError
	if !errors.As(err, &e) {
		return passing
	}
	switch {
	case e.Foreign: // regardless of its code, because it is not from Telegram
		return passing
	case e.Code == http.StatusTooManyRequests:
		return flooded
	case e.Code >= 500, e.Code == http.StatusRequestTimeout, e.Code < 400:
		return passing
	case e.Code == http.StatusUnauthorized, e.Code == http.StatusNotFound, e.Code == http.StatusConflict:
		return lockedOut
	case e.MigratedTo != 0, e.has("group chat was upgraded"):
		return lockedOut
	case e.Code == http.StatusForbidden:
		return barred
	case e.has("message thread not found", "topic_deleted", "topic_id_invalid", "topic not found"):
		return topicGone
	case e.has("topic_closed"):
		return topicClosed
	case e.has(barring...):
		return barred
	}
	return refused
}

// aboutTopics reports whether an error says that the bot may not manage topics, or that the chat has none.
func aboutTopics(err error) bool {
	var e *apiError
	return errors.As(err, &e) && e.Code == http.StatusBadRequest && e.has("to create a topic", "to manage topics", "not a forum", "forum_missing")
}

// unchanged reports whether a call failed because the requested state is already set.
func unchanged(err error) bool {
	var e *apiError
	return errors.As(err, &e) && e.has("not modified", "not_modified")
}

// apiError is an unsuccessful response of the Bot API.
type apiError struct {
	Code        int
	Description string
	RetryAfter  time.Duration // with code 429
	MigratedTo  int64         // id of the supergroup that the group has become
	Foreign     bool          // not a response of the Bot API, but of a gateway in between
}

// Error leaves out text quoted by Telegram, which may be from a message.
func (e *apiError) Error() string {
	text, _, _ := strings.Cut(e.Description, `"`)
	return fmt.Sprintf("telegram: %.100s (%d)", strings.TrimSpace(text), e.Code)
}
