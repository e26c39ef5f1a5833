package main

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

func TestClientNumber(t *testing.T) {
	if who, n, ok := clientNumber([]byte(`42["message",{"id":1,"client_id":"12-345","content_text":"x"}]`)); who != 12 || n != 345 || !ok {
		t.Errorf("%d %d %v", who, n, ok)
	}
	for _, p := range []string{`42["message",{"id":1}]`, `42["message",{"client_id":"x"}]`, `42["message",{"client_id":"-1-2"}]`, ``} {
		if who, n, ok := clientNumber([]byte(p)); ok {
			t.Errorf("%s: %d %d", p, who, n)
		}
	}
}

// The agent receives one copy twice, and then one too early.
func TestCopiesAreCountedOnce(t *testing.T) {
	here, there := net.Pipe()
	defer here.Close()
	go func() {
		defer there.Close()
		for _, p := range []string{
			`42["message",{"client_id":"0-0"}]`, `42["message_from_visitor",{"client_id":"0-0"}]`, `42["message",{"client_id":"0-0"}]`,
			`42["message",{"client_id":"0-1"}]`, `42["message",{"client_id":"0-3"}]`,
		} {
			if err := ws.WriteFrame(there, ws.NewTextFrame([]byte(p))); err != nil {
				return
			}
		}
	}()
	c := copies{servers: 1}
	err := c.listen(&conn{Conn: here, buf: make([]byte, 16)}, []sender{{sent: map[int]time.Time{}}})
	if err == nil || !strings.Contains(err.Error(), "message 3 after 1") || c.n.Load() != 2 || c.doubled != 1 {
		t.Errorf("%d counted, %d doubled, %v", c.n.Load(), c.doubled, err)
	}
}
