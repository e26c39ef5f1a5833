package handlers

import (
	"encoding/json"
	"errors"
	"testing"
)

// Sites send ids and phone numbers as strings or numbers; for any other type the error names the field.
func TestNumbersAsText(t *testing.T) {
	for text, want := range map[string]string{`"+90 555"`: "+90 555", `905551112233`: "905551112233", `null`: ""} {
		var in joinPayload
		if err := json.Unmarshal([]byte(`{"phone_number":`+text+`,"identity":{"id":`+text+`,"hash":"x"}}`), &in); err != nil ||
			string(in.PhoneNumber) != want || string(in.Identity.ID) != want || in.Identity.Hash != "x" {
			t.Errorf("%s: %+v, %v", text, in, err)
		}
	}
	for field, text := range map[string]string{"phone_number": `{"phone_number":true}`, "identity.id": `{"identity":{"id":[1]}}`} {
		var in joinPayload
		var wrong *json.UnmarshalTypeError
		if err := json.Unmarshal([]byte(text), &in); !errors.As(err, &wrong) || wrong.Field != field {
			t.Errorf("%s: %v", text, err)
		}
	}
}
