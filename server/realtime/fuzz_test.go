package realtime

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/zishang520/socket.io-go-parser/v2/parser"

	"sohbet/server/engine"
)

var packetSeeds = []string{
	`0`, `0{}`, `0{"token":"x"}`, `0/custom,{"a":1}`, `0/custom`, `1`, `1/custom,`, `2["message"]`, `2["message",1,"2",{"3":[true]}]`,
	`2/custom,12["m\u0061",null,[],{}]`, `212["a","]",{"[":"}"},"\\"]`, `3456[1,"2",{"3":[false]}]`, `31[]`, `3["x"]`, `4{"message":"x"}`,
	`52-["message",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`, `62-789[{"_placeholder":true,"num":0}]`, `50-["x",1]`,
	`51-["x",{"_placeholder":true,"num":7}]`, `51000-["x"]`, `2[]`, `2{}`, `2[ "a" , 1 ]`, `2["a",[[[[]]]],-0,1e999]`, `9`, ``, `2["connect"]`,
}

// FuzzDecodePacket checks that decoding keeps every byte of what it splits, and agrees with encoding/json.
func FuzzDecodePacket(f *testing.F) {
	for _, seed := range packetSeeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if !utf8.Valid(text) {
			return // the engine rejects it
		}
		before := bytes.Clone(text)
		p, err := decodePacket(text)
		if !bytes.Equal(text, before) {
			t.Fatal("the text was changed")
		}
		if err != nil {
			return
		}
		if args, ok := p.Data.([]any); ok {
			checkArgs(t, p, args, text)
		}
		if p.Attachments != nil && *p.Attachments > maxAttachments {
			t.Fatalf("%d attachments", *p.Attachments)
		}
		// Encoding the decoded packet and decoding it again gives the same packet.
		encoded, err := appendPacket(nil, p)
		if err != nil {
			t.Fatal(err)
		}
		again, err := decodePacket(encoded)
		if err != nil {
			t.Fatalf("%q from %q: %v", encoded, text, err)
		}
		if !reflect.DeepEqual(p, again) {
			t.Fatalf("%q became %q: %+v and %+v", text, encoded, p, again)
		}
	})
}

func checkArgs(t *testing.T, p *parser.Packet, args []any, text []byte) {
	array := text[bytes.IndexByte(text, '['):]
	if strings.HasPrefix(p.Nsp, "/") && len(p.Nsp) > 1 { // a namespace may contain a bracket
		_, after, _ := bytes.Cut(text, []byte{','})
		array = after[bytes.IndexByte(after, '['):]
	}
	var want []json.RawMessage
	if err := json.Unmarshal(array, &want); err != nil || len(want) != len(args) {
		t.Fatalf("%q: %d arguments, json finds %d (%v)", text, len(args), len(want), err)
	}
	for i, arg := range args {
		if name, ok := arg.(string); ok && i == 0 {
			var s string
			if err := json.Unmarshal(want[0], &s); err != nil || s != name {
				t.Fatalf("%q: name %q, json reads %q (%v)", text, name, s, err)
			}
			continue
		}
		if raw := arg.(json.RawMessage); !bytes.Equal(raw, want[i]) {
			t.Fatalf("%q: argument %d is %q, json finds %q", text, i, raw, want[i])
		}
	}
}

// FuzzDecoder feeds a connection's messages, separated by U+001E and binary if they begin with "b", to one decoder: it must not panic,
// or hold more attachments than allowed.
func FuzzDecoder(f *testing.F) {
	for _, seed := range packetSeeds {
		f.Add([]byte(seed + "\x1ebone\x1ebtwo\x1e2[\"x\"]"))
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		d := &decoder{}
		for message := range bytes.SplitSeq(stream, []byte{0x1e}) {
			m := &engine.Message{Data: message}
			if bytes.HasPrefix(message, []byte("b")) {
				m.Data, m.Binary = message[1:], true
			}
			p, err := d.decode(m)
			if err != nil {
				return // the connection is closed
			}
			if len(d.attachments) > maxAttachments || d.weight > maxAttachmentBytes {
				t.Fatalf("holds %d attachments of %d bytes", len(d.attachments), d.weight)
			}
			if p == nil {
				continue
			}
			if p.Attachments != nil || p.Nsp == "" || !strings.HasPrefix(p.Nsp, "/") {
				t.Fatalf("%+v", p)
			}
			if p.Type == parser.EVENT || p.Type == parser.BINARY_EVENT {
				if _, ok := p.Data.([]any)[0].(string); !ok {
					t.Fatalf("an event without a name: %+v", p)
				}
			}
			if p.Type == parser.EVENT || p.Type == parser.BINARY_EVENT || p.Type == parser.ACK || p.Type == parser.BINARY_ACK {
				out := *p // like a handler that sends it back
				if out.Type = parser.EVENT; p.Id != nil {
					out.Type = parser.ACK
				}
				if _, err := encodeFrames(&out); err != nil {
					t.Fatalf("%+v does not encode: %v", p, err)
				}
			}
		}
	})
}
