package realtime_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"sohbet/bench/conformance/raw"
	"sohbet/server/engine"
	"sohbet/server/realtime"
)

const holder = `{"_placeholder":true,"num":0}`

// Invalid input only affects the client that sends it: it is disconnected properly, and another client is not affected.
func TestHostileInput(t *testing.T) {
	type input struct {
		name  string
		bytes []byte
		code  ws.StatusCode // 0: any
	}
	cases := []input{
		{"2 MB frame", raw.Text(`42["message","` + strings.Repeat("x", 2_000_000) + `"]`), 1009},
		{"2 MB binary frame", raw.Binary(strings.Repeat("x", 2_000_000)), 1009},
		{"invalid UTF-8", raw.Text("42[\"message\",\"\xff\xfe\"]"), 1007},
		{"binary out of the blue", raw.Binary("x"), 1002},
		{"too few attachments, then text", raw.Texts(`452-["message",`+holder+`]`, `42["message"]`), 1002},
		{"placeholder without its attachment", append(raw.Text(`451-["message",{"_placeholder":true,"num":1}]`), raw.Binary("x")...), 1002},
	}
	// For these packets the library closes the connection, with the code of a normal end.
	for name, packet := range map[string]string{
		"second CONNECT":                "40",
		"event of an unknown namespace": `42/random,["x"]`,
	} {
		cases = append(cases, input{name, raw.Text(packet), 1000})
	}
	for name, packet := range map[string]string{
		"no packet type":               "4",
		"unknown packet type":          "47",
		"unknown packet type 9":        `49["message"]`,
		"a letter":                     "4abc",
		"emit without arguments":       "42",
		"empty array":                  "42[]",
		"an object":                    "42{}",
		"a string":                     `42"message"`,
		"broken array":                 `42["message",1`,
		"trailing text":                `42["message"]x`,
		"text before":                  `42abc["message"]`,
		"name is null":                 "42[null]",
		"name is an object":            `42[{"message":1}]`,
		"reserved name connect":        `42["connect"]`,
		"reserved name disconnect":     `42["disconnect"]`,
		"reserved name disconnecting":  `42["disconnecting","x"]`,
		"reserved name connect_error":  `42["connect_error"]`,
		"100,000 nested arrays":        `42["message",` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + "]",
		"100,000 open arrays":          `42["message",` + strings.Repeat("[", 100_000),
		"100,000 nested objects":       `42["message",` + strings.Repeat(`{"a":`, 100_000) + "1" + strings.Repeat("}", 100_000) + "]",
		"1,000 attachments":            `451000-["message",` + holder + "]",
		"11 attachments":               `4511-["message",` + holder + "]",
		"18446744073709551616 of them": `4518446744073709551616-["message"]`,
		"negative attachments":         `45-1-["message"]`,
		"attachments without a count":  `45-["message"]`,
		"binary event without a dash":  `45["message"]`,
		"placeholder, none announced":  `450-["message",` + holder + "]",
		"1,001 arguments":              `42["message"` + strings.Repeat(",1", 1000) + "]",
		"long text with attachments":   `451-["message",` + holder + `,"` + strings.Repeat("x", 64<<10) + `"]`,
		"ack without an id":            `43["x"]`,
		"ack id too large":             `4318446744073709551616["x"]`,
		"ack that is no array":         `431{}`,
		"CONNECT_ERROR":                `44{"message":"x"}`,
		"CONNECT with an array":        `40/custom,[1]`,
		"CONNECT with broken JSON":     `40/custom,{"a"`,
		"endless namespace":            "40/" + strings.Repeat("n", 10_000),
		"DISCONNECT with data":         `41{"a":1}`,
		"NUL":                          "42\x00",
		"number out of range":          `42["message",1e999` + "]]",
	} {
		cases = append(cases, input{name, raw.Text(packet), 1002})
	}
	for name, num := range map[string]string{"negative": "-1", "fraction": "0.5", "text": `"0"`, "null": "null", "huge": "1e30"} {
		packet := `451-["message",{"_placeholder":true,"num":` + num + "}]"
		cases = append(cases, input{"placeholder " + name, append(raw.Text(packet), raw.Binary("x")...), 1002})
	}
	host := conform(t)
	bystander := host.Socket()
	bystander.Expect(`42["auth",{}]`)
	for _, c := range cases {
		w := host.Socket()
		w.Expect(`42["auth",{}]`)
		_, _ = w.Write(c.bytes) // the server may close the connection before it has received everything
		if got := w.Closed(); c.code != 0 && got.Code != c.code {
			t.Errorf("%s: %v, want %d", c.name, got, c.code)
		}
		bystander.Send(`42["message","` + c.name + `"]`)
		bystander.Expect(`42["message-back","` + c.name + `"]`)
	}
}

// The same over polling: the session ends, and the server keeps working.
func TestHostilePayload(t *testing.T) {
	_, host := serve(t, realtime.Options{Engine: engine.Options{BodyTimeout: 300 * time.Millisecond}}, talk)
	bystander := host.Socket()
	over := func(name string, p *raw.Polling) {
		t.Helper()
		for start := time.Now(); ; {
			a := p.Get()
			if a.Status == http.StatusBadRequest {
				break
			}
			if time.Since(start) > raw.Patience {
				t.Fatalf("%s: the session goes on with %v", name, a)
			}
		}
		nothingMore(t, bystander)
	}
	for _, body := range []string{
		"40\x1e42", "40\x1e42[]", "40\x1e4abc", "40\x1eabc", "40\x1e42[\"\xff\"]", "40\x1e451000-[\"x\"]", "40\x1ebAQ==", "40\x1e7",
		"40\x1e42[\"x\"," + strings.Repeat("[", 100_000) + "]", strings.Repeat("40/x\x1e", 1000) + "4", "40\x1e" + strings.Repeat("x", 2_000_000),
	} {
		p := host.Polling()
		_, _ = p.Push(body) // with a body that is too large, the connection may be closed
		over(fmt.Sprintf("%.40q", body), p)
	}
	p := host.Polling()
	conn, err := net.Dial("tcp", host.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /socket.io/?%s HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n40", p.Query())
	conn.SetDeadline(time.Now().Add(raw.Patience))
	if res, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || res.StatusCode != http.StatusBadRequest {
		t.Errorf("slow body: %v %v", res, err)
	}
	over("slow body", p)
}

// 10,000 nested arrays are accepted by JSON decoders. They are echoed, or the connection is closed; both are acceptable.
func TestNestedArrays(t *testing.T) {
	host := conform(t)
	bystander := host.Socket()
	bystander.Expect(`42["auth",{}]`)
	for _, depth := range []int{5_000, 9_998, 9_999, 10_000, 10_001} {
		nested := strings.Repeat("[", depth) + strings.Repeat("]", depth)
		for _, binary := range []bool{false, true} {
			w := host.Socket()
			w.Expect(`42["auth",{}]`)
			if binary {
				w.SendRaw(append(raw.Text(`451-["message",`+nested+`,`+holder+`]`), raw.Binary("x")...))
			} else {
				w.Send(`42["message",` + nested + "]")
			}
			m, err := w.Next()
			want := `42["message-back",` + nested + "]"
			if binary {
				want = `451-["message-back",` + nested + `,` + holder + `]`
			}
			if err == nil && m != want || err != nil && depth < 9_000 {
				t.Errorf("depth %d, binary %v: %.60q, %v", depth, binary, m, err)
			}
			bystander.Send(`42["message"]`)
			bystander.Expect(`42["message-back"]`)
		}
	}
}

// A panic in a handler closes only its connection, and its client may reconnect: a client that provokes panics cannot go on doing so.
func TestPanicInHandler(t *testing.T) {
	closed := make(chan struct{}, 10)
	_, host := serve(t, realtime.Options{}, func(so *realtime.Socket) {
		so.OnEvent(func(e realtime.Event) {
			if e.Name == "panic" {
				panic("on purpose")
			}
			_, _ = so.Emit("echo", e.Args[0])
		})
		so.OnClose(func(string) {
			closed <- struct{}{}
			panic("on purpose, again")
		})
		if so.Auth() != nil {
			panic("on purpose, while connecting")
		}
	})
	bystander := host.Socket()
	for _, packets := range [][]string{{"40", `42["panic"]`, `42["echo",1]`}, {`40{"panic":true}`, `42["echo",1]`}, {"40", "41", "40"}} {
		w := host.Websocket()
		for _, p := range packets {
			_, _ = w.Write(raw.Text(p)) // it may be closed by now
		}
		w.ClosedWith(1011)
		raw.Take(t, closed, "the close handler")
	}
	bystander.Send(`42["echo",2]`)
	bystander.Expect(`42["echo",2]`)
}

// A client may leave a namespace and join it again on one connection. The information from the opening request is still available, and
// both count as events.
func TestJoinAgain(t *testing.T) {
	const allowed = 100
	var asked, identified atomic.Int64
	options := realtime.Options{
		Identify: func(r *http.Request) any {
			identified.Add(1)
			return r.Host
		},
		Allow: func(*engine.Conn) bool { return asked.Add(1) <= allowed },
	}
	_, host := serve(t, options, func(so *realtime.Socket) {
		_, _ = so.Emit("client", so.Client())
	})
	w := host.Websocket()
	for range allowed / 2 {
		w.Send("40", "41")
		sid(t, w.Message(), "40")
		w.Expect(`42["client","` + host.Addr + `"]`)
	}
	w.Send("40")
	w.ClosedWith(1008)
	if n := identified.Load(); n != 1 {
		t.Errorf("identified %d times", n)
	}
}

// Clients keep reconnecting while the server closes: Close returns, all clients get the reason for reconnecting, and no connection
// stays.
func TestCloseUnderReconnects(t *testing.T) {
	var sockets atomic.Int64
	s, host := serve(t, realtime.Options{}, func(so *realtime.Socket) {
		sockets.Add(1)
		talk(so)
		so.Join("a")
		so.OnClose(func(string) { sockets.Add(-1) })
	})
	first := host.Socket()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if g%4 == 0 {
					if p, err := host.DialPolling(); err == nil {
						_, _ = p.Push("40\x1e" + `42["echo",1]`)
					}
					continue
				}
				if w, err := host.DialSocket(); err == nil {
					_, _ = w.Write(raw.Text(`42["echo",1]`))
					_, _ = w.Next()
					w.Close()
				}
			}
		})
	}
	time.Sleep(100 * time.Millisecond)
	ctx, cancel := context.WithTimeout(context.Background(), raw.Patience)
	defer cancel()
	if err := s.Close(ctx); err != nil {
		t.Error(err)
	}
	first.ClosedWith(1012)
	if a := host.Do("GET", "EIO=4&transport=polling", ""); a.Status != http.StatusServiceUnavailable {
		t.Errorf("a newcomer got %v", a)
	}
	close(stop)
	wg.Wait()
	raw.Until(t, "no connection is left", func() bool { return s.Count() == 0 && sockets.Load() == 0 && s.Members("a") == 0 })
}
