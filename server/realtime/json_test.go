package realtime

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzSplitArray checks that what is accepted and how it is split agrees with encoding/json.
func FuzzSplitArray(f *testing.F) {
	for _, seed := range []string{
		`[]`, `[ ]`, `[1]`, ` [1]`, `[1] `, `[1]x`, `[1,]`, `[,1]`, `[[],{}]`, `[{"a":1,"b":[true,false,null]}]`, `[{"a" : { } , "b" : [ ] }]`,
		`[{"a":1,}]`, `[{1:2}]`, `[{"a"}]`, `[{"a":}]`, `[{]`, `[[}]`, `[[1}]`, `[{"a":1]`, `[-0,0.1e-7,1E+2]`, `[01]`, `[-]`, `[1.]`, `[.5]`, `[1e]`, `[+1]`,
		`["\"\\\/\b\f\n\r\t\u00e9"]`, `["\x"]`, `["\u12g4"]`, `["\u123`, "[\"\n\"]", `["a`, `[tru]`, `[truex]`, `[nul`, `[`, ``, `{}`, "[\t1\r\n,2 ]",
		strings.Repeat("[", 100) + strings.Repeat("]", 100), strings.Repeat(`[{"a":`, 40) + "1" + strings.Repeat("}]", 40),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if !utf8.Valid(text) {
			return // the engine rejects it
		}
		args, ok := splitArray(nil, text)
		var want []json.RawMessage
		valid := len(text) > 0 && text[0] == '[' && json.Unmarshal(text, &want) == nil && len(want) <= maxArgs
		if ok != valid {
			t.Fatalf("%q: accepted %v, json %v", text, ok, valid)
		}
		if !ok {
			return
		}
		if len(args) != len(want) {
			t.Fatalf("%q: %d elements, json finds %d", text, len(args), len(want))
		}
		for i, arg := range args {
			if !bytes.Equal(arg.(json.RawMessage), want[i]) {
				t.Fatalf("%q: element %d is %q, json finds %q", text, i, arg, want[i])
			}
		}
	})
}

func TestSplitArrayDepth(t *testing.T) {
	for depth, want := range map[int]bool{10_000: true, 10_001: false, 1_000_000: false} {
		text := []byte(strings.Repeat("[", depth) + strings.Repeat("]", depth))
		if _, ok := splitArray(nil, text); ok != want || json.Valid(text) != want {
			t.Errorf("depth %d: accepted %v, json %v", depth, ok, json.Valid(text))
		}
	}
}
