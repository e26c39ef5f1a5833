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
	// maxWaiting is how many connections may be without a complete request at a time. Each may take about 40 kB: buffers, a
	// goroutine and the headers that have arrived.
	maxWaiting = 512
	// connectionsPerAddress is how many connections one address may have, without websockets, which [Limits.Admit] counts. A
	// client with long-polling uses two.
	connectionsPerAddress = 2 * socketsPerAddress
	// socketBuffer is what the kernel may hold for a connection in each direction, in bytes. By itself it lets this grow to
	// megabytes for a client that does not read; this is enough for 2.5 MB/s at a round trip of 100 ms.
	socketBuffer = 256 << 10
)

// connections bounds what clients hold by doing nothing: connections without a request, and connections of one address. Its
// state is kept by [http.Server.ConnState].
type connections struct {
	perAddress int // 0 = no bound
	trusted    []netip.Prefix

	mu      sync.Mutex
	open    map[net.Conn]*connection
	here    map[string]int // by address
	waiting list.List      // of net.Conn, in the order in which they began to wait
}

type connection struct {
	key     string
	waiting *list.Element // nil while a request is served
}

func newConnections(perAddress int, trusted []netip.Prefix) *connections {
	return &connections{perAddress: perAddress, trusted: trusted, open: make(map[net.Conn]*connection), here: make(map[string]int)}
}

// changed is the hook. When too many connections wait, the one that has waited longest is closed: a client that means to send a
// request has done so by then.
func (c *connections) changed(conn net.Conn, state http.ConnState) {
	if oldest := c.move(conn, state); oldest != nil {
		_ = oldest.Close() // it is closed either way
	}
}

// move notes a connection's new state and returns one to be closed, or nil.
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

// served takes a connection off the list of those that wait. The caller holds c.mu.
func (c *connections) served(known *connection) {
	if known.waiting != nil {
		c.waiting.Remove(known.waiting)
		known.waiting = nil
	}
}

// key is the address that a connection counts for, "" for trusted proxies, which bring many clients.
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

// listen opens a port whose connections have bounded kernel buffers; they inherit those of the listener (tcp(7)).
func listen(ctx context.Context, address string) (net.Listener, error) {
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error { return boundBuffers(raw, socketBuffer) }}
	return config.Listen(ctx, "tcp", address)
}
