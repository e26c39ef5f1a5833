package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	coder "github.com/coder/websocket"
	"github.com/gobwas/ws"
	gorilla "github.com/gorilla/websocket"
	"github.com/lxzan/gws"
)

// libraries holds the websocket libraries in their usual configuration: one reading goroutine per connection, default or small buffers,
// no compression.
var libraries = []struct {
	name    string
	handler http.HandlerFunc
}{
	{"gorilla/websocket", serveGorilla},
	{"coder/websocket", serveCoder},
	{"lxzan/gws", serveGWS()},
	{"gobwas/ws, a goroutine reads", serveGobwas},
}

func serveLibrary(name string) error {
	for _, lib := range libraries {
		if lib.name != name {
			continue
		}
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		fmt.Println(ln.Addr())
		go func() {
			for range time.Tick(time.Second) {
				debug.FreeOSMemory()
			}
		}()
		return http.Serve(ln, lib.handler)
	}
	return fmt.Errorf("no library %q", name)
}

var gorillaUpgrader = gorilla.Upgrader{ReadBufferSize: 1024, WriteBufferSize: 1024, WriteBufferPool: new(sync.Pool)}

func serveGorilla(w http.ResponseWriter, r *http.Request) {
	c, err := gorillaUpgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	go func() {
		defer c.Close()
		for {
			kind, p, err := c.ReadMessage()
			if err != nil || c.WriteMessage(kind, p) != nil {
				return
			}
		}
	}()
}

func serveCoder(w http.ResponseWriter, r *http.Request) {
	c, err := coder.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer c.CloseNow()
	for { // the library needs the handler's goroutine
		kind, p, err := c.Read(r.Context())
		if err != nil || c.Write(r.Context(), kind, p) != nil {
			return
		}
	}
}

type gwsEcho struct{ gws.BuiltinEventHandler }

func (gwsEcho) OnMessage(c *gws.Conn, m *gws.Message) {
	defer m.Close()
	_ = c.WriteMessage(m.Opcode, m.Bytes())
}

func serveGWS() http.HandlerFunc {
	up := gws.NewUpgrader(gwsEcho{}, &gws.ServerOption{ReadBufferSize: 1024})
	return func(w http.ResponseWriter, r *http.Request) {
		if c, err := up.Upgrade(w, r); err == nil {
			go c.ReadLoop()
		}
	}
}

func serveGobwas(w http.ResponseWriter, r *http.Request) {
	c, _, _, err := ws.UpgradeHTTP(r, w)
	if err != nil {
		return
	}
	go func() {
		defer c.Close()
		buf := make([]byte, 1024)
		for {
			h, err := ws.ReadHeader(c)
			if err != nil || h.Length > int64(len(buf)) {
				return
			}
			p := buf[:h.Length]
			if _, err := io.ReadFull(c, p); err != nil {
				return
			}
			ws.Cipher(p, h.Mask, 0)
			if h.OpCode == ws.OpClose || ws.WriteFrame(c, ws.NewFrame(h.OpCode, true, p)) != nil {
				return
			}
		}
	}()
}
