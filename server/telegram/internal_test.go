package telegram

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	tele "gopkg.in/telebot.v3"
)

func TestTextsSayTheSameInBothLanguages(t *testing.T) {
	words := regexp.MustCompile(`\{[a-z]+\}`)
	for key, turkish := range texts["tr"] {
		english := texts["en"][key]
		a, b := words.FindAllString(turkish, -1), words.FindAllString(english, -1)
		slices.Sort(a)
		slices.Sort(b)
		if english == "" || turkish == "" || !slices.Equal(a, b) {
			t.Errorf("%s: %q, %q", key, turkish, english)
		}
	}
	if len(texts["tr"]) != len(texts["en"]) {
		t.Error("one language says more")
	}
}

func TestCutText(t *testing.T) {
	flag, thumb := "🇹🇷", "👍🏽"
	for _, c := range []struct {
		text string
		n    int
		head string
		rest string
	}{
		{"", 5, "", ""},
		{"abc", 3, "abc", ""},
		{"abcd", 3, "abc", "d"},
		{"one two three", 9, "one two", "three"},
		{"a bcdefghij", 5, "a bcd", "efghij"}, // the space is too far from the limit
		{"aa" + flag, 5, "aa", flag},          // a flag is four units
		{"aa" + flag, 6, "aa" + flag, ""},
		{"a" + thumb + "b", 4, "a", thumb + "b"},
		{"e\u0301e\u0301", 3, "e\u0301", "e\u0301"},
		{"🎉🎉", 3, "🎉", "🎉"},
		{"👨\u200d👩\u200d👧\u200d👦", 5, "👨\u200d👩", "\u200d👧\u200d👦"}, // longer than the limit: split between code points
	} {
		head, rest := cutText(c.text, c.n)
		if head != c.head || rest != c.rest {
			t.Errorf("%q at %d: %q, %q", c.text, c.n, head, rest)
		}
	}
}

func TestPartsFit(t *testing.T) {
	name := strings.Repeat("İ", maxTopic)
	for _, body := range []string{"", "x", strings.Repeat("a<b&c ", 1700), strings.Repeat("🎉", 5000), strings.Repeat("\n", 10_000)} {
		var whole strings.Builder
		for i, p := range parts("💬", name, "#thread:2345678", body, maxCaption) {
			if n := units(p.plain()); n > maxText || i == 0 && n > maxCaption {
				t.Errorf("part %d has %d units", i, n)
			}
			whole.WriteString(p.body)
		}
		strip := func(s string) string { return strings.Join(strings.Fields(s), "") }
		if strip(whole.String()) != strip(body) {
			t.Errorf("%d bytes became %d", len(body), whole.Len())
		}
	}
}

func TestJudge(t *testing.T) {
	wrapped := func(e *apiError) error { return fmt.Errorf("telebot: %w", &url.Error{Op: "Post", URL: "x", Err: e}) }
	for _, c := range []struct {
		err  error
		want verdict
	}{
		{io.ErrUnexpectedEOF, passing},
		{context.DeadlineExceeded, passing},
		{wrapped(&apiError{Code: 502, Description: "not an answer of the Bot API"}), passing},
		{wrapped(&apiError{Code: 429, RetryAfter: time.Second}), flooded},
		{wrapped(&apiError{Code: 400, Description: "Bad Request: message thread not found"}), topicGone},
		{wrapped(&apiError{Code: 400, Description: "Bad Request: TOPIC_DELETED"}), topicGone},
		{wrapped(&apiError{Code: 400, Description: "Bad Request: TOPIC_CLOSED"}), topicClosed},
		{wrapped(&apiError{Code: 400, Description: "Bad Request: can't parse entities"}), refused},
		{wrapped(&apiError{Code: 413, Description: "Request Entity Too Large"}), refused},
		{wrapped(&apiError{Code: 400, Description: "Bad Request: chat not found"}), barred},
		{wrapped(&apiError{Code: 400, Description: "Bad Request: group chat was upgraded to a supergroup chat", MigratedTo: -1001}), lockedOut},
		{wrapped(&apiError{Code: 401, Description: "Unauthorized"}), lockedOut},
		{wrapped(&apiError{Code: 400, Description: "Bad Request: not enough rights to send text messages to the chat"}), barred},
		{wrapped(&apiError{Code: 400, Description: "Bad Request: not enough rights to reopen the topic"}), barred},
		{wrapped(&apiError{Code: 400, Description: "Bad Request: CHAT_RESTRICTED"}), barred},
		{wrapped(&apiError{Code: 400, Description: "Bad Request: CHAT_ADMIN_REQUIRED"}), barred},
		{wrapped(&apiError{Code: 400, Description: "Bad Request: USER_BANNED_IN_CHANNEL"}), barred},
		{wrapped(&apiError{Code: 400, Description: "Bad Request: CHANNEL_PRIVATE"}), barred},
		{wrapped(&apiError{Code: 400, Description: "Bad Request: PEER_ID_INVALID"}), barred},
		{wrapped(&apiError{Code: 400, Description: "Bad Request: CHAT_SEND_PLAIN_FORBIDDEN"}), barred},
		{wrapped(&apiError{Code: 400, Description: "not an answer of the Bot API", Foreign: true}), passing},
		{wrapped(&apiError{Code: 407, Description: "not an answer of the Bot API", Foreign: true}), passing},
		{wrapped(&apiError{Code: 413, Description: "not an answer of the Bot API", Foreign: true}), passing},
		{wrapped(&apiError{Code: 451, Description: "not an answer of the Bot API", Foreign: true}), passing},
		{wrapped(&apiError{Code: 403, Description: "Forbidden: bot was kicked from the supergroup chat"}), barred},
		{wrapped(&apiError{Code: 409, Description: "Conflict: terminated by other getUpdates request"}), lockedOut},
	} {
		if got := classify(c.err); got != c.want {
			t.Errorf("%v: %d, want %d", c.err, got, c.want)
		}
	}
}

func TestErrorsKeepWhatPeopleWrote(t *testing.T) {
	err := &apiError{Code: 400, Description: `Bad Request: can't parse entities: Unsupported start tag "my secret" at byte offset 0`}
	if strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), "Unsupported start tag") {
		t.Error(err)
	}
}

type failing struct{ err error }

func (f failing) RoundTrip(*http.Request) (*http.Response, error) { return nil, f.err }

func TestTheTokenIsInNoError(t *testing.T) {
	const token = "12345:abc-DEF"
	for _, cause := range []error{
		errors.New("dial: no route"),
		&url.Error{Op: "Post", URL: "http://x/bot" + token + "/getMe", Err: io.EOF},
		errors.New("http://x/bot" + url.QueryEscape(token) + "/getMe failed"),
	} {
		tr := &transport{inner: failing{cause}, token: token, contact: func() {}}
		a := &api{url: "http://127.0.0.1:1", transport: tr, pace: newPace(Pace{Off: true}, 1, time.Now)}
		_, sent := a.send(t.Context(), time.Second, chatID(1), "text", &tele.SendOptions{})
		_, fetched := (&call{transport: tr, ctx: t.Context()}).RoundTrip(must(http.NewRequest(http.MethodGet, "http://x/file/bot"+standIn+"/a", nil)))
		for _, err := range []error{sent, fetched, a.raw(t.Context(), time.Second, "getMe", nil, nil)} {
			if err == nil || strings.Contains(err.Error(), token) || strings.Contains(err.Error(), url.QueryEscape(token)) {
				t.Errorf("%v", err)
			}
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestPaceHeedsTelegram(t *testing.T) {
	answer := func(seconds string) http.RoundTripper {
		return answering(`{"ok":false,"error_code":429,"description":"Too Many Requests","parameters":{"retry_after":` + seconds + `}}`)
	}
	p := newPace(Pace{Off: true}, -100, time.Now)
	for _, seconds := range []string{"40", "2"} { // the longer one counts
		a := &api{url: "http://127.0.0.1:1", transport: &transport{inner: answer(seconds), token: "1:x", contact: func() {}}, pace: p}
		if err := a.raw(t.Context(), time.Second, "getMe", nil, nil); classify(err) != flooded {
			t.Fatal(err)
		}
	}
	if d := p.Paused(); d < 39*time.Second || d > 40*time.Second {
		t.Errorf("it waits %v", d)
	}
	b := &Bridge{pace: p}
	if _, err := b.urgent(time.Millisecond)(t.Context()); !errors.Is(err, errFlooded) {
		t.Errorf("something urgent: %v", err)
	}
}

type answering string

func (a answering) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(string(a)))}, nil
}

func TestWebhookAddress(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "https://shop.example": "https://shop.example/telegram/webhook", "https://shop.example/chat/": "https://shop.example/chat/telegram/webhook",
		"https://shop.example/telegram/webhook": "https://shop.example/telegram/webhook",
	} {
		if got := webhookAddress(in); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
}

func TestParseCommand(t *testing.T) {
	for text, want := range map[string]string{
		"hello": "- ", "/Close": "close ", "/close@Our_Bot now": "close now", "/close@other": " ", "/": "? ", "/çay": "? ", "/x y\nz": "x y\nz",
	} {
		command, rest, ok := parseCommand(text, "our_bot")
		if !ok {
			command = "-"
		}
		if got := command + " " + rest; got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}
