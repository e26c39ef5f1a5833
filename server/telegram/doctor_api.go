package telegram

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Parts of the API's objects that the doctor reads (https://core.telegram.org/bots/api#available-types).
type (
	doctorUser struct {
		ID       int64  `json:"id"`
		Username string `json:"username"`
		ReadsAll bool   `json:"can_read_all_group_messages"`
	}
	doctorChat struct {
		Type      string `json:"type"`
		Title     string `json:"title"`
		FirstName string `json:"first_name"`
		IsForum   bool   `json:"is_forum"`
	}
	doctorMember struct {
		Status         string `json:"status"`
		ManageTopics   bool   `json:"can_manage_topics"`
		DeleteMessages bool   `json:"can_delete_messages"`
	}
	doctorWebhook struct {
		URL     string `json:"url"`
		Pending int    `json:"pending_update_count"`
		ErrorAt int64  `json:"last_error_date"`
		Error   string `json:"last_error_message"`
	}
)

// doctorRefusal is an unsuccessful response, or none: then code is 0. Its text never contains the token.
type doctorRefusal struct {
	code    int
	text    string
	movedTo int64 // parameters.migrate_to_chat_id
}

func (r *doctorRefusal) String() string { return fmt.Sprintf("%d %s", r.code, r.text) }

// ask calls a method and decodes its result into into, unless that is nil. The time is Telegram's, zero if unknown.
func (d *Doctor) ask(ctx context.Context, method string, query url.Values, into any) (time.Time, *doctorRefusal) {
	ctx, cancel := context.WithTimeout(ctx, doctorTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, d.APIURL+"/bot"+d.Token+"/"+method, strings.NewReader(query.Encode()))
	if err != nil {
		return time.Time{}, &doctorRefusal{text: "TELEGRAM_API_URL"} // the error contains the URL, and with it the token
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	client := d.Client
	if client == nil {
		client = http.DefaultClient
	}
	response, err := client.Do(request)
	if err != nil {
		return time.Time{}, &doctorRefusal{text: d.reason(err)}
	}
	defer func() { _ = response.Body.Close() }() // the body was read as far as needed
	date, err := http.ParseTime(response.Header.Get("Date"))
	if err != nil {
		date = time.Time{}
	}
	data, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return date, &doctorRefusal{text: d.reason(err)}
	}
	var answer struct {
		OK          bool            `json:"ok"`
		Result      json.RawMessage `json:"result"`
		Code        int             `json:"error_code"`
		Description string          `json:"description"`
		Parameters  struct {
			MovedTo int64 `json:"migrate_to_chat_id"`
		} `json:"parameters"`
	}
	if json.Unmarshal(data, &answer) != nil {
		return date, &doctorRefusal{code: response.StatusCode, text: http.StatusText(response.StatusCode)} // an error page of a gateway
	}
	if !answer.OK {
		return date, &doctorRefusal{code: answer.Code, text: d.mask(answer.Description), movedTo: answer.Parameters.MovedTo}
	}
	if into != nil {
		if err := json.Unmarshal(answer.Result, into); err != nil {
			return date, &doctorRefusal{code: response.StatusCode, text: d.mask(err.Error())}
		}
	}
	return date, nil
}

// reason returns why there was no response, without the URL, which contains the token.
func (d *Doctor) reason(err error) string {
	if u := (*url.Error)(nil); errors.As(err, &u) {
		err = u.Err
	}
	if n := net.Error(nil); errors.As(err, &n) && n.Timeout() {
		return "timeout"
	}
	return d.mask(err.Error())
}

func (d *Doctor) mask(text string) string { return strings.ReplaceAll(text, d.Token, "****") }

func (d *Doctor) now() time.Time {
	if d.Now == nil {
		return time.Now()
	}
	return d.Now()
}

func (d *Doctor) host() string { return hostOf(d.APIURL) }

// hostOf returns the host of a URL, the only part that may be shown: paths of webhooks can be secret.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "?"
	}
	return u.Host
}
