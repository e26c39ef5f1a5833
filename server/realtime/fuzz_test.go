package realtime

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
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
		var p packet
		err := p.decode(text)
		if !bytes.Equal(text, before) {
			t.Fatal("the text was changed")
		}
		if err != nil {
			return
		}
		checkArgs(t, &p, text)
		if p.attachments > maxAttachments {
			t.Fatalf("%d attachments", p.attachments)
		}
		// Encoding the decoded packet and decoding it again gives the same packet.
		sent := p
		if p.data != nil {
			sent.value = p.data
		}
		encoded, err := sent.append(nil)
		if err != nil {
			t.Fatal(err)
		}
		var again packet
		if err := again.decode(encoded); err != nil {
			t.Fatalf("%q from %q: %v", encoded, text, err)
		}
		if len(p.args) == 0 && len(again.args) == 0 {
			p.args, again.args = nil, nil
		}
		if !reflect.DeepEqual(p, again) {
			t.Fatalf("%q became %q: %+v and %+v", text, encoded, p, again)
		}
	})
}

func checkArgs(t *testing.T, p *packet, text []byte) {
	if p.typ == packetConnect || p.typ == packetDisconnect {
		return
	}
	array := text[bytes.IndexByte(text, '['):]
	if strings.HasPrefix(p.nsp, "/") && len(p.nsp) > 1 { // a namespace may contain a bracket
		_, after, _ := bytes.Cut(text, []byte{','})
		array = after[bytes.IndexByte(after, '['):]
	}
	var want []json.RawMessage
	err := json.Unmarshal(array, &want)
	if err == nil && (p.typ == packetEvent || p.typ == packetBinaryEvent) {
		var s string
		if len(want) == 0 || json.Unmarshal(want[0], &s) != nil || s != p.name {
			t.Fatalf("%q: name %q, json reads %q", text, p.name, s)
		}
		want = want[1:]
	}
	if err != nil || len(want) != len(p.args) {
		t.Fatalf("%q: %d arguments, json finds %d (%v)", text, len(p.args), len(want), err)
	}
	for i, arg := range p.args {
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
			data, binary := bytes.CutPrefix(message, []byte("b"))
			var p packet
			complete, err := d.decode(&p, bytes.Clone(data), binary)
			if err != nil {
				return // the connection is closed
			}
			if d.weight > maxAttachmentBytes || d.pending != nil && len(d.pending.received) >= maxAttachments {
				t.Fatalf("holds %+v, %d bytes", d.pending, d.weight)
			}
			if !complete {
				continue
			}
			if d.pending != nil || p.nsp == "" || !strings.HasPrefix(p.nsp, "/") {
				t.Fatalf("%+v", p)
			}
			out := p // like a handler that sends it back
			switch p.typ {
			case packetEvent, packetBinaryEvent, packetAck, packetBinaryAck:
				if out.typ = packetEvent; p.hasID {
					out.typ = packetAck
				}
				if _, err := encodeFrames(&out); err != nil {
					t.Fatalf("%+v does not encode: %v", p, err)
				}
			}
		}
	})
}
