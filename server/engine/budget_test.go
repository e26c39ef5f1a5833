package engine_test

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"sohbet/bench/conformance/raw"
	"sohbet/server/engine"
)

// unfinished returns a frame of n bytes without its last byte.
func unfinished(n int) []byte {
	frame := raw.Text("4" + strings.Repeat("x", n-1))
	return frame[:len(frame)-1]
}

// Unfinished frames use memory up to the budget; the connections that hold the most are closed, and one that holds little stays open.
func TestUnfinishedFramesAreBounded(t *testing.T) {
	const total = 4 << 20
	s, host := serve(t, engine.Options{TotalBytes: total}, echo)
	bystander := host.Websocket()
	most := int64(0)
	for range 40 {
		w := host.Websocket()
		_, _ = w.Write(unfinished(900_000)) // it may be closed meanwhile
		most = max(most, s.Stats().Held)
	}
	raw.Until(t, "connections are cut", func() bool { return s.Stats().Cut > 20 })
	if most > total+total/2 {
		t.Errorf("%d bytes were held, the budget is %d", most, total)
	}
	bystander.Send("4still here")
	bystander.Expect("4still here")
}

// A client that requests data and does not read it is disconnected, with any transport, when its address exceeds its share; connections
// of another address are not affected.
func TestUnreadAnswersAreBounded(t *testing.T) {
	const share = 1 << 20
	answer := engine.AppendText(nil, bytes.Repeat([]byte("x"), 100_000))
	conns := make(chan *engine.Conn, 100)
	s, host := serve(t, engine.Options{
		AddressBytes: share, RemoteAddr: func(r *http.Request) string { return r.Header.Get("Test-Address") },
	}, func(m *message) {
		m.Conn.Queue(answer, false)
	})
	s.OnConnect(func(c *engine.Conn) { conns <- c })

	host.Header = http.Header{"Test-Address": {"b"}}
	quiet := host.Websocket()
	<-conns
	host.Header = http.Header{"Test-Address": {"a"}}
	var greedy []*engine.Conn
	for range 20 {
		w := host.Websocket()
		greedy = append(greedy, <-conns)
		for range 10 { // more than the kernel buffers
			_, _ = w.Write(raw.Text("4please")) // it may be closed by now
		}
	}
	raw.Until(t, "the address is at its share", func() bool { return s.Stats().Cut > 5 && s.Stats().Held <= share })
	for _, c := range greedy {
		c.Abort(engine.ClosedByServer)
	}
	raw.Until(t, "everything is given back", func() bool { return s.Stats().Held == 0 })
	quiet.Send("4please")
	if m := quiet.Message(); len(m) != 100_001 {
		t.Errorf("the other address got %d bytes", len(m))
	}
}

// A GET whose response is not read ends after BodyTimeout, and releases the bytes it held.
func TestUnreadPollIsCut(t *testing.T) {
	conns := make(chan *engine.Conn, 1)
	s, host := serve(t, engine.Options{BodyTimeout: 200 * time.Millisecond, QueueBytes: 64 << 20}, nil)
	s.OnConnect(func(c *engine.Conn) { conns <- c })
	p := host.Polling()
	(<-conns).Queue(engine.AppendText(nil, bytes.Repeat([]byte("x"), 32<<20)), false)
	conn, err := net.Dial("tcp", host.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "GET %s?%s HTTP/1.1\r\nHost: x\r\n\r\n", host.Path, p.Query()); err != nil {
		t.Fatal(err)
	}
	raw.Until(t, "the answer is being written", func() bool { return s.Stats().Held > 0 })
	raw.Until(t, "the session is cut", func() bool { return s.Stats() == engine.Stats{Opened: 1} })
}

// Until it is trusted a connection may only send small messages, with both transports.
func TestEarlyPayload(t *testing.T) {
	s, host := serve(t, engine.Options{EarlyPayload: 1000}, func(m *message) {
		m.Conn.Trust()
		echo(m)
	})
	long := "4" + strings.Repeat("x", 1000)

	w := host.Websocket()
	_, _ = w.Write(raw.Text(long)[:8]) // the header is enough
	w.ClosedWith(1009)
	if a := host.Polling().Post(long); a.Status != http.StatusRequestEntityTooLarge {
		t.Errorf("a long body: %v", a)
	}

	w = host.Websocket()
	w.Send("4x", long)
	w.Expect("4x", long)
	p := host.Polling()
	if a := p.Post("4x"); !a.Is("ok") {
		t.Error(a)
	}
	if a := p.Post(long); !a.Is("ok") {
		t.Error(a)
	}
	probe, err := host.Upgrade(strings.Replace(p.Query(), "polling", "websocket", 1), ws.Dialer{})
	if err != nil {
		t.Fatal(err)
	}
	_, _ = probe.Write(raw.Text(long)[:8])
	probe.Closed()
	if n := s.Stats().Open; n < 2 {
		t.Errorf("%d sessions are left: the failed upgrade ended its session", n)
	}
}

// A message that stays incomplete, in one or several frames, ends its connection. A client that completes each message in time may
// always have another incomplete one.
func TestUnfinishedMessageEnds(t *testing.T) {
	const patience = 300 * time.Millisecond
	_, host := serve(t, engine.Options{BodyTimeout: patience}, echo)
	frame, fragment := host.Websocket(), host.Websocket()
	frame.SendRaw(raw.Text("4hello")[:5])
	fragment.SendRaw(raw.Frame(ws.NewFrame(ws.OpText, false, []byte("4hel"))))

	steady := host.Websocket()
	stream := raw.Text("4hello")
	steady.SendRaw(stream[:5])
	for end := time.Now().Add(3 * patience); time.Now().Before(end); time.Sleep(patience / 10) {
		steady.SendRaw(stream[5:])
		steady.SendRaw(stream[:5])
		steady.Expect("4hello")
		_, _ = fragment.Write(raw.Frame(ws.NewPongFrame(nil))) // is no progress; it may be closed by now
	}
	frame.ClosedWith(1008)
	fragment.ClosedWith(1008)
}

// Every frame counts towards the packet limit, including those without a handler: a client over the limit is disconnected with a
// reason.
func TestPacketFlood(t *testing.T) {
	const burst = 200
	options := engine.Options{PacketBurst: burst, PacketEvery: time.Hour}
	_, host := serve(t, options, echo)
	for name, frame := range map[string][]byte{
		"noop":           raw.Text("6"),
		"pong":           raw.Text("3"),
		"websocket pong": raw.Frame(ws.NewPongFrame(nil)),
		"websocket ping": raw.Frame(ws.NewPingFrame(nil)),
		"empty fragment": raw.Frame(ws.NewFrame(ws.OpContinuation, false, nil)),
	} {
		t.Run(name, func(t *testing.T) {
			w := host.Websocket()
			if name == "empty fragment" {
				w.SendRaw(raw.Frame(ws.NewFrame(ws.OpText, false, []byte("4"))))
			}
			_, _ = w.Write(bytes.Repeat(frame, burst+1)) // it may be closed by now
			w.ClosedWith(1008)
		})
	}
	p := host.Polling()
	if a := p.Post("6" + strings.Repeat("\x1e6", burst-1)); !a.Is("ok") {
		t.Errorf("as many as allowed: %v", a)
	}
	if a := p.Post("6"); a.Status != http.StatusTooManyRequests {
		t.Errorf("one more: %v", a)
	}
	isOver(t, p)

	options.PacketEvery = time.Millisecond
	_, host = serve(t, options, echo)
	w := host.Websocket()
	for range 2 * burst { // packets at the refill rate never exceed the limit
		w.Send("4x")
		w.Expect("4x")
		time.Sleep(2 * time.Millisecond)
	}
}

// reads counts the bytes read from a listener's connections.
type reads struct {
	net.Listener
	bytes *atomic.Int64
}

func (l reads) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return readConn{c, l.bytes}, err
}

type readConn struct {
	net.Conn
	bytes *atomic.Int64
}

func (c readConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.bytes.Add(int64(n))
	return n, err
}

// After the server closed a session, at most the data already in transit is read.
func TestFloodIsNotReadToItsEnd(t *testing.T) {
	s, _ := serve(t, engine.Options{PacketBurst: 200, PacketEvery: time.Hour}, echo)
	var count atomic.Int64
	host := raw.ServeOn(t, s, "/", func(l net.Listener) net.Listener { return reads{l, &count} })
	w := host.Websocket()
	flood := bytes.Repeat(raw.Text("6"), 5000)
	for {
		if _, err := w.Write(flood); err != nil {
			break
		}
	}
	if n := count.Load(); n > 512<<10 {
		t.Errorf("%d bytes were read", n)
	}
}
