package engine

import (
	"bytes"
	"net"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

func FuzzDecodePayload(f *testing.F) {
	for _, seed := range []string{"4hello", "4", "", "b", "bAQIDBA==", "4a\x1ebAQ==\x1e4b", "1", "3", "3\x1e4x", "abc", "4a\x1e", "\x1e",
		"4\xff", "4ğ\x1e4\u2028", "b!", "6\x1e5\x1e2\x1e0{}"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		before := bytes.Clone(body)
		var packets []packet
		err := decodePayload(body, func(p packet) bool {
			packets = append(packets, p)
			return true
		})
		if !bytes.Equal(body, before) {
			t.Fatal("the body was changed")
		}
		if err != nil {
			if len(packets) > 0 {
				t.Fatal("packets of a malformed payload were handed on")
			}
			return
		}
		if len(packets) != bytes.Count(body, []byte{separator})+1 {
			t.Fatalf("%d packets", len(packets))
		}
		// Encoding the decoded packets and decoding them again gives the same packets.
		var frames []byte
		for _, p := range packets {
			switch {
			case p.binary:
				frames = AppendBinary(frames, p.data)
			case !utf8.Valid(p.data):
				t.Fatalf("invalid UTF-8 in %q", p.data)
			case p.typ == packetMessage:
				frames = AppendText(frames, p.data)
			default:
				frames = appendPacket(frames, p.typ, string(p.data))
			}
		}
		i := 0
		if err := decodePayload(appendPayload(nil, frames), func(p packet) bool {
			want := packets[i]
			i++
			if p.typ != want.typ || p.binary != want.binary || !bytes.Equal(p.data, want.data) {
				t.Fatalf("packet %d: %+v, was %+v", i-1, p, want)
			}
			return true
		}); err != nil || i != len(packets) {
			t.Fatalf("decoding what was encoded: %v, %d of %d", err, i, len(packets))
		}
	})
}

// nowhere is a connection that discards writes and never has data to read.
type nowhere struct{}

func (nowhere) Read([]byte) (int, error)         { return 0, net.ErrClosed }
func (nowhere) Write(p []byte) (int, error)      { return len(p), nil }
func (nowhere) Close() error                     { return nil }
func (nowhere) LocalAddr() net.Addr              { return nil }
func (nowhere) RemoteAddr() net.Addr             { return nil }
func (nowhere) SetDeadline(time.Time) error      { return nil }
func (nowhere) SetReadDeadline(time.Time) error  { return nil }
func (nowhere) SetWriteDeadline(time.Time) error { return nil }

// FuzzWebsocketFrames feeds the same bytes to the frame decoder at once and in pieces: messages and final error must be the same, and
// the memory held must stay within the limit.
func FuzzWebsocketFrames(f *testing.F) {
	const limit = 4096
	masked := func(frames ...ws.Frame) (out []byte) {
		for _, fr := range frames {
			out = append(out, ws.MustCompileFrame(ws.MaskFrame(fr))...)
		}
		return out
	}
	text := func(s string) ws.Frame { return ws.NewTextFrame([]byte(s)) }
	for _, seed := range [][]byte{
		masked(text("4hello")),
		masked(text("4a"), ws.NewPingFrame([]byte("p")), ws.NewBinaryFrame([]byte{1, 2}), text("1")),
		masked(ws.NewFrame(ws.OpText, false, []byte("4a")), ws.NewPongFrame(nil), ws.NewFrame(ws.OpContinuation, true, []byte("b"))),
		masked(text("4"+strings.Repeat("x", 200)), ws.NewCloseFrame(ws.NewCloseFrameBody(1000, ""))),
		masked(text("4"+strings.Repeat("x", limit)), text("4")),
		{0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0},
		{0xc1, 0x80, 0, 0, 0, 0},
	} {
		f.Add(seed, uint8(1))
		f.Add(seed, uint8(7))
	}
	srv := New(Options{MaxPayload: limit})
	request := httptest.NewRequest("GET", "/", nil)
	f.Fuzz(func(t *testing.T, data []byte, step uint8) {
		run := func(piece int) (messages []string, result error) {
			w := &wsConn{nc: nowhere{}}
			c := srv.newConn(request, w)
			w.conn = c
			defer c.abort(ClosedByServer)
			c.Handle(collector(func(data []byte, binary bool) {
				if !binary && !utf8.Valid(data) {
					t.Fatalf("invalid UTF-8 in %q", data)
				}
				messages = append(messages, string(data))
			}))
			for chunk := range slices.Chunk(bytes.Clone(data), piece) {
				if result = w.on(chunk); result != nil {
					return messages, result
				}
				if len(w.rest) > limit+piece+ws.MaxHeaderSize || len(w.parts) > limit {
					t.Fatalf("holds %d and %d bytes", len(w.rest), len(w.parts))
				}
			}
			return messages, result
		}
		whole, end := run(max(len(data), 1))
		pieces, endInPieces := run(int(step) + 1)
		if !slices.Equal(whole, pieces) || end != endInPieces {
			t.Fatalf("whole: %q %v; in pieces: %q %v", whole, end, pieces, endInPieces)
		}
	})
}

// collector handles the messages of a connection.
type collector func(data []byte, binary bool)

func (c collector) Message(data []byte, binary bool) { c(data, binary) }
func (c collector) Closed(string)                    {}
