package telegram

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"sohbet/models"
)

// Telebot writes its token into the address of every request, and net/http writes that address into its errors. So telebot
// never learns the token: it gets this stand-in, and the transport puts the token in its place on the way out.
const standIn = "0:hidden"

// maxAnswer bounds what is read of an answer; 100 updates stay far below it.
const maxAnswer = 32 << 20

// apiError is an answer of the Bot API other than success.
type apiError struct {
	Code        int
	Description string
	RetryAfter  time.Duration // with 429
	MigratedTo  int64         // the group has become a supergroup with this id
	Foreign     bool          // it is no answer of the Bot API's, but of something in between
}

// Error leaves out what Telegram quotes: it may be what somebody wrote.
func (e *apiError) Error() string {
	text, _, _ := strings.Cut(e.Description, `"`)
	return fmt.Sprintf("telegram: %.100s (%d)", strings.TrimSpace(text), e.Code)
}

// transport carries telebot's requests to the Bot API.
type transport struct {
	inner   http.RoundTripper
	token   string
	contact func() // hears of every answer that came from Telegram itself
}

// call is the transport of one call: it ends with its context, and keeps the result.
type call struct {
	*transport
	ctx    context.Context
	result json.RawMessage
}

// RoundTrip sends a request. An answer that is no success, or not the API's at all, is an error: telebot takes any text that
// it cannot read for a success, and forgets the code of errors that it does not know.
func (c *call) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := models.CheckLease(c.ctx); err != nil { // the last point at which a call can be left to the process that has the role
		return nil, err
	}
	ctx, cancel := context.WithCancel(r.Context())
	unhook := context.AfterFunc(c.ctx, cancel)
	done := func() { unhook(); cancel() }
	out := r.Clone(ctx)
	out.URL.Path = strings.Replace(r.URL.Path, "/bot"+standIn+"/", "/bot"+c.token+"/", 1)
	out.URL.RawPath = ""
	resp, err := c.inner.RoundTrip(out)
	if err != nil {
		done()
		return nil, c.scrub(err)
	}
	resp.Request = r
	if strings.Contains(r.URL.Path, "/file/bot"+standIn+"/") {
		resp.Body = &body{ReadCloser: resp.Body, transport: c.transport, done: done}
		return resp, nil
	}
	defer done()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	_ = resp.Body.Close()
	if err != nil {
		return nil, c.scrub(err)
	}
	if err := c.judge(resp, text); err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(text))
	return resp, nil
}

// judge reads the envelope of an answer.
func (c *call) judge(resp *http.Response, text []byte) error {
	var e struct {
		OK          bool            `json:"ok"`
		Result      json.RawMessage `json:"result"`
		Code        int             `json:"error_code"`
		Description string          `json:"description"`
		Parameters  struct {
			RetryAfter int   `json:"retry_after"`
			MigratedTo int64 `json:"migrate_to_chat_id"`
		} `json:"parameters"`
	}
	if json.Unmarshal(text, &e) != nil || !e.OK && e.Code == 0 {
		return &apiError{Code: resp.StatusCode, Description: "not an answer of the Bot API", Foreign: true}
	}
	c.contact()
	if e.OK {
		c.result = e.Result
		return nil
	}
	return &apiError{
		Code: e.Code, Description: e.Description,
		RetryAfter: time.Duration(e.Parameters.RetryAfter) * time.Second, MigratedTo: e.Parameters.MigratedTo,
	}
}

// scrub makes sure that the token is in no error; no part of the standard library is known to put it there once the address of
// the request holds the stand-in.
func (t *transport) scrub(err error) error {
	if err == nil || !strings.Contains(err.Error(), t.token) && !strings.Contains(err.Error(), url.QueryEscape(t.token)) {
		return err
	}
	text := strings.NewReplacer(t.token, "…", url.QueryEscape(t.token), "…").Replace(err.Error())
	return errors.New(text)
}

// body is that of a download.
type body struct {
	io.ReadCloser
	transport *transport
	done      func()
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = b.transport.scrub(err)
	}
	return n, err
}

func (b *body) Close() error {
	err := b.ReadCloser.Close()
	b.done()
	return b.transport.scrub(err)
}
