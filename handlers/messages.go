package handlers

import (
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	"sohbet/models"
	"sohbet/server/apperr"
	"sohbet/server/auth"
	"sohbet/server/chat"
)

const (
	maxPerPage  = 100
	streamChunk = 500 // messages per read when a whole thread is streamed
)

// number parses a query parameter as a whole number ≥ low into v; v is unchanged if the parameter is absent.
func number(c echo.Context, name string, low int, v *int) error {
	text := c.QueryParam(name)
	if text == "" {
		return nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < low || n > math.MaxInt32 {
		return apperr.Invalid("", name+" must be a whole number from "+strconv.Itoa(low)+".")
	}
	*v = n
	return nil
}

func messageID(c echo.Context, name string) (int64, error) {
	text := c.QueryParam(name)
	if text == "" {
		return 0, nil
	}
	n, ok := parseID(text)
	if !ok {
		return 0, apperr.Invalid("", name+" must be a message's id.")
	}
	return int64(n), nil
}

// Messages responds with messages of the thread ?thread_id=: with page or per_page an object with one page, otherwise an array of the
// whole thread, or of the part selected by limit, before_id and after_id.
func (a *API) Messages(c echo.Context) error {
	id := c.QueryParam("thread_id")
	if id == "" {
		return errMissing
	}
	if c.QueryParam("page") != "" || c.QueryParam("per_page") != "" {
		return a.messagePage(c, id)
	}
	if c.QueryParam("limit") != "" || c.QueryParam("before_id") != "" || c.QueryParam("after_id") != "" {
		return a.messagePart(c, id)
	}
	return a.streamMessages(c, id, jsonMessages("[", "]\n"))
}

// ThreadMessages responds with an object that contains all messages of the thread in the path.
func (a *API) ThreadMessages(c echo.Context) error {
	id := c.Param("thread_id")
	if id == "" {
		return errMissing
	}
	return a.streamMessages(c, id, jsonMessages(`{"success":true,"messages":[`, "]}\n"))
}

type messagePage struct {
	Messages   []chat.Message `json:"messages"`
	Pagination pagination     `json:"pagination"`
}

type pagination struct {
	Page    int   `json:"page"`
	PerPage int   `json:"per_page"`
	Total   int64 `json:"total"`
	Pages   int64 `json:"pages"`
	HasMore bool  `json:"has_more"`
}

func (a *API) messagePage(c echo.Context, id string) error {
	page, per := 1, 50
	if err := number(c, "page", 1, &page); err != nil {
		return err
	}
	if err := number(c, "per_page", 1, &per); err != nil {
		return err
	}
	per = min(per, maxPerPage)
	messages, total, err := a.Chat.MessagePage(c.Request().Context(), a.agentActor(c), id, page, per)
	if err != nil {
		return err
	}
	if messages == nil {
		messages = []chat.Message{}
	}
	pages := (total + int64(per) - 1) / int64(per)
	return ok(c, struct {
		Success bool        `json:"success"`
		Data    messagePage `json:"data"`
	}{true, messagePage{messages, pagination{Page: page, PerPage: per, Total: total, Pages: pages, HasMore: int64(page) < pages}}})
}

func (a *API) messagePart(c echo.Context, id string) error {
	var q models.MessageQuery
	var err error
	if err = number(c, "limit", 1, &q.Limit); err != nil {
		return err
	}
	q.Limit = min(q.Limit, maxPerPage)
	if q.BeforeID, err = messageID(c, "before_id"); err != nil {
		return err
	}
	if q.AfterID, err = messageID(c, "after_id"); err != nil {
		return err
	}
	messages, _, err := a.Chat.History(c.Request().Context(), a.agentActor(c), id, q)
	if err != nil {
		return err
	}
	if messages == nil {
		messages = []chat.Message{}
	}
	return ok(c, messages)
}

// transcript is an output format for a whole thread.
type transcript struct {
	contentType string
	head        []byte
	message     func(buffer []byte, m chat.Message) ([]byte, error) // appends one message to buffer
	tail        func(buffer []byte) []byte
}

// jsonMessages writes messages as a comma-separated list between head and tail.
func jsonMessages(head, tail string) transcript {
	first := true
	return transcript{
		contentType: "application/json; charset=utf-8", head: []byte(head),
		message: func(buffer []byte, m chat.Message) ([]byte, error) {
			text, err := json.Marshal(m)
			if !first {
				buffer = append(buffer, ',')
			}
			first = false
			return append(buffer, text...), err
		},
		tail: func(buffer []byte) []byte { return append(buffer, tail...) },
	}
}

// streamMessages writes all messages of a thread, oldest first, reading them in chunks to bound memory. A failure after the first chunk
// aborts the connection, so that the client does not mistake a partial thread for a complete one.
func (a *API) streamMessages(c echo.Context, id string, form transcript) error {
	ctx, actor := c.Request().Context(), a.agentActor(c)
	chunk, total, err := a.Chat.MessagePage(ctx, actor, id, 1, streamChunk)
	if err != nil {
		return err
	}
	w := c.Response()
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set(echo.HeaderContentType, form.contentType)
	w.WriteHeader(http.StatusOK)
	buffer := form.head
	for more := total > int64(len(chunk)); ; {
		for _, m := range chunk {
			if buffer, err = form.message(buffer, m); err != nil {
				panic(http.ErrAbortHandler)
			}
		}
		if !more || len(chunk) == 0 {
			break
		}
		if _, err := w.Write(buffer); err != nil {
			return nil // the client disconnected
		}
		buffer = buffer[:0]
		chunk, more, err = a.Chat.History(ctx, actor, id, models.MessageQuery{AfterID: chunk[len(chunk)-1].ID, Limit: streamChunk})
		if err != nil {
			a.log.ErrorContext(ctx, "failed to stream a thread", "error", err)
			panic(http.ErrAbortHandler)
		}
	}
	_, _ = w.Write(form.tail(buffer)) // fails only if the client disconnected
	return nil
}

// Send posts a message over HTTP, for agents, and for visitors with their thread id as bearer token.
func (a *API) Send(c echo.Context) error {
	r := c.Request()
	_, isAgent := a.agent(c)
	token := bearer(r)
	if !isAgent && token == "" {
		return errUnauthorized
	}
	var in struct {
		ThreadID    string `json:"thread_id" form:"thread_id"`
		Text        string `json:"text" form:"text"`
		ContentText string `json:"content_text" form:"content_text"`
		Type        string `json:"type" form:"type"`
		ContentType string `json:"content_type" form:"content_type"`
		FileURL     string `json:"file_url" form:"file_url"`
		ClientID    string `json:"client_id" form:"client_id"`
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	if in.ThreadID == "" && !isAgent {
		in.ThreadID = token
	}
	if in.ThreadID == "" {
		return errMissing
	}
	actor := a.agentActor(c)
	if !isAgent {
		if in.ThreadID != token {
			return errForbidden
		}
		// Over HTTP the token must be the id of a stored thread: an unknown id must not create one.
		if _, err := a.Store.Thread(r.Context(), token); errors.Is(err, models.ErrNotFound) {
			return errUnauthorized
		} else if err != nil {
			return err
		}
		actor = chat.Actor{Role: chat.Visitor, Address: auth.AddressKey(a.Address(r)), Threads: chat.NewThreadSet(token)}
	}
	if in.Text == "" {
		in.Text = in.ContentText
	}
	if in.Type == "" {
		in.Type = in.ContentType
	}
	m, err := a.Chat.Post(r.Context(), actor, chat.Post{ThreadID: in.ThreadID, Text: in.Text, Type: in.Type, FileURL: in.FileURL, ClientID: in.ClientID})
	if err != nil {
		return err
	}
	return ok(c, struct {
		Success   bool   `json:"success"`
		MessageID int64  `json:"message_id"`
		ThreadID  string `json:"thread_id"`
	}{true, m.ID, m.ThreadID})
}
