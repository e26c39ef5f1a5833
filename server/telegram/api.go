package telegram

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	tele "gopkg.in/telebot.v3"

	"sohbet/server/outbox"
)

const (
	callTimeout   = 15 * time.Second
	sendTimeout   = 45 * time.Second // a message whose call is aborted early may have arrived anyway, and is then sent twice
	uploadTimeout = 3 * time.Minute
	pollWait      = 50 * time.Second // the maximum of the Bot API
)

var errOdd = errors.New("telegram: unexpected response")

// api calls the Bot API. Telebot takes no context, so each call gets a separate bot, whose transport has the context; a bot is only a
// struct, a channel and a map.
type api struct {
	url       string
	transport *transport
	pace      *outbox.Pace
}

// do runs f with a bot whose calls end with ctx or after a timeout, and returns the raw result of the last call.
func (a *api) do(ctx context.Context, timeout time.Duration, f func(*tele.Bot) error) (result json.RawMessage, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	c := &call{transport: a.transport, ctx: ctx}
	bot, err := tele.NewBot(tele.Settings{URL: a.url, Token: standIn, Updates: 1, Offline: true, Client: &http.Client{
		Transport: c, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}})
	if err != nil {
		return nil, err
	}
	defer func() {
		// Telebot panics if a response lacks the type of media that was sent; Telegram turns unplayable media into documents.
		if p := recover(); p != nil {
			err = errOdd
			if c.result == nil {
				err = fmt.Errorf("%w: %s", errOdd, debug.Stack())
			}
		}
		if c.result != nil {
			result, err = c.result, nil
		}
		if e := (*apiError)(nil); errors.As(err, &e) && classify(err) == flooded {
			a.pace.Pause(max(e.RetryAfter, time.Second))
		}
	}()
	return nil, f(bot)
}

// raw calls a method and decodes its result into into unless that is nil.
func (a *api) raw(ctx context.Context, timeout time.Duration, method string, params, into any) error {
	result, err := a.do(ctx, timeout, func(b *tele.Bot) error {
		_, err := b.Raw(method, params)
		return err
	})
	if err != nil || into == nil {
		return err
	}
	if err := json.Unmarshal(result, into); err != nil {
		return fmt.Errorf("telegram: %s: unexpected result", method)
	}
	return nil
}

// send sends text or media and returns the message's id.
func (a *api) send(ctx context.Context, timeout time.Duration, to tele.Recipient, what any, o *tele.SendOptions) (int64, error) {
	result, err := a.do(ctx, timeout, func(b *tele.Bot) error {
		_, err := b.Send(to, what, o)
		return err
	})
	if err != nil {
		return 0, err
	}
	var m struct {
		ID int64 `json:"message_id"`
	}
	if err := json.Unmarshal(result, &m); err != nil || m.ID == 0 {
		return 0, errOdd
	}
	return m.ID, nil
}

// download opens a Telegram file by its id.
func (a *api) download(ctx context.Context, id string) (io.ReadCloser, error) {
	var f tele.File
	if err := a.raw(ctx, callTimeout, "getFile", map[string]string{"file_id": id}, &f); err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, a.url+"/file/bot"+standIn+"/"+f.FilePath, nil)
	if err != nil {
		return nil, errors.New("telegram: a file with an unusable path")
	}
	resp, err := (&call{transport: a.transport, ctx: ctx}).RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		_ = resp.Body.Close()
		return nil, &apiError{Code: resp.StatusCode, Description: "the file is not there"}
	}
	return resp.Body, nil
}

// chatID implements tele.Recipient for a chat id.
type chatID int64

func (c chatID) Recipient() string { return strconv.FormatInt(int64(c), 10) }
