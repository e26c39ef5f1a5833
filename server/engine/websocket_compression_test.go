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

// There is no compression, which costs CPU time and memory: an offer is ignored, and RSV1 is a protocol error.
func TestCompressionIsNotOffered(t *testing.T) {
	_, host := serve(t, engine.Options{}, echo)
	w := dialDeflate(t, host)
	long := "4" + strings.Repeat("z", 5000)
	w.Send(long)
	w.Expect(long)
	w.SendRaw(raw.Frame(deflated(t, ws.OpText, long)))
	w.ClosedWith(1002)
}
