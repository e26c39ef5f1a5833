package realtime_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"sohbet/bench/conformance/raw"
	"sohbet/server/realtime"
)

// talk handles the events of these tests: "echo" is sent back, "burst" n sends n numbered events.
func talk(so *realtime.Socket) {
	so.OnEvent(func(e realtime.Event) {
		switch e.Name {
		case "echo":
			_, _ = so.Emit("echo", e.Args[0])
		case "burst":
			n, _ := strconv.Atoi(string(e.Arg(0)))
			for i := range n {
				_, _ = so.Emit("echo", i)
			}
		}
	})
}

func echoes(from, to int) []string {
	out := make([]string, 0, to-from)
	for i := from; i < to; i++ {
		out = append(out, fmt.Sprintf(`42["echo",%d]`, i))
	}
	return out
}

// inOrder reads packets until it has received the echoes of all numbers, in order.
func inOrder(n int, next func() ([]string, error)) error {
	for i := 0; i < n; {
		packets, err := next()
		if err != nil {
			return fmt.Errorf("after %d: %w", i, err)
		}
		for _, p := range packets {
			if want := fmt.Sprintf(`42["echo",%d]`, i); p != want {
				return fmt.Errorf("got %q, want %q", p, want)
			}
			i++
		}
	}
	return nil
}

func one(w *raw.Websocket) func() ([]string, error) {
	return func() ([]string, error) {
		m, err := w.Next()
		return []string{m}, err
	}
}

const burst = 10_000

func TestBurstOnWebsocket(t *testing.T) {
	_, host := serve(t, realtime.Options{}, talk)
	w := host.Socket()
	written := make(chan error, 1)
	go func() {
		_, err := w.Write(raw.Texts(echoes(0, burst)...))
		written <- err
	}()
	if err := inOrder(burst, one(w)); err != nil {
		t.Error("echoed: ", err)
	}
	if err := raw.Take(t, written, "the burst is written"); err != nil {
		t.Fatal(err)
	}
	w.Send(fmt.Sprintf(`42["burst",%d]`, burst))
	if err := inOrder(burst, one(w)); err != nil {
		t.Error("from the server: ", err)
	}
	nothingMore(t, w)
}

// nothingMore checks that no packet arrives before the response to a request sent now.
func nothingMore(t *testing.T, w *raw.Websocket) {
	t.Helper()
	w.Send(`42["echo","last"]`)
	w.Expect(`42["echo","last"]`)
}

func TestBurstOnPolling(t *testing.T) {
	_, host := serve(t, realtime.Options{}, talk)
	p := host.Polling()
	p.Post("40")
	ctx := context.Background()
	if _, err := p.Packets(ctx); err != nil {
		t.Fatal(err)
	}
	posted := make(chan error, 1)
	go func() {
		for i := 0; i < burst; i += 1000 { // payloads have a maximum size
			if a, err := p.Push(strings.Join(echoes(i, i+1000), "\x1e")); err != nil || !a.Is("ok") {
				posted <- fmt.Errorf("POST: %v %w", a, err)
				return
			}
		}
		posted <- nil
	}()
	next := func() ([]string, error) { return p.Packets(ctx) }
	if err := inOrder(burst, next); err != nil {
		t.Error("echoed: ", err)
	}
	if err := raw.Take(t, posted, "the burst is posted"); err != nil {
		t.Fatal(err)
	}
	p.Post(fmt.Sprintf(`42["burst",%d]`, burst))
	if err := inOrder(burst, next); err != nil {
		t.Error("from the server: ", err)
	}
}

// Half of the burst is sent over polling and half over the websocket, and the server's responses are sent during the upgrade too.
func TestBurstAcrossUpgrade(t *testing.T) {
	_, host := serve(t, realtime.Options{}, talk)
	ctx := context.Background()
	for round := range 5 {
		p := host.Polling()
		p.Post("40")
		if _, err := p.Packets(ctx); err != nil {
			t.Fatal(err)
		}
		packets := make(chan []string, burst)
		ended := make(chan error, 1)
		halt, halted := make(chan struct{}), make(chan struct{})
		go func() { // the client's polls, until the upgrade pauses them
			defer close(halted)
			for {
				a, err := p.Poll(ctx)
				if err != nil || a.Status != http.StatusOK {
					ended <- fmt.Errorf("GET: %v %w", a, err)
					return
				}
				if got := strings.Split(a.Body, "\x1e"); got[0] != "6" {
					packets <- got
				}
				select {
				case <-halt:
					return
				default:
				}
			}
		}()
		next := func() ([]string, error) {
			select {
			case got := <-packets:
				return got, nil
			case err := <-ended:
				return nil, err
			case <-time.After(raw.Patience):
				return nil, errors.New("nothing came")
			}
		}
		result := make(chan error, 1)
		go func() { result <- inOrder(burst, next) }()

		for i := 0; i < burst/2; i += 1000 {
			if a := p.Post(strings.Join(echoes(i, i+1000), "\x1e")); !a.Is("ok") {
				t.Fatal(a)
			}
			time.Sleep(time.Duration(round) * time.Millisecond)
		}
		w := host.Plain("EIO=4&transport=websocket&sid=" + p.Open.SID)
		w.Send("2probe")
		w.Expect("3probe")
		close(halt)
		raw.Take(t, halted, "the last GET")
		stream := append(raw.Text("5"), raw.Texts(echoes(burst/2, burst)...)...)
		go func() {
			if _, err := w.Write(stream); err != nil {
				ended <- err
			}
		}()
		go func() {
			for {
				m, err := w.Next()
				if err != nil {
					return
				}
				packets <- []string{m}
			}
		}()
		if err := raw.Take(t, result, "the burst"); err != nil {
			t.Errorf("round %d: %v", round, err)
		}
		w.Close()
	}
}

// 20 clients send 500 events each at the same time. With the library alone 872 of these arrive out of order.
func TestOrderOfManyClients(t *testing.T) {
	const clients, events = 20, 500
	_, host := serve(t, realtime.Options{}, talk)
	var wg sync.WaitGroup
	for range clients {
		w := host.Socket()
		wg.Go(func() {
			for _, e := range echoes(0, events) { // each in a separate write
				if _, err := w.Write(raw.Text(e)); err != nil {
					t.Error(err)
					return
				}
			}
		})
		wg.Go(func() {
			if err := inOrder(events, one(w)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// Events in the same segment as CONNECT are handled, also if both are in the segment of the upgrade request.
func TestEventsRightBehindConnect(t *testing.T) {
	_, host := serve(t, realtime.Options{}, func(so *realtime.Socket) {
		time.Sleep(100 * time.Microsecond) // a slow handler
		talk(so)
	})
	for round := range 200 {
		w := host.Websocket()
		w.Send(append([]string{"40"}, echoes(0, 20)...)...)
		sid(t, w.Message(), "40")
		if err := inOrder(20, one(w)); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		w.Close()
	}
	for range 50 {
		p := host.Polling()
		if a := p.Post(strings.Join(append([]string{"40"}, echoes(0, 20)...), "\x1e")); !a.Is("ok") {
			t.Fatal(a)
		}
		connected := false
		if err := inOrder(20, func() ([]string, error) {
			got, err := p.Packets(context.Background())
			if err == nil && !connected {
				connected = true
				sid(t, got[0], "40")
				got = got[1:]
			}
			return got, err
		}); err != nil {
			t.Fatal(err)
		}
		p.Post("1")
	}
	for range 50 {
		eager(t, host)
	}
}

// eager sends CONNECT and events in one segment with the websocket handshake, without waiting for the response.
func eager(t *testing.T, host *raw.Host) {
	t.Helper()
	w, err := host.Upgrade("EIO=4&transport=websocket", ws.Dialer{WrapConn: raw.SendAlong(raw.Texts(append([]string{"40"}, echoes(0, 5)...)...))})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if m := w.Message(); !strings.HasPrefix(m, "0{") {
		t.Fatal(m)
	}
	sid(t, w.Message(), "40")
	if err := inOrder(5, one(w)); err != nil {
		t.Fatal(err)
	}
}

func TestReconnectOnSameConnection(t *testing.T) {
	closed := make(chan string, 1000)
	s, host := serve(t, realtime.Options{}, func(so *realtime.Socket) {
		talk(so)
		so.Join("room")
		so.OnClose(func(reason string) { closed <- reason })
	})
	w := host.Websocket()
	ids := map[string]bool{}
	const rounds = 100
	for range rounds {
		w.Send("40", `42["echo",0]`, "41")
	}
	for range rounds {
		ids[sid(t, w.Message(), "40")] = true
		w.Expect(`42["echo",0]`)
	}
	for range rounds {
		if reason := raw.Take(t, closed, "the socket's end"); reason != "client namespace disconnect" {
			t.Errorf("reason %q", reason)
		}
	}
	if len(ids) != rounds || s.Members("room") != 0 {
		t.Errorf("%d ids, %d in the room", len(ids), s.Members("room"))
	}
	w.Send("40")
	sid(t, w.Message(), "40")
	raw.Until(t, "it is in the room again", func() bool { return s.Members("room") == 1 })
}

// An event for a namespace that the client has left or never joined is a protocol error: the connection is closed, and no handler is
// called.
func TestEventsWithoutSocket(t *testing.T) {
	heard := make(chan string, 10)
	_, host := serve(t, realtime.Options{}, func(so *realtime.Socket) {
		so.OnEvent(func(e realtime.Event) {
			heard <- e.Name
			_, _ = so.Emit("echo")
		})
	})
	bystander := host.Socket()
	for _, packets := range [][]string{
		{"40", "41", `42["late"]`}, {`42["early"]`}, {"40", `42/other,["x"]`}, {"40", "40"}, {"41"}, {"40", "41", "41"}, {`431["x"]`},
	} {
		w := host.Websocket()
		w.Send(packets...)
		w.Closed()
		bystander.Send(`42["here"]`)
		bystander.Expect(`42["echo"]`)
		if name := raw.Take(t, heard, "here"); name != "here" {
			t.Errorf("%q: handled %q", packets, name)
		}
	}
}
