package engine_test

import (
	"net"
	"strings"
	"testing"

	"sohbet/bench/conformance/raw"
	"sohbet/server/engine"
)

// opaque hides from the engine that its connections are sockets, as TLS does: each is then read by a goroutine.
type opaque struct{ net.Listener }

func (l opaque) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return struct{ net.Conn }{c}, nil
}

func TestWithoutSockets(t *testing.T) {
	s, _ := serve(t, engine.Options{MaxPayload: 100_000, QueueBytes: 1 << 20}, echo)
	host := raw.ServeOn(t, s, "/", func(l net.Listener) net.Listener { return opaque{l} })
	w := host.Websocket()
	long := "4" + strings.Repeat("x", 99_999)
	for range 20 {
		w.Send("4a", long, "4b")
		w.Expect("4a", long, "4b")
	}
	p := host.Polling()
	p.Post("4c")
	u := upgraded(t, p)
	u.Expect("4c")
	for bytes, code := range map[string]int{string(raw.Text("abc")): 1002, string(raw.Text(long + "x")): 1009, string(raw.Text("1")): 1000} {
		other := host.Websocket()
		_, _ = other.Write([]byte(bytes))
		if got := other.Closed(); int(got.Code) != code {
			t.Errorf("%.20q: %v, want %d", bytes, got, code)
		}
	}
	u.Close()
	w.Close()
	raw.Until(t, "nothing is open", func() bool { return s.Stats().Open == 0 })
}
