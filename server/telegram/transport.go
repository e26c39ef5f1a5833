package telegram

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"sohbet/models"
)

// Telebot puts its token into the URL of every request, and net/http puts that URL into its errors. So telebot gets this placeholder
// instead, and the transport replaces it by the token.
const standIn = "0:hidden"

// maxAnswer is the maximum size of a response in bytes; 100 updates are far smaller.
const maxAnswer = 32 << 20

// transport sends telebot's requests to the Bot API.
type transport struct {
	inner   http.RoundTripper
	token   string
	contact func() // called for every response from Telegram itself
}

// call is the transport of one call: it ends with its context, and keeps the result.
type call struct {
	*transport
	ctx    context.Context
	result json.RawMessage
}

// RoundTrip sends a request. It returns an error for an unsuccessful response and for one that is not the API's: telebot takes any
// response that it cannot parse for a success, and drops the code of unknown errors.
func (c *call) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := models.CheckLease(c.ctx); err != nil { // last check, so that a call is not made after another process took the lease
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
	if err := c.classify(resp, text); err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(text))
	return resp, nil
}

// classify parses the envelope of a response.
func (c *call) classify(resp *http.Response, text []byte) error {
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

// scrub removes the token from errors. Since the URL of the request has the placeholder, the standard library is not known to include
// it anywhere.
func (t *transport) scrub(err error) error {
	if err == nil || !strings.Contains(err.Error(), t.token) && !strings.Contains(err.Error(), url.QueryEscape(t.token)) {
		return err
	}
	text := strings.NewReplacer(t.token, "…", url.QueryEscape(t.token), "…").Replace(err.Error())
	return errors.New(text)
}

// body is the body of a download.
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
