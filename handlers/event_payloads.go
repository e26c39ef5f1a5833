package handlers

import "encoding/json"

// payload is the JSON object of an event.
type payload interface {
	thread() string // its thread_id, "" if it has none
}

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
}

type historyPayload struct {
	threadPayload
	BeforeID int64  `json:"before_id"`
	AfterID  *int64 `json:"after_id"` // 0 means "from the first message", which differs from absent
	Limit    int    `json:"limit"`
}

// markPayload marks a thread as read or received up to a message.
type markPayload struct {
	threadPayload
	LastID int64 `json:"last_id"`
}

type pagePayload struct {
	threadPayload
	PageURL   string `json:"page_url"`
	PageTitle string `json:"page_title"`
}

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
}

type editPayload struct {
	threadPayload
	ID   int64  `json:"id"`
	Text string `json:"text"`
}

type statusPayload struct {
	threadPayload
	Status string `json:"status"`
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

type noteDeletePayload struct {
	threadPayload
	ID int64 `json:"id"`
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
