package realtime_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"sohbet/bench/conformance/raw"
	"sohbet/bench/conformance/suite"
	"sohbet/server/realtime"
)

// conform serves the server of the conformance suites, without heartbeats that a slow machine would miss.
func conform(t *testing.T) *raw.Host {
	return raw.Serve(t, suite.SocketWith(realtime.Options{ConnectTimeout: suite.ConnectTimeout}), "/socket.io/")
}

// serve runs a server with production timings unless o sets others.
func serve(t *testing.T, o realtime.Options, onConnect realtime.Handler) (*realtime.Server, *raw.Host) {
	t.Helper()
	s := realtime.New(o)
	if onConnect != nil {
		s.OnConnect(onConnect)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = s.Close(ctx) // a test may leave clients that do not read
	})
	return s, raw.Serve(t, s, "/socket.io/")
}

// sid checks a CONNECT response, which contains only the socket's id.
func sid(t *testing.T, packet, prefix string) string {
	t.Helper()
	rest, ok := strings.CutPrefix(packet, prefix)
	var fields map[string]string
	if !ok || json.Unmarshal([]byte(rest), &fields) != nil || len(fields) != 1 || fields["sid"] == "" {
		t.Fatalf("CONNECT answered %q, want %s{\"sid\":…}", packet, prefix)
	}
	return fields["sid"]
}

func TestConnect(t *testing.T) {
	host := conform(t)
	for _, c := range []struct{ connect, answer, auth string }{
		{`40`, `40`, `42["auth",{}]`},
		{`40{}`, `40`, `42["auth",{}]`},
		{`40{"token":"123"}`, `40`, `42["auth",{"token":"123"}]`},
		{`40{"b":1,"a":{"z":[null,"ğ"],"y":2}}`, `40`, `42["auth",{"b":1,"a":{"z":[null,"ğ"],"y":2}}]`},
		{`40/,`, `40`, `42["auth",{}]`},
		{`40/custom`, `40/custom,`, `42/custom,["auth",{}]`},
		{`40/custom,`, `40/custom,`, `42/custom,["auth",{}]`},
		{`40/custom,{"token":"abc"}`, `40/custom,`, `42/custom,["auth",{"token":"abc"}]`},
	} {
		w := host.Websocket()
		w.Send(c.connect)
		id := sid(t, w.Message(), c.answer)
		if id == w.Open.SID {
			t.Errorf("%s: the socket's public id is the session's secret one", c.connect)
		}
		w.Expect(c.auth)
	}
	w := host.Websocket()
	w.Send("40/random")
	w.Expect(`44/random,{"message":"Invalid namespace"}`)
	w.Send("40/random,{}")
	w.Expect(`44/random,{"message":"Invalid namespace"}`)
	w.Send("40") // a refusal does not close the connection
	sid(t, w.Message(), "40")
	w.Expect(`42["auth",{}]`)
}

func TestConnectOverPolling(t *testing.T) {
	host := conform(t)
	p := host.Polling()
	if a := p.Post(`40{"token":"123"}` + "\x1e" + `40/random` + "\x1e" + `42["message",1]`); !a.Is("ok") {
		t.Fatal(a)
	}
	var got []string
	for len(got) < 4 {
		packets, err := p.Packets(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, packets...)
	}
	sid(t, got[0], "40")
	if all := strings.Join(got[1:], " "); all != `42["auth",{"token":"123"}] 44/random,{"message":"Invalid namespace"} 42["message-back",1]` {
		t.Error(all)
	}
}

func TestConnectTimeout(t *testing.T) {
	host := conform(t)
	for name, packets := range map[string][]string{"silent": nil, "refused": {"40/random"}} {
		w := host.Websocket()
		start := time.Now()
		w.Send(packets...)
		w.Closed()
		if took := time.Since(start); took < suite.ConnectTimeout-100*time.Millisecond {
			t.Errorf("%s: closed after %v", name, took)
		}
	}
	// ConnectTimeout does not apply to clients that have joined.
	w := host.Socket()
	w.Expect(`42["auth",{}]`)
	for start := time.Now(); time.Since(start) < suite.ConnectTimeout+200*time.Millisecond; {
		w.Send(`42["message"]`)
		w.Expect(`42["message-back"]`)
		time.Sleep(50 * time.Millisecond)
	}
}

func TestTwoNamespaces(t *testing.T) {
	w := conform(t).Websocket()
	w.Send("40", "40/custom,")
	sid(t, w.Message(), "40")
	w.Expect(`42["auth",{}]`)
	sid(t, w.Message(), "40/custom,")
	w.Expect(`42/custom,["auth",{}]`)
	w.Send("41/custom,", `42["message","still here"]`) // no reply to a DISCONNECT, and no effect on the other namespace
	w.Expect(`42["message-back","still here"]`)
	w.Send("40/custom,", "41")
	sid(t, w.Message(), "40/custom,")
	w.Expect(`42/custom,["auth",{}]`)
}

// Outputs are compared byte by byte; the order of keys is the sender's.
func TestExactOutput(t *testing.T) {
	w := conform(t).Socket()
	w.Expect(`42["auth",{}]`)
	for _, c := range []struct{ sent, want string }{
		{`42["message",1,"2",{"3":[true]}]`, `42["message-back",1,"2",{"3":[true]}]`},
		{`42["message-with-ack"]`, ""}, // no acknowledgement was requested
		{`42456["message-with-ack",1,"2",{"3":[false]}]`, `43456[1,"2",{"3":[false]}]`},
		{`420["message-with-ack"]`, `430[]`},
		{`42["message"]`, `42["message-back"]`},
		{`42["message",null,"",[],{}]`, `42["message-back",null,"",[],{}]`},
		{`42["message",{"z":1,"a":2,"m":{"y":1,"b":2}}]`, `42["message-back",{"z":1,"a":2,"m":{"y":1,"b":2}}]`},
		{`42["message",12345678901234567890,0.1e-7,-0]`, `42["message-back",12345678901234567890,0.1e-7,-0]`},
		{`42["message","<a&b>\u2028 ğ 🙂 \" \\ \/"]`, `42["message-back","<a&b>\u2028 ğ 🙂 \" \\ \/"]`},
		{`42["mess\u0061ge","x"]`, `42["message-back","x"]`},
		{`42[ "message" , 1 , [ 2 ] ]`, `42["message-back",1,[ 2 ]]`},
		{`42["message","]",{"[":"}"},"\\"]`, `42["message-back","]",{"[":"}"},"\\"]`},
		{`42["unknown event",1]`, ""},
		{`4318446744073709551615["nobody asked"]`, ""},
	} {
		w.Send(c.sent)
		if c.want != "" {
			w.Expect(c.want)
		}
	}
}

func TestBinary(t *testing.T) {
	w := conform(t).Socket()
	w.Expect(`42["auth",{}]`)
	const holders = `{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}`
	both := append(raw.Binary("\x01\x02\x03"), raw.Binary("\x04\x05\x06")...)
	w.SendRaw(append(raw.Text(`452-["message",`+holders+`]`), both...))
	w.Expect(`452-["message-back",`+holders+`]`, "\x01\x02\x03", "\x04\x05\x06")
	w.SendRaw(append(raw.Text(`452-789["message-with-ack",`+holders+`]`), both...))
	w.Expect(`462-789[`+holders+`]`, "\x01\x02\x03", "\x04\x05\x06")
	w.SendRaw(append(raw.Text(`451-["message",{"deep":[{"_placeholder":true,"num":0}]},"x"]`), raw.Binary("")...))
	w.Expect(`451-["message-back",{"deep":[{"_placeholder":true,"num":0}]},"x"]`, "")
	w.Send(`450-["message",1]`)
	w.Expect(`42["message-back",1]`)

	p := w.Host.Polling()
	p.Post("40\x1e" + `451-["message",{"_placeholder":true,"num":0}]` + "\x1ebAQID")
	var got []string
	for len(got) < 4 {
		packets, err := p.Packets(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, packets...)
	}
	if all := strings.Join(got[2:], " "); all != `451-["message-back",{"_placeholder":true,"num":0}] bAQID` {
		t.Error(all)
	}
}

func TestSessionsAreApart(t *testing.T) {
	host := conform(t)
	a, b := host.Socket(), host.Socket()
	a.Expect(`42["auth",{}]`)
	b.Expect(`42["auth",{}]`)
	a.Send(`42["message","a"]`)
	a.Expect(`42["message-back","a"]`)
	b.Send(`42["message","b"]`)
	b.Expect(`42["message-back","b"]`)
	a.Send("4abc")
	a.Closed()
	b.Send(`42["message","b"]`)
	b.Expect(`42["message-back","b"]`)
	if res := host.Do(http.MethodGet, "EIO=4&transport=polling", ""); res.Status != http.StatusOK {
		t.Error(res)
	}
}
