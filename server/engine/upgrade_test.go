package engine_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"sohbet/bench/conformance/raw"
	"sohbet/server/engine"
)

func upgradeQuery(p *raw.Polling) string { return "EIO=4&transport=websocket&sid=" + p.Open.SID }

// upgraded upgrades a session.
func upgraded(t *testing.T, p *raw.Polling) *raw.Websocket {
	t.Helper()
	w := p.Host.Plain(upgradeQuery(p))
	w.Send("2probe")
	w.Expect("3probe")
	w.Send("5")
	return w
}

func TestUpgrade(t *testing.T) {
	host := conform(t)
	for _, waits := range []bool{true, false} { // the GET that is answered with a noop is already waiting, or new
		p := host.Polling()
		var home <-chan raw.Answer
		if waits {
			home = p.Later(context.Background())
			time.Sleep(30 * time.Millisecond)
		}
		w := host.Plain(upgradeQuery(p))
		w.Send("2probe")
		w.Expect("3probe")
		if !waits {
			home = p.Later(context.Background())
		}
		if a := raw.Take(t, home, "the GET"); !a.Is("6") {
			t.Errorf("waiting %v: GET got %v, want a noop", waits, a)
		}
		w.Send("5")
		w.Send("4hello")
		w.Expect("4hello")
		if a := p.Get(); a.Status != http.StatusBadRequest {
			t.Errorf("GET after the upgrade: %v", a)
		}
		if a := p.Post("4x"); a.Status != http.StatusBadRequest {
			t.Errorf("POST after the upgrade: %v", a)
		}
	}
}

// Heartbeats move to the websocket too: a ping that was not polled is sent there.
func TestHeartbeatMovesToTheNewTransport(t *testing.T) {
	p := ticking(t).Polling()
	w := upgraded(t, p)
	w.Pings = true
	for range 3 {
		w.Expect("2")
		w.Send("3")
	}
}

// A GET sent directly after the upgrade packet on another connection finds the session upgraded.
func TestGetRightBehindUpgrade(t *testing.T) {
	_, host := serve(t, engine.Options{}, echo)
	for i := range 300 {
		p := host.Polling()
		w := host.Plain(upgradeQuery(p))
		w.Send("2probe")
		w.Expect("3probe")
		w.Send("5")
		start := time.Now()
		a := p.Get()
		// If the machine stalled for long enough, the noop that ends a GET during the probe is also correct.
		if a.Status != http.StatusBadRequest && !(a.Is("6") && time.Since(start) > 100*time.Millisecond) {
			t.Fatalf("round %d: GET got %v", i, a)
		}
		w.Send("4x")
		w.Expect("4x")
		w.Close()
	}
}

func TestSecondWebsocket(t *testing.T) {
	host := conform(t)
	p := host.Polling()
	first := upgraded(t, p)
	second := host.Plain(upgradeQuery(p))
	_, _ = second.Write(raw.Text("2probe"))
	second.Closed()
	first.Send("4goes on")
	first.Expect("4goes on")

	// A session that started on a websocket cannot be upgraded.
	native := host.Websocket()
	other := host.Plain("EIO=4&transport=websocket&sid=" + native.Open.SID)
	other.Closed()
	native.Send("4goes on")
	native.Expect("4goes on")

	// A second websocket is refused while the first is being probed.
	p = host.Polling()
	first = host.Plain(upgradeQuery(p))
	first.Send("2probe")
	first.Expect("3probe")
	host.Plain(upgradeQuery(p)).Closed()
	first.Send("5", "4x")
	first.Expect("4x")
}

// After an abandoned upgrade the session keeps polling, and may try again.
func TestAbandonedUpgrade(t *testing.T) {
	_, host := serve(t, engine.Options{UpgradeTimeout: 200 * time.Millisecond}, echo)
	bad := map[string]func(w *raw.Websocket){
		"closed at once":       func(w *raw.Websocket) { w.Close() },
		"closed after probing": func(w *raw.Websocket) { w.Send("2probe"); w.Expect("3probe"); w.Close() },
		"wrong probe":          func(w *raw.Websocket) { w.Send("2prob"); w.Closed() },
		"message instead":      func(w *raw.Websocket) { w.Send("4x"); w.Closed() },
		"upgrade unprobed":     func(w *raw.Websocket) { w.Send("5"); w.Closed() },
		"binary":               func(w *raw.Websocket) { w.SendRaw(raw.Binary("2probe")); w.Closed() },
		"violation":            func(w *raw.Websocket) { w.SendRaw([]byte{0xff, 0xff}); w.Closed() },
		"silence":              func(w *raw.Websocket) { w.Closed() },
		"silence after probing": func(w *raw.Websocket) {
			w.Send("2probe")
			w.Expect("3probe")
			w.Closed()
		},
	}
	for name, act := range bad {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			p := host.Polling()
			act(host.Plain(upgradeQuery(p)))
			for _, message := range []string{"4one", "4two"} {
				if a := p.Post(message); !a.Is("ok") {
					t.Fatalf("POST: %v", a)
				}
				for {
					a := p.Get()
					if a.Is("6") { // from the probe
						continue
					}
					if !a.Is(message) {
						t.Fatalf("GET: %v, want %q", a, message)
					}
					break
				}
			}
			var again *raw.Websocket
			raw.Until(t, "another try", func() bool { // the server may not have noticed yet that the first one is gone
				again = host.Plain(upgradeQuery(p))
				if _, err := again.Write(raw.Text("2probe")); err != nil {
					return false
				}
				answer, err := again.Next()
				return err == nil && answer == "3probe"
			})
			again.Send("5", "4three")
			again.Expect("4three")
		})
	}
}

// A GET that the client aborts after the upgrade does not end the session.
func TestGetAbortedAfterUpgrade(t *testing.T) {
	_, host := serve(t, engine.Options{}, echo)
	for range 50 {
		p := host.Polling()
		w := host.Plain(upgradeQuery(p))
		w.Send("2probe")
		w.Expect("3probe")
		ctx, cancel := context.WithCancel(context.Background())
		behind := p.Later(ctx)
		w.Send("5", "4x")
		w.Expect("4x")
		cancel()
		raw.Take(t, behind, "the GET")
		w.Send("4y")
		w.Expect("4y")
		w.Close()
	}
}

// Packets sent by the server during an upgrade arrive once and in order: first those received by GETs, then those on the websocket.
func TestUpgradeKeepsOrder(t *testing.T) {
	const numbers = 200
	s, host := serve(t, engine.Options{}, nil)
	s.OnConnect(func(c *engine.Conn) {
		go func() {
			for i := range numbers {
				c.Queue(engine.AppendText(nil, strconv.AppendInt(nil, int64(i), 10)), false)
				if i%8 == 0 {
					time.Sleep(50 * time.Microsecond)
				}
			}
		}()
	})
	for round := range 300 {
		p := host.Polling()
		var got []string
		polled := make(chan error, 1)
		home := make(chan struct{}) // the probe is answered: polling ends when the next GET returns
		go func() {
			for {
				a, err := p.Poll(context.Background())
				if err != nil || a.Status != http.StatusOK {
					polled <- fmt.Errorf("GET got %v, %v", a, err)
					return
				}
				for _, packet := range strings.Split(a.Body, "\x1e") {
					if packet != "6" {
						got = append(got, packet)
					}
				}
				select {
				case <-home:
					polled <- nil
					return
				default:
				}
			}
		}()
		time.Sleep(time.Duration(round%7) * 100 * time.Microsecond)
		w := host.Plain(upgradeQuery(p))
		w.Send("2probe")
		w.Expect("3probe")
		close(home)
		if err := raw.Take(t, polled, "the last GET"); err != nil {
			t.Fatal(err)
		}
		w.Send("5")
		late := p.Later(context.Background())
		if a := raw.Take(t, late, "the GET behind the upgrade"); a.Status == http.StatusOK && !a.Is("6") {
			got = append(got, strings.Split(a.Body, "\x1e")...) // it arrived before the upgrade packet
		}
		for len(got) < numbers {
			got = append(got, w.Message())
		}
		for i, packet := range got {
			if packet != "4"+strconv.Itoa(i) {
				t.Fatalf("round %d: %q in place %d", round, packet, i)
			}
		}
		w.Send("1")
		w.Closed()
	}
}

// Messages sent over polling and then over the websocket are handled in that order.
func TestUpgradeKeepsOrderInbound(t *testing.T) {
	got := make(chan string, 100)
	_, host := serve(t, engine.Options{}, func(m *message) { got <- string(m.Data) })
	for range 100 {
		p := host.Polling()
		p.Post("4a\x1e4b")
		w := host.Plain(upgradeQuery(p))
		w.Send("2probe")
		p.Post("4c")
		w.Expect("3probe")
		w.Send("5", "4d", "4e")
		for _, want := range []string{"a", "b", "c", "d", "e"} {
			if m := raw.Take(t, got, want); m != want {
				t.Fatalf("got %q, want %q", m, want)
			}
		}
		w.Close()
	}
}

func TestEndDuringUpgrade(t *testing.T) {
	s, host := serve(t, engine.Options{}, echo)
	p := host.Polling()
	w := host.Plain(upgradeQuery(p))
	w.Send("2probe")
	w.Expect("3probe")
	p.Post("1")
	w.Closed()
	isOver(t, p)

	p = host.Polling()
	w = host.Plain(upgradeQuery(p))
	w.Send("2probe")
	w.Expect("3probe")
	ctx, cancel := context.WithTimeout(context.Background(), raw.Patience)
	defer cancel()
	if err := s.Close(ctx, engine.ClosedRestart); err != nil {
		t.Fatal(err)
	}
	w.Closed()
}

// pongs is a listener whose connections report each pong frame on given, and block writing it until goOn is closed.
type pongs struct {
	net.Listener
	given, goOn chan struct{}
}

func (l pongs) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return pongConn{c, l}, err
}

type pongConn struct {
	net.Conn
	l pongs
}

func (c pongConn) Write(p []byte) (int, error) {
	if ws.OpCode(p[0]&0x0f) == ws.OpPong && p[0]&0x80 != 0 {
		c.l.given <- struct{}{}
		<-c.l.goOn
	}
	return c.Conn.Write(p)
}

// Publishing to a connection does not block on a client that does not read its websocket during an upgrade.
func TestPublishWhileProbeIsNotRead(t *testing.T) {
	conns := make(chan *engine.Conn, 1)
	s, _ := serve(t, engine.Options{}, nil)
	s.OnConnect(func(c *engine.Conn) { conns <- c })
	given, goOn := make(chan struct{}, 1), make(chan struct{})
	allow := sync.OnceFunc(func() { close(goOn) })
	host := raw.ServeOn(t, s, "/", func(l net.Listener) net.Listener { return pongs{l, given, goOn} })
	t.Cleanup(allow)
	p := host.Polling()
	c := raw.Take(t, conns, "the connection")
	w := host.Plain(upgradeQuery(p))
	w.SendRaw(ws.MustCompileFrame(ws.MaskFrame(ws.NewPingFrame([]byte("x")))))
	raw.Take(t, given, "the pong")
	queued := make(chan bool, 1)
	go func() { queued <- c.Queue(engine.AppendText(nil, []byte("hello")), false) }()
	if !raw.Take(t, queued, "the publisher") {
		t.Error("the frame was not queued")
	}
	allow()
	if a := p.Get(); !a.Is("4hello") {
		t.Error(a)
	}
}

// An upgrade while a POST is being received is refused: two readers would handle messages at the same time. The session goes on polling.
func TestUpgradeDuringPost(t *testing.T) {
	_, host := serve(t, engine.Options{}, echo)
	p := host.Polling()
	post, err := net.Dial("tcp", host.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer post.Close()
	fmt.Fprintf(post, "POST /?EIO=4&transport=polling&sid=%s HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n", p.Open.SID)
	answer := bufio.NewReader(post)
	if line, err := answer.ReadString('\n'); err != nil || !strings.Contains(line, "100") { // the body is being read now
		t.Fatal(line, err)
	}
	w, err := host.Try("EIO=4&transport=websocket&sid=" + p.Open.SID)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	w.Send("2probe")
	w.Expect("3probe")
	w.Send("5")
	w.Closed()
	fmt.Fprint(post, "4abc")
	packets, err := p.Packets(context.Background())
	if err != nil || len(packets) != 1 || packets[0] != "4abc" {
		t.Errorf("%q %v", packets, err)
	}
}

// A client that has stopped polling for an upgrade gets what was queued before the server closed the session, after the upgrade packet.
func TestSessionClosedDuringUpgrade(t *testing.T) {
	s, host := serve(t, engine.Options{}, nil)
	conns := make(chan *engine.Conn, 1)
	s.OnConnect(func(c *engine.Conn) { conns <- c })
	begin := func() (*raw.Polling, *raw.Websocket, *engine.Conn) {
		p := host.Polling()
		w := host.Plain(upgradeQuery(p))
		w.Send("2probe")
		w.Expect("3probe")
		c := <-conns
		c.Queue(engine.AppendText(nil, []byte("bye")), false)
		return p, w, c
	}
	_, w, c := begin()
	c.CloseWith(engine.ClosedByServer)
	w.Send("5")
	w.Expect("4bye")
	w.ClosedWith(ws.StatusNormalClosure)

	p, w, c := begin()
	c.CloseWith(engine.ClosedByServer)
	if a := p.Get(); !a.Is("4bye\x1e1") { // the client has abandoned the upgrade
		t.Errorf("GET: %v", a)
	}
	w.Closed()

	_, w, c = begin()
	c.Abort(engine.ClosedByServer)
	w.Closed()
	raw.Until(t, "the sessions are forgotten", func() bool { return s.Stats().Open == 0 })
}
