package server

import (
	"container/list"
	"context"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"syscall"

	"sohbet/server/auth"
)

const (
	// maxWaiting is the maximum number of connections without a complete request. Each may use about 40 kB: buffers, a goroutine and
	// received headers.
	maxWaiting = 512
	// connectionsPerAddress is the maximum number of connections per address, excluding websockets, which [Limits.Admit] counts. A
	// client using long-polling has two.
	connectionsPerAddress = 2 * socketsPerAddress
	// socketBuffer is the kernel buffer per connection and direction, in bytes. By default the kernel grows it to megabytes for a
	// client that does not read; this size allows 2.5 MB/s at a round-trip time of 100 ms.
	socketBuffer = 256 << 10
)

// connections limits idle connections (without a complete request), and connections per address. It is updated by
// [http.Server.ConnState].
type connections struct {
	perAddress int // 0 = unlimited
	trusted    []netip.Prefix

	mu      sync.Mutex
	open    map[net.Conn]*connection
	here    map[string]int // number of connections by address
	waiting list.List      // of net.Conn, longest waiting first
}

type connection struct {
	key     string
	waiting *list.Element // nil while a request is served
}

func newConnections(perAddress int, trusted []netip.Prefix) *connections {
	return &connections{perAddress: perAddress, trusted: trusted, open: make(map[net.Conn]*connection), here: make(map[string]int)}
}

// changed is the ConnState hook. When too many connections are waiting, the one that has waited longest is closed.
func (c *connections) changed(conn net.Conn, state http.ConnState) {
	if oldest := c.move(conn, state); oldest != nil {
		_ = oldest.Close() // the error does not matter
	}
}

// move records a connection's new state and returns a connection to close, or nil.
func (c *connections) move(conn net.Conn, state http.ConnState) (drop net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := c.open[conn]
	switch state {
	case http.StateNew:
		known = &connection{key: c.key(conn)}
		c.open[conn] = known
		c.here[known.key]++
		known.waiting = c.waiting.PushBack(conn)
		if known.key != "" && c.perAddress > 0 && c.here[known.key] > c.perAddress {
			return conn
		}
	case http.StateIdle:
		if known != nil && known.waiting == nil {
			known.waiting = c.waiting.PushBack(conn)
		}
	case http.StateActive:
		if known != nil {
			c.served(known)
		}
	case http.StateHijacked, http.StateClosed:
		if known == nil {
			return nil
		}
		c.served(known)
		delete(c.open, conn)
		if c.here[known.key]--; c.here[known.key] == 0 {
			delete(c.here, known.key)
		}
	}
	if c.waiting.Len() <= maxWaiting {
		return nil
	}
	oldest := c.waiting.Front().Value.(net.Conn)
	c.served(c.open[oldest])
	return oldest
}

// served removes a connection from the waiting list. The caller holds c.mu.
func (c *connections) served(known *connection) {
	if known.waiting != nil {
		c.waiting.Remove(known.waiting)
		known.waiting = nil
	}
}

// key returns the address that a connection counts towards, "" for trusted proxies, which carry many clients.
func (c *connections) key(conn net.Conn) string {
	peer, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil {
		return ""
	}
	ip := peer.Addr().Unmap().WithZone("")
	for _, p := range c.trusted {
		if p.Contains(ip) {
			return ""
		}
	}
	return auth.AddressKey(ip.String())
}

// listen opens a port whose connections have bounded kernel buffers; connections inherit them from the listener (tcp(7)). They have no TCP
// keep-alive, which takes four system calls each: idle ones are closed by a timeout, and websockets have heartbeats.
func listen(ctx context.Context, address string) (net.Listener, error) {
	config := net.ListenConfig{KeepAlive: -1, Control: func(_, _ string, raw syscall.RawConn) error { return boundBuffers(raw, socketBuffer) }}
	return config.Listen(ctx, "tcp", address)
}
