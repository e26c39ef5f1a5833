package handlers

import (
	"encoding/json"
	"reflect"
	"strconv"

	"sohbet/models"
	"sohbet/server/apperr"
)

// payload is the JSON object of an event.
type payload interface {
	thread() string // its thread_id, "" if it has none
}

// lenientPayload is a payload with texts that the visitor did not type. What cannot be stored is removed from these, because the visitor
// could not correct it.
type lenientPayload interface{ cleans(field string) bool }

type noPayload struct{}

func (noPayload) thread() string { return "" }

type threadPayload struct {
	ThreadID string `json:"thread_id"`
}

func (in threadPayload) thread() string { return in.ThreadID }

type joinPayload struct {
	threadPayload
	DisplayName string `json:"display_name"`
	PhoneNumber scalar `json:"phone_number"`
	PageURL     string `json:"page_url"`
	PageTitle   string `json:"page_title"`
	Locale      string `json:"locale"`
	Email       string `json:"email"`
	Identity    *struct {
		ID   scalar `json:"id"`
		Hash string `json:"hash"`
	} `json:"identity"`
}

func (in joinPayload) cleans(field string) bool {
	typed := field == "display_name" || field == "phone_number" || field == "email"
	return field == "page_url" || field == "page_title" || typed && in.Identity != nil // the embedding site supplies them with an identity
}

// messagePayload has two names of some fields, as clients send either.
type messagePayload struct {
	threadPayload
	Text        string `json:"text"`
	ContentText string `json:"content_text"`
	Type        string `json:"type"`
	ContentType string `json:"content_type"`
	FileURL     string `json:"file_url"`
	ClientID    string `json:"client_id"`
}

type typingPayload struct {
	threadPayload
	Typing *bool `json:"typing"` // absent means true
	Note   bool  `json:"note"`   // an agent types a note
}

type historyPayload struct {
	threadPayload
	BeforeID storedID  `json:"before_id"`
	AfterID  *storedID `json:"after_id"` // 0 means "from the first message", which differs from absent
	Limit    int       `json:"limit"`
}

// markPayload marks a thread as read or received up to a message.
type markPayload struct {
	threadPayload
	LastID storedID `json:"last_id"`
}

type pagePayload struct {
	threadPayload
	PageURL   string `json:"page_url"`
	PageTitle string `json:"page_title"`
}

func (pagePayload) cleans(field string) bool { return field == "page_title" }

type contactPayload struct {
	threadPayload
	Email       string `json:"email"`
	PhoneNumber scalar `json:"phone_number"`
}

type ratePayload struct {
	threadPayload
	Score   int64  `json:"score"`
	Comment string `json:"comment"`
}

type presencePayload struct {
	noPayload
	Visible *bool `json:"visible"`
	Idle    bool  `json:"idle"`
}

type editPayload struct {
	threadPayload
	ID   storedID `json:"id"`
	Text string   `json:"text"`
}

type statusPayload struct {
	threadPayload
	Status string `json:"status"`
}

type assignPayload struct {
	threadPayload
	AgentID storedID  `json:"agent_id"` // 0 or null = none
	From    *storedID `json:"from"`     // who the client believes is the assignee; 0 = none
	Note    string    `json:"note"`
}

type awayPayload struct {
	noPayload
	Away *bool `json:"away"`
}

type blockPayload struct {
	threadPayload
	Address bool `json:"address"`
}

type notePayload struct {
	threadPayload
	Text     string `json:"text"`
	ClientID string `json:"client_id"`
}

type notesPayload struct {
	threadPayload
	Seen *bool `json:"seen"` // absent means true
}

type noteDeletePayload struct {
	threadPayload
	ID storedID `json:"id"`
}

// scalar is a JSON string or number; sites send ids and phone numbers as either.
type scalar string

// UnmarshalJSON implements [json.Unmarshaler].
func (w *scalar) UnmarshalJSON(data []byte) error {
	var number json.Number // json.Number accepts numbers, and strings that contain one
	if len(data) > 0 && data[0] != '"' && json.Unmarshal(data, &number) == nil {
		*w = scalar(number)
		return nil
	}
	return json.Unmarshal(data, (*string)(w))
}

// storedID is the id of something stored: a whole number that JavaScript can hold exactly.
type storedID int64

// parseID parses an id in decimal digits.
func parseID(text string) (storedID, bool) {
	n, err := strconv.ParseInt(text, 10, 64)
	return storedID(n), err == nil && n >= 0 && n <= models.MaxID
}

// UnmarshalJSON implements [json.Unmarshaler].
func (n *storedID) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		return nil
	}
	id, ok := parseID(string(data))
	if !ok {
		return &json.UnmarshalTypeError{Value: "number", Type: reflect.TypeFor[storedID]()}
	}
	*n = id
	return nil
}

// UnmarshalParam accepts a form value.
func (n *storedID) UnmarshalParam(text string) error {
	id, ok := parseID(text)
	if !ok && text != "" {
		return errID
	}
	*n = id
	return nil
}

var errID = apperr.Invalid("id", "id must be a whole number from 0 to 9007199254740991.")
