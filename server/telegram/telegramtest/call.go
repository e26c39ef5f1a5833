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

// maxBody is what the cloud's server takes: a file of 50 MB and its fields.
const maxBody = 50<<20 + 1<<20

// Call is one request to the API, and what came of it.
type Call struct {
	Seq         int               `json:"seq"`
	At          time.Time         `json:"at"`
	Method      string            `json:"method"`
	Params      map[string]string `json:"params"` // as sent; what is no string in JSON is its JSON text
	Files       map[string]Upload `json:"files,omitempty"`
	Status      int               `json:"status"` // 0: the connection was cut
	Description string            `json:"description,omitempty"`
	Fault       string            `json:"fault,omitempty"` // the scripted fault that was answered
	Performed   bool              `json:"performed"`       // also when the answer was lost
	MessageID   int               `json:"message_id,omitempty"`
}

// Upload is a file of a multipart request.
type Upload struct {
	Name string `json:"name"`
	Type string `json:"type"`
	Data []byte `json:"-"`
}

// read takes the parameters from the query and from the body in any of the encodings that the API knows.
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

// readJSON keeps strings as they are and everything else as its JSON text, as the real server does. A body of null has no parameters.
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

// readParts tells files from values by the presence of a file name, even an empty one.
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

// number is an integer parameter; 0 if it is absent.
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

// flag is a boolean parameter.
func (c *Call) flag(name string) bool {
	switch strings.ToLower(c.Params[name]) {
	case "true", "yes", "1":
		return true
	}
	return false
}

// decode reads a parameter that is JSON; absent leaves into alone.
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
