package telegramtest

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// maxBody is the largest request body in bytes that the Bot API accepts: a file of 50 MB and 1 MB for the other fields.
const maxBody = 50<<20 + 1<<20

// Call is one request to the API and its outcome.
type Call struct {
	Seq         int               `json:"seq"`
	At          time.Time         `json:"at"`
	Method      string            `json:"method"`
	Params      map[string]string `json:"params"` // as sent; a JSON value other than a string as its JSON text
	Files       map[string]Upload `json:"files,omitempty"`
	Status      int               `json:"status"` // HTTP status; 0 if the connection was cut
	Description string            `json:"description,omitempty"`
	Fault       string            `json:"fault,omitempty"` // the scripted fault that the call met
	Performed   bool              `json:"performed"`       // whether the method ran, even if its response was lost
	MessageID   int               `json:"message_id,omitempty"`
}

// Upload describes a file of a multipart request.
type Upload struct {
	Name string `json:"name"`
	Type string `json:"type"`
	Data []byte `json:"-"`
}

// read takes the parameters from the query string and from the body, in any of the encodings that the API accepts.
func (c *Call) read(r *http.Request) *refusal {
	for key, values := range r.URL.Query() {
		c.Params[key] = values[0]
	}
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		kind = ""
	}
	body := http.MaxBytesReader(nil, r.Body, maxBody)
	switch {
	case kind == "multipart/form-data":
		err = c.readParts(multipart.NewReader(body, params["boundary"]))
	case kind == "application/json":
		err = c.readJSON(body)
	case kind == "application/x-www-form-urlencoded":
		r.Body = body
		if err = r.ParseForm(); err == nil {
			for key, values := range r.PostForm {
				c.Params[key] = values[0]
			}
		}
	default:
		_, err = io.Copy(io.Discard, body)
	}
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return &refusal{code: http.StatusRequestEntityTooLarge, text: "Request Entity Too Large"}
	case err != nil:
		return bad("can't parse the request: %v", err)
	}
	for _, value := range c.Params {
		if !utf8.ValidString(value) {
			return bad("strings must be encoded in UTF-8")
		}
	}
	return nil
}

// readJSON keeps strings as they are and every other value as its JSON text, as the real server does. The body "null" has no
// parameters.
func (c *Call) readJSON(body io.Reader) error {
	data, err := io.ReadAll(body)
	if err != nil || len(data) == 0 {
		return err
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(data, &object); err != nil {
		return err
	}
	for key, raw := range object {
		var text string
		if json.Unmarshal(raw, &text) != nil || string(raw) == "null" {
			text = string(raw)
		}
		c.Params[key] = text
	}
	return nil
}

// readParts takes a part as a file if it has a file name, even an empty one, and as a value otherwise.
func (c *Call) readParts(parts *multipart.Reader) error {
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		data, err := io.ReadAll(part)
		if err != nil {
			return err
		}
		_, disposition, err := mime.ParseMediaType(part.Header.Get("Content-Disposition"))
		if err != nil {
			return err
		}
		if name, ok := disposition["filename"]; ok {
			c.Files[part.FormName()] = Upload{Name: name, Type: part.Header.Get("Content-Type"), Data: data}
		} else {
			c.Params[part.FormName()] = string(data)
		}
	}
}

// number returns an integer parameter, 0 if it is absent.
func (c *Call) number(name string) (int64, *refusal) {
	text := c.Params[name]
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, bad("invalid %s specified", name)
	}
	return n, nil
}

// flag returns a boolean parameter, false if it is absent.
func (c *Call) flag(name string) bool {
	switch strings.ToLower(c.Params[name]) {
	case "true", "yes", "1":
		return true
	}
	return false
}

// decode unmarshals a JSON parameter into into, which it leaves unchanged if the parameter is absent.
func (c *Call) decode(name string, into any) *refusal {
	text := c.Params[name]
	if text == "" || text == "null" {
		return nil
	}
	if err := json.Unmarshal([]byte(text), into); err != nil {
		return bad("can't parse %s: %v", strings.ReplaceAll(name, "_", " "), err)
	}
	return nil
}
