package realtime_test

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"sohbet/bench/conformance/raw"
	"sohbet/server/engine"
	"sohbet/server/realtime"
)

// rooms joins each socket to the rooms in its auth: {"rooms":["a","b"],"side":1}; "echo" is sent back.
func rooms(so *realtime.Socket) {
	var auth struct {
		Rooms []string
		Side  realtime.Side
	}
	_ = json.Unmarshal(so.Auth(), &auth)
	so.SetSide(auth.Side)
	for _, room := range auth.Rooms {
		so.Join(room)
	}
	talk(so)
}

// member connects a socket that is in these rooms and returns it with its id.
func member(t *testing.T, host *raw.Host, side int, names ...string) (*raw.Websocket, string) {
	t.Helper()
	auth, err := json.Marshal(map[string]any{"rooms": names, "side": side})
	if err != nil {
		t.Fatal(err)
	}
	w := host.Websocket()
	w.Send("40" + string(auth))
	id := sid(t, w.Message(), "40")
	nothingMore(t, w) // events are handled after the connect handler returned
	return w, id
}

func encode(t testing.TB, s *realtime.Server, name string, args ...any) realtime.Frame {
	t.Helper()
	f, err := s.Encode(name, args...)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestPublish(t *testing.T) {
	s, host := serve(t, realtime.Options{}, rooms)
	inA, idA := member(t, host, 1, "a")
	inB, _ := member(t, host, 2, "b")
	inBoth, idBoth := member(t, host, 2, "a", "b")
	outside, _ := member(t, host, 1, "c")
	shared, forA, forB := encode(t, s, "shared"), encode(t, s, "a"), encode(t, s, "b", map[string]any{"x": "<&>"})

	publish := func(p realtime.Publication, sent int, wantA, wantB, wantBoth string) {
		t.Helper()
		if n := s.Publish(p); n != sent {
			t.Errorf("went to %d, want %d", n, sent)
		}
		for w, want := range map[*raw.Websocket]string{inA: wantA, inB: wantB, inBoth: wantBoth, outside: ""} {
			for name := range strings.FieldsSeq(want) {
				w.Expect("42" + name)
			}
			nothingMore(t, w)
		}
	}
	const S, A, B = `["shared"]`, `["a"]`, `["b",{"x":"<&>"}]`
	a := realtime.Group{Room: "a", Frames: []realtime.Frame{shared, forA}}
	b := realtime.Group{Room: "b", Frames: []realtime.Frame{shared, forB}}

	publish(realtime.Publication{First: a}, 2, S+" "+A, "", S+" "+A)
	publish(realtime.Publication{Second: b}, 2, "", S+" "+B, S+" "+B)
	// A socket in both groups receives each frame once.
	publish(realtime.Publication{First: a, Second: b}, 3, S+" "+A, S+" "+B, S+" "+A+" "+B)
	publish(realtime.Publication{First: b, Second: a}, 3, S+" "+A, S+" "+B, S+" "+B+" "+A)
	publish(realtime.Publication{First: a, Second: b, Except: idBoth}, 2, S+" "+A, S+" "+B, "")
	publish(realtime.Publication{First: a, Second: b, Except: idA}, 2, "", S+" "+B, S+" "+A+" "+B)
	publish(realtime.Publication{First: a, Second: b, Volatile: true}, 3, S+" "+A, S+" "+B, S+" "+A+" "+B)
	only := a
	only.Only = 1
	publish(realtime.Publication{First: only}, 1, S+" "+A, "", "")
	publish(realtime.Publication{First: only, Second: b}, 3, S+" "+A, S+" "+B, S+" "+B)
	publish(realtime.Publication{First: realtime.Group{Room: "nobody", Frames: a.Frames}}, 0, "", "", "")
	publish(realtime.Publication{}, 0, "", "", "")
	publish(realtime.Publication{First: realtime.Group{Room: "a"}}, 0, "", "", "")
}

// Both groups may name the same room, for its two sides.
func TestPublishToBothSidesOfARoom(t *testing.T) {
	s, host := serve(t, realtime.Options{}, rooms)
	one, _ := member(t, host, 1, "a")
	two, _ := member(t, host, 2, "a")
	n := s.Publish(realtime.Publication{
		First:  realtime.Group{Room: "a", Only: 1, Frames: []realtime.Frame{encode(t, s, "for one")}},
		Second: realtime.Group{Room: "a", Only: 2, Frames: []realtime.Frame{encode(t, s, "for two")}},
	})
	if n != 2 {
		t.Errorf("went to %d", n)
	}
	one.Expect(`42["for one"]`)
	two.Expect(`42["for two"]`)
	nothingMore(t, one)
	nothingMore(t, two)
}

func TestRoomsComeAndGo(t *testing.T) {
	s, host := serve(t, realtime.Options{}, rooms)
	w, _ := member(t, host, 0, "a", "a", "b")
	other, _ := member(t, host, 0, "a")
	if s.Members("a") != 2 || s.Members("b") != 1 || s.Members("c") != 0 {
		t.Errorf("%d, %d, %d members", s.Members("a"), s.Members("b"), s.Members("c"))
	}
	w.Send("41")
	raw.Until(t, "one has left", func() bool { return s.Members("a") == 1 && s.Members("b") == 0 })
	other.Close()
	raw.Until(t, "both have left", func() bool { return s.Members("a") == 0 })
}

// All members of a room receive the same order, however many goroutines publish to it, and whether they are in one room or several.
func TestOneOrderForAll(t *testing.T) {
	const publishers, each = 6, 300
	s, host := serve(t, realtime.Options{}, rooms)
	var members []*raw.Websocket
	for range 4 {
		a, _ := member(t, host, 0, "a", "b")
		members = append(members, a)
	}
	pollers := make([]*raw.Polling, 2)
	for i := range pollers {
		pollers[i] = host.Polling()
		pollers[i].Post(`40{"rooms":["b","a"]}`)
		raw.Until(t, "CONNECT is answered", func() bool { return strings.HasPrefix(pollers[i].Get().Body, "40{") })
	}
	raw.Until(t, "all are in", func() bool { return s.Members("a") == len(members)+len(pollers) && s.Members("b") == s.Members("a") })
	var wg sync.WaitGroup
	for p := range publishers {
		wg.Go(func() {
			for i := range each {
				f, err := s.Encode("n", p, i)
				if err != nil {
					t.Error(err)
					return
				}
				g := realtime.Group{Room: "a", Frames: []realtime.Frame{f}}
				switch i % 3 {
				case 0:
					s.Publish(realtime.Publication{First: g})
				case 1:
					s.Publish(realtime.Publication{First: g, Second: realtime.Group{Room: "b", Frames: g.Frames}})
				default:
					s.Publish(realtime.Publication{First: realtime.Group{Room: "b", Frames: g.Frames}, Second: g})
				}
			}
		})
	}
	orders := make([]string, len(members)+len(pollers))
	for i, w := range members {
		wg.Go(func() { orders[i] = gather(t, publishers*each, one(w)) })
	}
	for i, p := range pollers {
		wg.Go(func() {
			orders[len(members)+i] = gather(t, publishers*each, func() ([]string, error) { return p.Packets(t.Context()) })
		})
	}
	wg.Wait()
	for i, order := range orders {
		if order != orders[0] {
			t.Errorf("member %d saw another order", i)
		}
	}
	for p := range publishers {
		last := -1
		for line := range strings.SplitSeq(orders[0], "\n") {
			rest, ok := strings.CutPrefix(line, fmt.Sprintf(`42["n",%d,`, p))
			if !ok {
				continue
			}
			n, err := strconv.Atoi(strings.TrimSuffix(rest, "]"))
			if err != nil || n != last+1 {
				t.Fatalf("publisher %d: %q behind %d", p, line, last)
			}
			last = n
		}
		if last != each-1 {
			t.Errorf("publisher %d: ends with %d", p, last)
		}
	}
}

// gather joins the next n packets into one string.
func gather(t *testing.T, n int, next func() ([]string, error)) string {
	var got []string
	for len(got) < n {
		packets, err := next()
		if err != nil {
			t.Errorf("after %d of %d: %v", len(got), n, err)
			break
		}
		got = append(got, packets...)
	}
	return strings.Join(got, "\n")
}

// Volatile publications are dropped for a slow member and reach the others; no connection is closed because of them.
func TestVolatileIsDroppedForLaggards(t *testing.T) {
	s, host := serve(t, realtime.Options{}, rooms)
	quick, _ := member(t, host, 0, "a")
	laggard := host.Polling() // it does not poll
	laggard.Post(`40{"rooms":["a"]}`)
	raw.Until(t, "both are in", func() bool { return s.Members("a") == 2 })
	const n = 200
	reached := 0
	for i := range n {
		reached += s.Publish(realtime.Publication{
			First:    realtime.Group{Room: "a", Frames: []realtime.Frame{encode(t, s, "v", i)}},
			Volatile: true,
		})
		quick.Expect(fmt.Sprintf(`42["v",%d]`, i))
	}
	if reached == 2*n || reached < n {
		t.Errorf("%d of %d reached a member", reached, 2*n)
	}
	got := strings.Split(laggard.Get().Body, "\x1e")
	if len(got)-1 != reached-n || !strings.HasPrefix(got[0], "40{") || got[1] != `42["v",0]` {
		t.Errorf("the laggard got %d packets, %d were queued", len(got)-1, reached-n)
	}
	if s.Stats().Cut != 0 {
		t.Error("a connection was closed")
	}
}

// A packet with attachments is not interrupted by frames published meanwhile.
func TestAttachmentsStayTogether(t *testing.T) {
	s, host := serve(t, realtime.Options{}, func(so *realtime.Socket) {
		so.Join("a")
		so.OnEvent(func(e realtime.Event) { e.Ack(e.Args...) })
	})
	w := host.Socket()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		p := realtime.Publication{First: realtime.Group{Room: "a", Frames: []realtime.Frame{encode(t, s, "text")}}}
		for {
			select {
			case <-stop:
				return
			default:
				s.Publish(p)
				time.Sleep(10 * time.Microsecond)
			}
		}
	})
	const n = 300
	written := make(chan error, 1)
	go func() {
		var err error
		for i := 0; i < n && err == nil; i++ {
			const holders = `{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}`
			_, err = w.Write(append(raw.Text(fmt.Sprintf(`452-%d["x",%s]`, i, holders)), append(raw.Binary("\x01"), raw.Binary("\x02")...)...))
		}
		written <- err
	}()
	for acks := 0; acks < n; {
		m := w.Message()
		if m == `42["text"]` {
			continue
		}
		if !strings.HasPrefix(m, fmt.Sprintf(`462-%d[`, acks)) {
			t.Fatalf("got %q, want ack %d", m, acks)
		}
		acks++
		w.Expect("\x01", "\x02")
	}
	close(stop)
	wg.Wait()
	if err := raw.Take(t, written, "everything is written"); err != nil {
		t.Error(err)
	}
}

// A member that never reads does not block a publication to the others, of any size.
func TestPublishDoesNotWait(t *testing.T) {
	s, host := serve(t, realtime.Options{Engine: engine.Options{QueueBytes: 1 << 20}}, rooms)
	quick, _ := member(t, host, 0, "a")
	member(t, host, 0, "a") // it does not read
	big := encode(t, s, "big", strings.Repeat("x", 100_000))
	for i := range 200 {
		s.Publish(realtime.Publication{First: realtime.Group{Room: "a", Frames: []realtime.Frame{big}}})
		if m := quick.Message(); len(m) < 100_000 {
			t.Fatalf("publication %d: got %.60q", i, m)
		}
	}
	raw.Until(t, "who does not read is cut", func() bool { return s.Stats().Cut == 1 && s.Members("a") == 1 })
}
