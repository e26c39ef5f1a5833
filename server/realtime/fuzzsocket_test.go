package realtime_test

import (
	"bytes"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"sohbet/bench/conformance/raw"
	"sohbet/server/realtime"
)

// FuzzSocketInput sends arbitrary input after a handshake to a real server. If raw is set the input is raw websocket bytes, otherwise
// messages separated by U+001E, binary if they begin with "b". The server must respond until the end, release the connection, and keep
// serving another client.
func FuzzSocketInput(f *testing.F) {
	for _, seed := range []string{
		"40", "40\x1e42[\"echo\",1]", "40{}\x1e42[\"echo\",1]\x1e41\x1e40\x1e421[\"echo\",2]\x1e1", "40/custom,\x1e40/x,\x1e3\x1e2",
		"40\x1e452-[\"echo\",{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":1}]\x1eb\x01\x1eb\x02", "40\x1e42[]", "4\x1eb\x1e",
		"40\x1e431[\"x\"]\x1e43999[]\x1e42[\"join\",\"a\"]\x1e42[\"all\",1]", "5\x1e2probe\x1e6",
	} {
		f.Add([]byte(seed), false)
		f.Add(raw.Texts(strings.Split(seed, "\x1e")...), true)
	}
	f.Add([]byte{0x88, 0x82, 1, 2, 3, 4, 2, 0xea}, true)
	s := realtime.New(realtime.Options{})
	handler := func(so *realtime.Socket) {
		so.OnEvent(func(e realtime.Event) {
			if e.Ack != nil {
				e.Ack(e.Args...)
			}
			switch e.Name {
			case "echo":
				_, _ = so.Emit("echo", e.Args...)
			case "join":
				so.Join(string(e.Arg(0)))
			case "all":
				if aside, err := s.Encode("aside", e.Args...); err == nil {
					s.Publish(realtime.Publication{First: realtime.Group{Room: "all", Frames: []realtime.Frame{aside}}})
				}
			}
		})
	}
	s.OnConnect(func(so *realtime.Socket) {
		so.Join("all")
		handler(so)
	})
	s.Namespace("/custom", handler)
	host := raw.Serve(f, s, "/socket.io/")
	bystander := host.Socket()

	f.Fuzz(func(t *testing.T, input []byte, bytesAsTheyAre bool) {
		w, err := host.DialWebsocket()
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		var out []byte
		if bytesAsTheyAre {
			out = input
		} else {
			for m := range bytes.SplitSeq(input, []byte{0x1e}) {
				if payload, ok := bytes.CutPrefix(m, []byte("b")); ok {
					out = append(out, raw.Binary(string(payload))...)
				} else {
					out = append(out, raw.Text(string(m))...)
				}
			}
		}
		_, _ = w.Write(out) // the server may close the connection meanwhile
		_ = w.Conn.(*net.TCPConn).CloseWrite()
		for err == nil {
			_, _, err = w.Frame()
		}
		var timeout net.Error
		var closed *raw.ErrClosed
		if errors.As(err, &closed) && errors.As(closed.Cause, &timeout) && timeout.Timeout() {
			t.Fatal("the server never hung up")
		}
		for start := time.Now(); s.Count() > 1; time.Sleep(50 * time.Microsecond) {
			if time.Since(start) > raw.Patience {
				t.Fatal("the connection is not forgotten")
			}
		}
		if _, err := bystander.Write(raw.Text(`42["echo","mark"]`)); err != nil {
			t.Fatal(err)
		}
		for {
			op, m, err := bystander.Frame()
			if err != nil || op != ws.OpText {
				t.Fatalf("bystander: %v %v", op, err)
			}
			if m == "2" {
				_, _ = bystander.Write(raw.Text("3"))
			}
			if m == `42["echo","mark"]` {
				break
			}
		}
	})
}
