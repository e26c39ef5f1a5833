package handlers

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"sohbet/server/apperr"
	"sohbet/server/realtime"
)

func TestJSONFaults(t *testing.T) {
	for raw, want := range map[string]string{
		`{"text":"plain","n":[1,2,{"a":"b"}]}`:        "",
		`{"text":"\ud83d\ude00 \uD83D\uDE00 \u00e7"}`: "",
		`{"text":"\\ud800 \\u0000 \\\\\" \/"}`:        "",
		`{"text":"\ud800"}`:                           "text",
		`{"text":"\uDC00\uD800"}`:                     "text",
		`{"text":"\ud800\ud83d\ude00"}`:               "text",
		`{"text":"\ud83d\u0041"}`:                     "text",
		`{"text":"\\\ud800"}`:                         "text",
		`{"a":"x","b":{"c":["y","\ud800"],"d":1}}`:    "b.c",
		`{"a":{"b":"\u0000"},"c":"\udfff"}`:           "a.b c",
		`{"a":{"b":{"c":{"d":"\u0000"}}}}`:            "a.b",
		`{"a":"ok","\ud800":1,"b":"\u0000"}`:          " b",
		"{\"a\":\"\xff\",\"b\":\"\xc3\x28\",\"c\":1}": "a b",
		`["\ud800"]`: "",
		`{"a":[{"b":"\ud800"},"\ud800"],"c":"\u0000"}`: "a c",
	} {
		faults, clean := jsonFaults([]byte(raw))
		var names []string
		for _, f := range faults {
			names = append(names, f.field)
			if !strings.HasPrefix(f.err().(*apperr.Error).Message, f.field) {
				t.Errorf("%s: %v", raw, f.err())
			}
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s: fields %q, want %q", raw, got, want)
		}
		var v any
		if err := json.Unmarshal(clean, &v); err != nil || strings.ContainsAny(fmt.Sprint(v), "\ufffd\x00") {
			t.Errorf("%s is cleaned to %s: %v", raw, clean, err)
		}
		if len(faults) == 0 && want == "" && !strings.HasPrefix(raw, `[`) && string(clean) != raw {
			t.Errorf("%s was changed to %s", raw, clean)
		}
	}
}

// A payload of faults alone, and one nested deeply, take one pass: the number of faults kept is bounded.
func TestManyFaultsAreBounded(t *testing.T) {
	var many strings.Builder
	many.WriteString(strings.Repeat(`{"a":`, 5000) + `[`)
	for range 50_000 {
		many.WriteString(`"\ud800",`)
	}
	many.WriteString(`1]` + strings.Repeat(`}`, 5000))
	var fields strings.Builder
	for i := range 50_000 {
		fields.WriteString(`"f` + string(rune('a'+i%26)) + strings.Repeat("x", i%300) + `":"\u0000",`)
	}
	for _, raw := range []string{many.String(), "{" + fields.String() + `"z":1}`} {
		if faults, clean := jsonFaults([]byte(raw)); len(faults) == 0 || len(faults) > maxFaults || !json.Valid(clean) {
			t.Errorf("%d faults", len(faults))
		}
	}
}

// Every text of every event is refused by the name of its field if it cannot be stored, except what visitors do not type.
func TestTextsOfEvents(t *testing.T) {
	for name, event := range clientEvents {
		for _, field := range textFields(reflect.TypeOf(event.payload)) {
			if field == "page_title" || name == "join" && field == "page_url" {
				continue
			}
			for _, bad := range []string{`\ud83d`, `a\udc00b`, `\u0000`} {
				raw := `{"` + field + `":"` + bad + `"}`
				var refused *apperr.Error
				err := event.handle(nil, t.Context(), realtime.Event{Name: name, Args: []any{json.RawMessage(raw)}}) // refused before the peer is used
				if !errors.As(err, &refused) || refused.Field != field || refused.Code != apperr.CodeValidation {
					t.Errorf("%s %s: %+v", name, raw, err)
				}
			}
		}
	}
	raw := `{"display_name":"Ada \ud83d","page_title":"A\ud800B","page_url":"https://shop.example/\ud800","identity":{"id":"7","hash":"x"}}`
	in, err := decodePayload[joinPayload](realtime.Event{Args: []any{json.RawMessage(raw)}})
	if err != nil || strings.TrimSpace(in.DisplayName) != "Ada" || strings.Join(strings.Fields(in.PageTitle), " ") != "A B" {
		t.Errorf("what an embedding site supplies: %+v, %v", in, err)
	}
	raw = `{"identity":{"id":"\ud800","hash":"x"}}`
	if _, err := decodePayload[joinPayload](realtime.Event{Args: []any{json.RawMessage(raw)}}); err == nil {
		t.Error("an identity that is no text is accepted")
	}
}

// textFields are the names of a payload's texts.
func textFields(t reflect.Type) (names []string) {
	for i := range t.NumField() {
		f := t.Field(i)
		switch {
		case f.Anonymous:
			names = append(names, textFields(f.Type)...)
		case f.Type.Kind() == reflect.String:
			names = append(names, f.Tag.Get("json"))
		}
	}
	return names
}

func TestStoredIDs(t *testing.T) {
	for raw, want := range map[string]storedID{"0": 0, "1": 1, "9007199254740991": 9007199254740991, "null": 0} {
		in, err := decodePayload[markPayload](realtime.Event{Args: []any{json.RawMessage(`{"last_id":` + raw + `}`)}})
		if err != nil || in.LastID != want {
			t.Errorf("%s: %d, %v", raw, in.LastID, err)
		}
	}
	for _, raw := range []string{"-1", "1.5", "1.0", "1e3", "9007199254740992", "9223372036854775807", "9223372036854775808", "1e400", `"7"`, "{}", "true"} {
		for field, ask := range map[string]func(realtime.Event) error{
			"last_id":   func(e realtime.Event) error { _, err := decodePayload[markPayload](e); return err },
			"before_id": func(e realtime.Event) error { _, err := decodePayload[historyPayload](e); return err },
			"after_id":  func(e realtime.Event) error { _, err := decodePayload[historyPayload](e); return err },
			"id":        func(e realtime.Event) error { _, err := decodePayload[editPayload](e); return err },
		} {
			var refused *apperr.Error
			err := ask(realtime.Event{Args: []any{json.RawMessage(`{"thread_id":"x","` + field + `":` + raw + `}`)}})
			if !errors.As(err, &refused) || refused.Field != field || !strings.HasPrefix(refused.Message, field+" must be a whole number") {
				t.Errorf("%s %s: %+v", field, raw, refused)
			}
		}
	}
}

func BenchmarkDecodeMessage(b *testing.B) {
	text, err := json.Marshal(strings.Repeat("Merhaba, günaydın! ", 10))
	if err != nil {
		b.Fatal(err)
	}
	e := realtime.Event{Args: []any{json.RawMessage(`{"thread_id":"0f8fad5b-d9cb-469f-a165-70867728950e","client_id":"c1","text":` + string(text) + `}`)}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := decodePayload[messagePayload](e); err != nil {
			b.Fatal(err)
		}
	}
}

// A long name of a field is neither repeated in the answer nor copied for each fault in it.
func TestLongNamesAreCut(t *testing.T) {
	raw := []byte(`{"` + strings.Repeat("x", 200_000) + `":{` + strings.Repeat(`"a":"\u0000",`, 20_000) + `"b":1}}`)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	faults, _ := jsonFaults(raw)
	runtime.ReadMemStats(&after)
	if len(faults) != 1 || len(faults[0].field) > 2*maxName+1 {
		t.Errorf("%d faults", len(faults))
	}
	if bytes := after.TotalAlloc - before.TotalAlloc; bytes > 64<<20 { // with the whole name it would be 8 GB
		t.Errorf("%d bytes were allocated for %d", bytes, len(raw))
	}
}
