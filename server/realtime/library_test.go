package realtime_test

import (
	"testing"
	"time"

	"github.com/zishang520/socket.io/v2/socket"

	"sohbet/bench/conformance/raw"
	"sohbet/server/realtime"
)

// The library's own methods for rooms use this package's adapter, and reach the same members.
func TestLibraryBroadcasts(t *testing.T) {
	s, host := serve(t, realtime.Options{}, rooms)
	inA, idA := member(t, host, 0, "a")
	inB, _ := member(t, host, 0, "b")
	both, idBoth := member(t, host, 0, "a", "b")
	io := s.Library()
	check := func(what string, emit func(ev string, args ...any) error, toA, toB, toBoth bool) {
		t.Helper()
		if err := emit("x", what, map[string]any{"k": "<"}); err != nil {
			t.Fatal(err)
		}
		for w, gets := range map[*raw.Websocket]bool{inA: toA, inB: toB, both: toBoth} {
			if gets {
				w.Expect(`42["x","` + what + `",{"k":"<"}]`)
			}
			nothingMore(t, w)
		}
	}
	check("everybody", io.Sockets().Emit, true, true, true)
	check("a", io.To("a").Emit, true, false, true)
	check("a and b", io.To("a", "b").Emit, true, true, true)
	check("a without b", io.To("a").Except("b").Emit, true, false, false)
	check("all but a", io.Except("a").Emit, false, true, false)
	check("one", io.To(socket.Room(idA)).Emit, true, false, false)
	check("all but one", io.Except(socket.Room(idBoth)).Emit, true, true, false)
	check("an empty room", io.To("c").Emit, false, false, false)
	check("volatile", io.Volatile().To("b").Emit, false, true, true)

	if err := io.To("b").Emit("bytes", []byte{1, 2}); err != nil {
		t.Fatal(err)
	}
	for _, w := range []*raw.Websocket{inB, both} {
		w.Expect(`451-["bytes",{"_placeholder":true,"num":0}]`, "\x01\x02")
		nothingMore(t, w)
	}
}

func TestLibraryMovesSockets(t *testing.T) {
	s, host := serve(t, realtime.Options{}, rooms)
	a, _ := member(t, host, 0, "a")
	b, _ := member(t, host, 0, "b")
	io := s.Library()
	io.In("a").SocketsJoin("c", "b")
	if s.Members("c") != 1 || s.Members("b") != 2 {
		t.Errorf("%d in c, %d in b", s.Members("c"), s.Members("b"))
	}
	io.In("b").SocketsLeave("b")
	if s.Members("b") != 0 || s.Members("a") != 1 {
		t.Errorf("%d in b, %d in a", s.Members("b"), s.Members("a"))
	}
	found := make(chan int, 1)
	io.In("a").FetchSockets()(func(sockets []*socket.RemoteSocket, err error) {
		if err != nil {
			t.Error(err)
		}
		found <- len(sockets)
	})
	if n := raw.Take(t, found, "the sockets"); n != 1 {
		t.Errorf("%d found", n)
	}
	io.In("a").DisconnectSockets(true)
	a.ClosedWith(1000)
	raw.Until(t, "it has left", func() bool { return s.Members("a") == 0 && s.Members("c") == 0 })
	nothingMore(t, b)
}

func TestLibraryBroadcastWithAcks(t *testing.T) {
	s, host := serve(t, realtime.Options{}, rooms)
	answers := make(chan []any, 1)
	s.Library().Timeout(raw.Patience).To("a").Emit("nobody", socket.Ack(func(args []any, err error) { answers <- args }))
	if got := raw.Take(t, answers, "the acknowledgements of an empty room"); len(got) != 0 {
		t.Errorf("an empty room acknowledged %v", got)
	}
	w, _ := member(t, host, 0, "a")
	v, _ := member(t, host, 0, "a")
	s.Library().Timeout(raw.Patience).To("a").Emit("ask", socket.Ack(func(args []any, err error) { answers <- args }))
	for _, w := range []*raw.Websocket{w, v} {
		m := w.Message()
		id := m[2 : len(m)-len(`["ask"]`)]
		w.Send("43" + id + `["answer"]`)
	}
	if got := raw.Take(t, answers, "the answers"); len(got) != 2 {
		t.Errorf("got %v", got)
	}
	// A socket that does not acknowledge in time causes an error.
	errs := make(chan error, 1)
	s.Library().Timeout(50*time.Millisecond).To("a").Emit("ask", socket.Ack(func(args []any, err error) { errs <- err }))
	if err := raw.Take(t, errs, "the timeout"); err == nil {
		t.Error("no error")
	}
}
