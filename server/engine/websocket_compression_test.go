package engine_test

import (
	"strings"
	"testing"

	"github.com/gobwas/httphead"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"

	"sohbet/bench/conformance/raw"
	"sohbet/server/engine"
)

var offer = wsflate.Parameters{ServerNoContextTakeover: true, ClientNoContextTakeover: true}

func deflated(t *testing.T, op ws.OpCode, payload string) ws.Frame {
	t.Helper()
	f, err := wsflate.CompressFrame(ws.NewFrame(op, true, []byte(payload)))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func dialDeflate(t *testing.T, host *raw.Host) *raw.Websocket {
	t.Helper()
	w, err := host.Upgrade("EIO=4&transport=websocket", ws.Dialer{Extensions: []httphead.Option{offer.Option()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	if _, _, err := w.Frame(); err != nil { // the open packet
		t.Fatal(err)
	}
	return w
}

func TestCompressionRoundTrip(t *testing.T) {
	s, host := serve(t, engine.Options{Compression: true, MaxPayload: 100_000}, echo)
	w := dialDeflate(t, host)
	for _, payload := range []string{"4short", "4" + strings.Repeat("uzun bir ileti ", 5000), "4" + strings.Repeat("x", 99_999)} {
		for _, op := range []ws.OpCode{ws.OpText, ws.OpBinary} {
			w.SendRaw(raw.Frame(deflated(t, op, payload)))
			f := readCompressed(t, w)
			if f.Header.OpCode != op || string(f.Payload) != payload {
				t.Fatalf("%d bytes: came back as %v of %d", len(payload), f.Header.OpCode, len(f.Payload))
			}
		}
	}
	// Uncompressed frames are still accepted.
	w.Send("4plain")
	w.Expect("4plain")
	// Of a fragmented message, the first frame indicates compression (RFC 7692 §6.1).
	whole := deflated(t, ws.OpText, "4"+strings.Repeat("ab", 500))
	half := len(whole.Payload) / 2
	first := ws.NewFrame(ws.OpText, false, whole.Payload[:half])
	first.Header.Rsv = whole.Header.Rsv
	w.SendRaw(join(raw.Frame(first), frame(ws.OpPing, true, ""), frame(ws.OpContinuation, true, string(whole.Payload[half:]))))
	if f := readCompressed(t, w); len(f.Payload) != 1001 {
		t.Errorf("fragments: %d bytes", len(f.Payload))
	}
	// A client that does not offer compression gets uncompressed frames.
	plain := host.Websocket()
	long := "4" + strings.Repeat("z", 5000)
	plain.Send(long)
	plain.Expect(long)
	if s.Stats().Open != 2 {
		t.Errorf("%d open", s.Stats().Open)
	}
}

// readCompressed reads frames up to a data frame and decompresses it if it is compressed.
func readCompressed(t *testing.T, w *raw.Websocket) ws.Frame {
	t.Helper()
	for {
		f, err := w.Whole()
		if err != nil {
			t.Fatal(err)
		}
		if f.Header.OpCode.IsControl() {
			continue
		}
		if f.Header.Rsv1() {
			if f, err = wsflate.DecompressFrame(f); err != nil {
				t.Fatal(err)
			}
		}
		return f
	}
}

func TestCompressionAbuse(t *testing.T) {
	_, host := serve(t, engine.Options{Compression: true, MaxPayload: 100_000}, echo)
	bystander := host.Websocket()
	bomb := deflated(t, ws.OpText, "4"+strings.Repeat("0", 8<<20))
	if len(bomb.Payload) > 100_000 {
		t.Fatalf("the bomb weighs %d", len(bomb.Payload))
	}
	garbage := ws.NewTextFrame([]byte("this is no deflate stream"))
	garbage.Header.Rsv = ws.Rsv(true, false, false)
	late := ws.NewFrame(ws.OpContinuation, true, []byte("x"))
	late.Header.Rsv = ws.Rsv(true, false, false)
	ping := ws.NewPingFrame(nil)
	ping.Header.Rsv = ws.Rsv(true, false, false)
	for _, c := range []struct {
		name  string
		bytes []byte
		code  ws.StatusCode
	}{
		{"bomb", raw.Frame(bomb), 1009},
		{"garbage", raw.Frame(garbage), 1002},
		{"RSV1 on a continuation", join(frame(ws.OpText, false, "4x"), raw.Frame(late)), 1002},
		{"RSV1 on a ping", raw.Frame(ping), 1002},
		{"invalid UTF-8 inside", raw.Frame(deflated(t, ws.OpText, "4\xff"+strings.Repeat("x", 500))), 1007},
	} {
		w := dialDeflate(t, host)
		w.SendRaw(c.bytes)
		if got := w.Closed(); got.Code != c.code {
			t.Errorf("%s: %v, want %d", c.name, got, c.code)
		}
		bystander.Send("4ok")
		bystander.Expect("4ok")
	}
}

// Compression is off by default: an offer is ignored, and RSV1 is a protocol error.
func TestCompressionOff(t *testing.T) {
	_, host := serve(t, engine.Options{}, echo)
	w := dialDeflate(t, host)
	long := "4" + strings.Repeat("z", 5000)
	w.Send(long)
	w.Expect(long)
	w.SendRaw(raw.Frame(deflated(t, ws.OpText, long)))
	w.ClosedWith(1002)
}
