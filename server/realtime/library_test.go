package realtime

import (
	"strings"
	"testing"

	"github.com/zishang520/socket.io/v2/socket"

	"sohbet/bench/conformance/raw"
)

// The library decides who may connect: its middleware is asked and its listeners are called, also for several namespaces on one connection.
// Afterwards it keeps nothing.
func TestLibraryAnswersConnect(t *testing.T) {
	s := New(Options{})
	s.OnConnect(func(so *Socket) { so.OnEvent(func(e Event) { e.Ack(e.Args...) }) })
	s.Namespace("/custom", nil)
	heard := make(chan socket.SocketId, 10)
	_ = s.io.On("connection", func(args ...any) { heard <- args[0].(*socket.Socket).Id() })
	s.io.Use(func(so *socket.Socket, next func(*socket.ExtendedError)) {
		if so.Handshake().Auth == nil {
			next(socket.NewExtendedError("who are you", nil))
			return
		}
		next(nil)
	})
	host := raw.Serve(t, s, "/socket.io/")
	w := host.Websocket()
	w.Send("40")
	if got := w.Message(); !strings.HasPrefix(got, `44{`) || !strings.Contains(got, `"message":"who are you"`) {
		t.Errorf("refused with %q", got)
	}
	w.Send(`40{"name":"a"}`, "40/custom,", `421["echo",1]`)
	id := raw.Take(t, heard, "the library's listener")
	if got := w.Message(); got != `40{"sid":"`+string(id)+`"}` {
		t.Errorf("accepted with %q, id %q", got, id)
	}
	if got := w.Message(); !strings.HasPrefix(got, `40/custom,{"sid":"`) {
		t.Errorf("custom: %q", got)
	}
	w.Expect(`431[1]`)
	raw.Until(t, "the library has forgotten the sockets", func() bool { return s.io.Sockets().Sockets().Len() == 0 })
}

// A client that disappears while its CONNECT is being handled leaves nothing in the library.
func TestLibraryForgetsLostClients(t *testing.T) {
	s := New(Options{})
	ended := make(chan struct{}, 100)
	s.OnConnect(func(so *Socket) { so.OnClose(func(string) { ended <- struct{}{} }) })
	arrived, proceed := make(chan struct{}), make(chan struct{})
	s.io.Use(func(_ *socket.Socket, next func(*socket.ExtendedError)) {
		arrived <- struct{}{}
		<-proceed
		next(nil)
	})
	host := raw.Serve(t, s, "/socket.io/")
	for range 20 {
		w := host.Websocket()
		w.Send("40")
		<-arrived
		w.Close()
		proceed <- struct{}{}
	}
	raw.Until(t, "all are forgotten", func() bool { return s.Count() == 0 && s.io.Sockets().Sockets().Len() == 0 })
}
